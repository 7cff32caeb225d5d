"""An authority, a broker behind TLS, and proof that no test leaves anything behind."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from pyproducer.broker import Broker
from tests.helpers.authority import Authority
from tests.helpers.leftovers import Leftovers
from tests.helpers.tls_front import FRONT, TlsFront

HOSTS = (FRONT, "localhost", "127.0.0.1")


@pytest.fixture(autouse=True)
def nothing_left() -> Iterator[Leftovers]:
    """No socket and no thread outlives a test."""
    before = Leftovers()
    yield before
    assert before.found() == []


@pytest.fixture(scope="session")
def authority(tmp_path_factory) -> Authority:
    """Signs for this session."""
    return Authority(tmp_path_factory.mktemp("authority"))


@pytest.fixture(scope="session")
def stranger(tmp_path_factory) -> Authority:
    """An authority that nobody trusts."""
    return Authority(tmp_path_factory.mktemp("stranger"), "stranger")


@pytest.fixture
def broker() -> Iterator[Broker]:
    """A broker that sends its clients to the front."""
    with Broker({"t": 3, "one": 1}, advertised_host=FRONT) as running:
        yield running


@pytest.fixture
def port(broker: Broker) -> int:
    """The broker's port."""
    return int(broker.bootstrap_servers.rpartition(":")[2])


@pytest.fixture
def front(port: int, authority: Authority) -> Iterator[TlsFront]:
    """TLS in front of that broker, with a good certificate."""
    with TlsFront(port, authority.server_context(authority.server("front", HOSTS))) as running:
        yield running
