"""An authorization server for each test."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.helpers.authority import Authority
from tests.helpers.token_server import TokenServer


@pytest.fixture(scope="session")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    """Signed the server's certificate."""
    return Authority(tmp_path_factory.mktemp("authority"))


@pytest.fixture
def server(authority: Authority) -> Iterator[TokenServer]:
    """A running authorization server, over HTTP and HTTPS."""
    with TokenServer(authority) as running:
        yield running
