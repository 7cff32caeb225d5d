"""A running broker, and a client that speaks the bare protocol to it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from pyproducer.broker import Broker, TopicSpec
from tests.helpers.wire_client import WireClient


@pytest.fixture
def broker() -> Iterator[Broker]:
    """A broker with a topic of three partitions, and some of special settings."""
    topics = [
        TopicSpec("orders", 3),
        TopicSpec("small", 1, {"max.message.bytes": "200"}),
        TopicSpec("stamped", 1, {"message.timestamp.type": "LogAppendTime"}),
        TopicSpec("keyed", 1, {"cleanup.policy": "compact"}),
    ]
    with Broker(topics) as running:
        yield running


@pytest.fixture
def client(broker: Broker) -> Iterator[WireClient]:
    """A connection to the broker."""
    with WireClient(broker.bootstrap_servers) as connected:
        yield connected
