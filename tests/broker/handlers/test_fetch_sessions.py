"""Fetch sessions in this broker: faults, and requests that overtake each other.

What holds for Kafka as well is in tests/statements/test_fetch_sessions.py.
"""

from __future__ import annotations

import pytest

from pyproducer.broker import Broker
from pyproducer.protocol.error_codes import ErrorCode
from pyproducer.protocol.messages.fetch import FetchRequest
from pyproducer.protocol.messages.metadata import MetadataRequest
from tests.helpers.partition_logs import batch
from tests.helpers.session_reader import SessionReader
from tests.helpers.wire_client import WireClient


@pytest.fixture
def reader(client: WireClient) -> SessionReader:
    """A reader of partitions 0, 1 and 2, in a session that knows their ends."""
    reading = SessionReader(client, "orders")
    reading.told({0: 0, 1: 0, 2: 0})
    return reading


def test_e2_fault_in_a_partition_that_is_not_named(broker: Broker, reader: SessionReader):
    """
    E2: a fault strikes what a session reads, named in the request or not.
    """
    fault = broker.faults.fail("Fetch", "NOT_LEADER_OR_FOLLOWER", topic="orders", partition=2)
    struck = reader.told()
    after = reader.told()

    assert ({2: (ErrorCode.NOT_LEADER_OR_FOLLOWER, [])}, 1) == (struck, fault.hits)
    assert {2: (0, [])} == after


def test_e2_session_that_goes_on_elsewhere_fails_the_fetch_that_waits(
    broker: Broker, client: WireClient, reader: SessionReader
):
    """
    E2: a fetch that is overtaken by the next one of its session, on another connection, gets 71.
    """
    client.send(reader.request(min_bytes=1, max_wait_ms=60_000), 11)
    partition = broker._node().partition("orders", 0)
    with WireClient(broker.bootstrap_servers) as other:
        while not partition.watches:
            other.ask(MetadataRequest(topics=[]), 1)
        overtaking = other.ask(FetchRequest(session_id=reader.session, session_epoch=2), 11)
        other.produce("orders", batch())
        overtaken = client.receive()

    assert (0, ErrorCode.INVALID_FETCH_SESSION_EPOCH) == (
        overtaking.error_code,
        overtaken.error_code,
    )
    assert (reader.session, []) == (overtaken.session_id, overtaken.responses)
