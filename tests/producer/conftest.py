"""A running broker, producers on it, and proof that no test leaves anything behind."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator

import pytest

from pyproducer import AsyncProducer
from pyproducer.broker import Broker
from tests.helpers.leftovers import Leftovers


@pytest.fixture(autouse=True)
def nothing_left() -> Iterator[Leftovers]:
    """No socket and no thread outlives a test."""
    before = Leftovers()
    yield before
    assert before.found() == []


@pytest.fixture(scope="session")
def shared_broker() -> Iterator[Broker]:
    """A broker for all tests that do not harm it; topics "t" (3 partitions) and "one"."""
    with Broker({"t": 3, "one": 1}) as running:
        yield running


@pytest.fixture
def broker() -> Iterator[Broker]:
    """A broker of the test's own; topics "t" (3 partitions) and "one"."""
    with Broker({"t": 3, "one": 1}) as running:
        yield running


@pytest.fixture
async def producer(broker: Broker) -> AsyncIterator[AsyncProducer]:
    """A started producer with the default options."""
    async with AsyncProducer(broker.bootstrap_servers) as running:
        yield running
