"""What the broker shows of its records, with transactions among them."""

from __future__ import annotations

import threading

import pytest

from pyproducer import SyncProducer, UsageError
from pyproducer.broker import Broker
from pyproducer.model import TopicPartition
from tests.helpers.partition_logs import batch
from tests.helpers.transactional_client import TransactionalProducer
from tests.helpers.wire_client import WireClient

O0 = TopicPartition("orders", 0)


def values(broker: Broker, *, committed: bool) -> list[bytes | None]:
    return [record.value for record in broker.records("orders", 0, committed=committed)]


def test_records_with_and_without_transactions(broker: Broker, client: WireClient):
    """
    All records, or those of a committed reader: nothing aborted, and nothing from the first open
    transaction on. Markers are no records.
    """
    one, two = TransactionalProducer(client, "one"), TransactionalProducer(client, "two")
    for producer in (one, two):
        producer.init()
    one.write(O0, b"aborted")
    two.write(O0, b"committed")
    client.produce("orders", batch(value=b"plain"))
    one.end(commit=False)
    one.write(O0, b"one")
    two.end(commit=True)
    one.end(commit=True)
    two.write(O0, b"open")
    client.produce("orders", batch(value=b"behind"))

    assert [b"committed", b"plain", b"one"] == values(broker, committed=True)
    assert [b"aborted", b"committed", b"plain", b"one", b"open", b"behind"] == values(
        broker, committed=False
    )


def test_wait_for_counts_no_markers(broker: Broker, client: WireClient):
    """
    A record and its marker are one record to wait for.
    """
    producer = TransactionalProducer(client)
    producer.init()
    producer.write(O0)
    producer.end(commit=True)

    assert 1 == len(broker.wait_for("orders", 1))
    with pytest.raises(TimeoutError, match="holds 1 records"):
        broker.wait_for("orders", 2, timeout=0.05)


def test_wait_for_committed_waits_for_the_commit(broker: Broker, client: WireClient):
    """
    Records of an open transaction do not end the wait; its commit does.
    """
    producer = TransactionalProducer(client)
    producer.init()
    producer.write(O0, count=3)
    with pytest.raises(TimeoutError, match="holds 0 records"):
        broker.wait_for("orders", 1, timeout=0.05, committed=True)
    timer = threading.Timer(0.1, lambda: producer.end(commit=True))
    timer.start()

    assert 3 == len(broker.wait_for("orders", 3, committed=True))
    timer.join()


def test_committed_offsets():
    """
    A group's offsets are those it has committed, those of a transaction from its commit on.
    """
    with (
        Broker({"orders": 2}) as broker,
        SyncProducer(broker.bootstrap_servers, transactional_id="tx") as producer,
    ):
        assert {} == broker.committed_offsets("readers")
        with producer.transaction() as tx:
            tx.send_offsets({("orders", 0): 7, ("orders", 1): 0}, "readers")
            assert {} == broker.committed_offsets("readers")
        with producer.transaction() as tx:
            tx.send_offsets({("orders", 0): 8}, "readers")
            tx.abort()

        assert {("orders", 0): 7, ("orders", 1): 0} == broker.committed_offsets("readers")
        assert {} == broker.committed_offsets("others")
    with pytest.raises(UsageError, match="not running"):
        broker.committed_offsets("readers")
