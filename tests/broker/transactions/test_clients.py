"""Foreign clients' transactional producers and committed readers, on one broker."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from pyproducer.broker import Broker
from pyproducer.model import TopicPartition
from tests.helpers.transactional_client import committed_offset
from tests.helpers.transactional_peers import TRANSACTIONAL_PEERS, Fenced, read, transactional
from tests.helpers.wire_client import WireClient

ORDERS = TopicPartition("orders", 0)


@pytest.fixture
def servers() -> Iterator[str]:
    with Broker({"orders": 1}) as broker:
        yield broker.bootstrap_servers


@pytest.mark.parametrize("peer", TRANSACTIONAL_PEERS)
def test_commit_and_abort(servers: str, peer: str):
    """
    Every client's consumer reads what the producer committed and, if it asks, all of it.
    """
    sent, kept = [], []
    with transactional(peer, servers, "tx") as producer:
        for round_ in range(6):
            producer.begin()
            values = [f"{round_}-{at}".encode() for at in range(3)]
            for value in values:
                producer.send("orders", value)
            sent += values
            if round_ % 3 == 1:
                producer.abort()
            else:
                producer.commit()
                kept += values
        producer.begin()
        producer.send("orders", b"open")
        for reader in TRANSACTIONAL_PEERS:
            assert kept == read(reader, servers, "orders", len(kept), committed=True)
            assert [*sent, b"open"] == read(
                reader, servers, "orders", len(sent) + 1, committed=False
            )
        producer.abort()


@pytest.mark.parametrize("peer", TRANSACTIONAL_PEERS)
def test_a_second_producer_fences_the_first(servers: str, peer: str):
    """
    What the first left open is aborted and its commit fails; the second goes on.
    """
    with transactional(peer, servers, "tx") as first:
        first.begin()
        first.send("orders", b"first")
        with transactional(peer, servers, "tx") as second:
            with pytest.raises(Fenced):
                first.commit()
            second.begin()
            second.send("orders", b"second")
            second.commit()

    assert [b"second"] == read("confluent-kafka", servers, "orders", 1, committed=True)


@pytest.mark.parametrize("peer", TRANSACTIONAL_PEERS)
def test_offsets_are_committed_with_the_transaction(servers: str, peer: str):
    """
    A group's offset sent to a transaction counts if that is committed, and only then.
    """
    with transactional(peer, servers, "tx") as producer, WireClient(servers) as client:
        seen = []
        for offset, end in ((5, producer.commit), (9, producer.abort), (7, producer.commit)):
            producer.begin()
            producer.send("orders", b"out")
            producer.send_offset("group", "orders", offset)
            end()
            seen.append(committed_offset(client, "group", ORDERS))

    assert [(0, 5), (0, 5), (0, 7)] == seen
