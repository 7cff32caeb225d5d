"""One broker for all commands, and a topic of its own for each test."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator

import pytest

from pyproducer.broker import Broker
from tests.helpers.command_line import run_cli


@pytest.fixture(scope="session")
def broker() -> Iterator[Broker]:
    """A broker that all commands of the session talk to."""
    with Broker() as running:
        yield running


@pytest.fixture
def servers(broker: Broker) -> str:
    """The broker's address."""
    return broker.bootstrap_servers


@pytest.fixture
def topic(broker: Broker, request: pytest.FixtureRequest) -> str:
    """A topic of three partitions that no other test uses."""
    name = f"cli.{request.module.__name__.rpartition('.')[2]}.{request.node.name}"
    name = "".join(c if c.isalnum() or c in ".-" else "-" for c in name)
    broker.create_topic(name, 3)
    return name


@pytest.fixture
def cli(servers: str) -> Callable:
    """Runs a command against the broker."""
    return functools.partial(run_cli, servers=servers)
