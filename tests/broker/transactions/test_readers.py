"""What readers of committed records are given: X4, X5, E1, E4 and T4, on the wire."""

from __future__ import annotations

import threading
import time

import pytest

from pyproducer.broker import Broker
from pyproducer.model import TopicPartition
from pyproducer.protocol.error_codes import ErrorCode
from pyproducer.protocol.messages.write_txn_markers import (
    WritableTxnMarker,
    WritableTxnMarkerTopic,
    WriteTxnMarkersRequest,
)
from tests.helpers.partition_logs import NOW, batch
from tests.helpers.transactional_client import (
    TransactionalProducer,
    another,
    batches_in,
    fetch,
    latest_offset,
    offset_at,
    values_read,
)
from tests.helpers.wire_client import WireClient

O0 = TopicPartition("orders", 0)
O1 = TopicPartition("orders", 1)
STAMPED = TopicPartition("stamped", 0)

ABORT_KEY = b"\0\0\0\0"
COMMIT_KEY = b"\0\0\0\1"


@pytest.mark.parametrize(("commit", "key"), [(True, COMMIT_KEY), (False, ABORT_KEY)])
@pytest.mark.parametrize("place", [O0, STAMPED])
def test_x4_one_control_batch_for_each_partition(client, producer, commit, key, place):
    """
    X4: the marker is a transactional control batch of one record: its key the outcome, its value
    the coordinator's epoch. On a LogAppendTime topic it has the broker's time.
    """
    producer.write(place)
    producer.end(commit=commit)
    _, marker = batches_in(fetch(client, place))
    [record] = marker.records()
    header = marker.header

    assert (True, True, 1, -1) == (
        header.is_control,
        header.is_transactional,
        header.record_count,
        header.base_sequence,
    )
    assert (producer.producer_id, producer.epoch) == (header.producer_id, header.producer_epoch)
    assert (key, b"\0\0" + bytes(4)) == (record.key, record.value)
    assert (place is STAMPED) == (header.timestamp_type == 1)
    marker.verify()


def write_marker(
    client: WireClient, producer: TransactionalProducer, coordinator_epoch: int, epoch: int = 0
) -> int:
    request = WriteTxnMarkersRequest(
        markers=[
            WritableTxnMarker(
                producer_id=producer.producer_id,
                producer_epoch=epoch,
                transaction_result=False,
                topics=[WritableTxnMarkerTopic(name="orders", partition_indexes=[0])],
                coordinator_epoch=coordinator_epoch,
            )
        ]
    )
    [marker] = client.ask(request, 1).markers
    return marker.topics[0].partitions[0].error_code


def test_x4_markers_of_administrators_and_of_old_coordinators(client, producer):
    """
    X4: WriteTxnMarkers ends what hangs; a coordinator older than the last gets 52, a producer
    epoch older than the last 47; repeated markers are written once.
    """
    producer.write(O0)
    assert 0 == write_marker(client, producer, coordinator_epoch=5)
    end = latest_offset(client, O0, committed=True)

    assert 2 == end
    assert 0 == write_marker(client, producer, coordinator_epoch=5)
    assert ErrorCode.TRANSACTION_COORDINATOR_FENCED == write_marker(client, producer, 4)
    assert 0 == write_marker(client, producer, coordinator_epoch=5, epoch=1)
    assert ErrorCode.INVALID_PRODUCER_EPOCH == write_marker(client, producer, 5)
    assert end + 1 == latest_offset(client, O0, committed=True)


def test_x5_committed_readers_stop_at_the_first_open_transaction(client, producer):
    """
    X5: LSO = first offset of the oldest open transaction, for Fetch and ListOffsets (E4).
    """
    other = another(client, "other")
    now_ms = int(time.time() * 1000)
    client.produce("orders", batch(2, time=now_ms))
    producer.write(O0)
    other.write(O0)
    client.produce("orders", batch(1, time=now_ms))
    ends = []
    for step in (lambda: None, lambda: other.end(commit=True), lambda: producer.end(commit=True)):
        step()
        part = fetch(client, O0)
        assert part.last_stable_offset == latest_offset(client, O0, committed=True)
        assert part.high_watermark == latest_offset(client, O0, committed=False)
        ends.append((part.last_stable_offset, part.high_watermark))
        read = batches_in(part)
        assert read[-1].header.next_offset == part.last_stable_offset

    assert [(2, 5), (2, 6), (7, 7)] == ends


def test_t4_nothing_to_read_is_empty_not_null(client, producer):
    """
    T4, E1: at the LSO a committed reader gets zero bytes and no error, an uncommitted one data.
    """
    producer.write(O0)
    part = fetch(client, O0)
    plain = fetch(client, O0, committed=False)

    assert (b"", 0, []) == (bytes(part.records), part.error_code, part.aborted_transactions)
    assert (1, None) == (len(batches_in(plain)), plain.aborted_transactions)


def test_e1_a_committed_reader_waits_for_the_commit(broker, client, producer):
    """
    E1: min_bytes counts what may be read, and the end of a transaction wakes who waits, however
    small the marker.
    """
    producer.write(O0, b"x" * 5000)
    with WireClient(broker.bootstrap_servers) as waiting:
        timer = threading.Timer(0.3, lambda: producer.end(commit=True))
        timer.start()
        part = fetch(waiting, O0, min_bytes=2000, max_wait_ms=9000)
        timer.join()

    assert [b"x" * 5000] == values_read(part)


def test_e4_times_beyond_the_lso_are_not_found(client, producer):
    """
    E4: a record that is not committed is at no time, and not the youngest, for read_committed.
    """
    client.produce("orders", batch(1, time=NOW))
    assert producer.add(O0) == [0]
    data = batch(1, time=NOW + 9, producer=(producer.producer_id, 0, 0), transactional=True)
    assert 0 == client.produce("orders", data, transactional_id="tx").error_code
    for timestamp in (NOW + 5, -3):
        assert 1 == offset_at(client, O0, timestamp, committed=False)
        assert -1 == offset_at(client, O0, timestamp, committed=True)
    producer.end(commit=True)
    assert 1 == offset_at(client, O0, NOW + 5, committed=True)


def test_x5_aborted_transactions_are_named(client, producer):
    """
    X5: an answer lists every aborted transaction with anything in the returned range, and none
    else.
    """
    other = another(client, "other")
    kept = []
    for round_ in range(6):
        for one, commit in ((producer, round_ % 2 == 0), (other, round_ % 3 == 0)):
            one.write(O0, f"{round_} {commit}".encode())
            if commit:
                kept.append(f"{round_} {commit}".encode())
        other.end(commit=round_ % 3 == 0)
        producer.end(commit=round_ % 2 == 0)
    everything = fetch(client, O0)
    assert kept == values_read(everything)
    assert 3 + 4 == len(everything.aborted_transactions)

    # From every offset and with every size: what is read in pieces is the same.
    size = len(everything.records)
    for max_bytes in (1, size // 7, size // 2):
        for start in range(everything.high_watermark):
            part = fetch(client, O0, start, max_bytes=max_bytes)
            end = batches_in(part)[-1].header.next_offset
            assert {
                (one.producer_id, one.first_offset)
                for one in everything.aborted_transactions
                if one.first_offset < end
            } >= {(one.producer_id, one.first_offset) for one in part.aborted_transactions}
        offset, read = 0, []
        while offset < everything.high_watermark:
            part = fetch(client, O0, offset, max_bytes=max_bytes)
            read += values_read(part)
            offset = batches_in(part)[-1].header.next_offset
        assert kept == read


def test_x5_across_segments():
    """
    X5: an abort whose records and marker are in different segments is named for both.
    """
    from pyproducer.broker import TopicSpec

    topic = TopicSpec("orders", 1, {"segment.bytes": "1048576"})
    with Broker([topic]) as broker, WireClient(broker.bootstrap_servers) as client:
        producer = TransactionalProducer(client)
        producer.init()
        producer.write(O0, b"x" * 600_000)
        for _ in range(4):
            client.produce("orders", batch(1, value=b"y" * 600_000))
        producer.end(commit=False)
        offset, read = 0, []
        while offset < 6:
            part = fetch(client, O0, offset)
            read += values_read(part)
            offset = batches_in(part)[-1].header.next_offset

        assert [b"y" * 600_000] * 4 == read
        assert len(broker._node().partition("orders", 0).log.segment_base_offsets) > 2


@pytest.mark.parametrize("version", range(4, 17))
def test_x5_in_every_version_of_fetch(broker, client, producer, version):
    """
    X5: each version that is served carries isolation level and aborted transactions.
    """
    from pyproducer.protocol.messages.fetch import FetchPartition, FetchRequest, FetchTopic

    producer.write(O0)
    producer.end(commit=False)
    topic = broker._node().topics["orders"]
    partition = FetchPartition(partition=0, partition_max_bytes=10_000)
    request = FetchRequest(
        isolation_level=1,
        min_bytes=1,
        topics=[FetchTopic(topic="orders", topic_id=topic.id, partitions=[partition])],
    )
    part = client.ask(request, version).responses[0].partitions[0]

    assert [(producer.producer_id, 0)] == [
        (one.producer_id, one.first_offset) for one in part.aborted_transactions
    ]
