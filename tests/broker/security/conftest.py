"""Brokers that ask who one is, and an authority for their certificates."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from pyproducer.broker import Broker
from tests.helpers.authority import Authority
from tests.helpers.secure_client import SecureClient


@pytest.fixture(scope="session")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    """An authority that both sides may trust."""
    return Authority(tmp_path_factory.mktemp("authority"))


@pytest.fixture
def broker() -> Iterator[Broker]:
    """A broker with a topic, whose clients say who they are, without TLS."""
    # Nobody guesses here, and nobody has to wait for having failed.
    config = {"connection.failed.authentication.delay.ms": "0"}
    users = {"alice": "secret", "bob": "hidden"}
    with Broker({"t": 1}, security="SASL_PLAINTEXT", users=users, config=config) as running:
        yield running


@pytest.fixture
def connect(broker: Broker) -> Iterator[Callable[[], SecureClient]]:
    """Makes connections to the broker."""
    opened: list[SecureClient] = []

    def one() -> SecureClient:
        opened.append(SecureClient(broker.bootstrap_servers))
        return opened[-1]

    yield one
    for client in opened:
        client.socket.close()


@pytest.fixture
def files(tmp_path: Path) -> Path:
    """A folder for certificates that a test replaces."""
    return tmp_path
