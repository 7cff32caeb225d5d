"""Transactions over a kill in the middle of them."""

from __future__ import annotations

import signal
from pathlib import Path

import pytest

from pyproducer.broker import Broker
from pyproducer.model import TopicPartition
from pyproducer.protocol.error_codes import ErrorCode
from tests.broker.test_restart import Process
from tests.helpers.transactional_client import (
    TransactionalProducer,
    committed_offset,
    fetch,
    latest_offset,
    values_read,
)
from tests.helpers.wire_client import WireClient

O0 = TopicPartition("orders", 0)
O1 = TopicPartition("orders", 1)


def fill(client: WireClient) -> tuple[TransactionalProducer, TransactionalProducer]:
    """Aborted, committed and open transactions of two producers, on two partitions."""
    one, two = TransactionalProducer(client, "one"), TransactionalProducer(client, "two")
    one.init()
    two.init()
    for round_ in range(4):
        one.write(O0, b"one %d" % round_)
        two.write(O0, b"two %d" % round_)
        one.end(commit=round_ % 2 == 0)
        two.end(commit=round_ % 2 == 1)
    one.write(O0, b"open")
    one.write(O1, b"open")
    one.add_offsets("group")
    one.commit_offset("group", O0, 11)
    return one, two


COMMITTED = [b"one 0", b"two 1", b"one 2", b"two 3"]


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
@pytest.mark.parametrize("commit", [True, False])
def test_x1_x5_x7_an_open_transaction_goes_on(tmp_path: Path, number: signal.Signals, commit: bool):
    """
    X1, X5, X7: after a kill what was committed is read, what was aborted is not, what was open
    holds back readers as before, and its producer can end it.
    """
    with (
        Process(tmp_path, "--topic", "orders:2") as process,
        WireClient(process.bootstrap_servers) as client,
    ):
        one, two = fill(client)
        before = [latest_offset(client, place, committed=True) for place in (O0, O1)]
        listed = fetch(client, O0).aborted_transactions
        process.end(number)
    with Broker(data_dir=tmp_path) as broker, WireClient(broker.bootstrap_servers) as client:
        one.client = two.client = client
        part = fetch(client, O0)

        assert COMMITTED == values_read(part)
        assert listed == part.aborted_transactions
        assert before == [latest_offset(client, place, committed=True) for place in (O0, O1)]
        assert (ErrorCode.UNSTABLE_OFFSET_COMMIT, -1) == committed_offset(client, "group", O0)
        assert 0 == one.send(O0, b"more")
        assert 0 == one.end(commit=commit)
        rest = [b"open", b"more"] if commit else []
        assert [*COMMITTED, *rest] == values_read(fetch(client, O0))
        assert (0, 11 if commit else -1) == committed_offset(client, "group", O0)
        two.write(O1, b"after")
        assert 0 == two.end(commit=True)
        assert [*rest[:1], b"after"] == values_read(fetch(client, O1))


def test_x2_the_next_holder_after_a_kill_shuts_out_the_one_before(tmp_path: Path):
    """
    X2: epochs survive; a new producer aborts what the dead one's left open.
    """
    with (
        Process(tmp_path, "--topic", "orders:2") as process,
        WireClient(process.bootstrap_servers) as client,
    ):
        old, _ = fill(client)
        process.end(signal.SIGKILL)
    with Broker(data_dir=tmp_path) as broker, WireClient(broker.bootstrap_servers) as client:
        old.client = client
        new = TransactionalProducer(client, "one")

        assert 0 == new.init()
        assert (old.producer_id, old.epoch + 2) == (new.producer_id, new.epoch)
        assert ErrorCode.PRODUCER_FENCED == old.end(commit=True)
        assert COMMITTED == values_read(fetch(client, O0))
        assert latest_offset(client, O0, committed=False) == latest_offset(
            client, O0, committed=True
        )


def test_x4_a_decision_that_was_not_carried_out_is(tmp_path: Path):
    """
    X4: killed between the decision and a partition's marker, the broker writes it at its start.
    """
    with (
        Broker({"orders": 2}, data_dir=tmp_path) as broker,
        WireClient(broker.bootstrap_servers) as client,
    ):
        producer = TransactionalProducer(client)
        producer.init()
        producer.write(O0, b"first")
        producer.write(O1, b"second")
        broker._node().partition("orders", 1).log._health.failure = OSError("disk")
        assert 0 == producer.end(commit=True)
        assert [b"first"] == values_read(fetch(client, O0))
        assert [] == values_read(fetch(client, O1))
    with Broker(data_dir=tmp_path) as broker, WireClient(broker.bootstrap_servers) as client:
        assert [b"second"] == values_read(fetch(client, O1))
        assert [b"first"] == values_read(fetch(client, O0))
        producer.client = client
        assert 0 == producer.end(commit=True)
