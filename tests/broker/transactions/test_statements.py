"""Transactions as clients meet them on the wire, statement by statement."""

from __future__ import annotations

import threading
import time

import pytest

from pyproducer.broker import Broker
from pyproducer.model import TopicPartition
from pyproducer.protocol.error_codes import ErrorCode
from pyproducer.protocol.messages.describe_producers import DescribeProducersRequest, TopicRequest
from pyproducer.protocol.messages.describe_transactions import DescribeTransactionsRequest
from pyproducer.protocol.messages.list_transactions import ListTransactionsRequest
from pyproducer.protocol.messages.offset_commit import (
    OffsetCommitRequest,
    OffsetCommitRequestPartition,
    OffsetCommitRequestTopic,
)
from pyproducer.protocol.messages.produce import (
    PartitionProduceData,
    ProduceRequest,
    TopicProduceData,
)
from pyproducer.protocol.messages.write_txn_markers import (
    WritableTxnMarker,
    WritableTxnMarkerTopic,
    WriteTxnMarkersRequest,
)
from tests.helpers.partition_logs import NOW, batch
from tests.helpers.transactional_client import (
    TransactionalProducer,
    batches_in,
    committed_offset,
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


@pytest.fixture
def producer(client: WireClient) -> TransactionalProducer:
    """The holder of the transactional id `tx`."""
    made = TransactionalProducer(client)
    assert made.init() == 0
    return made


def another(client: WireClient, name: str) -> TransactionalProducer:
    made = TransactionalProducer(client, name)
    assert made.init() == 0
    return made


def describe(client: WireClient, name: str = "tx"):
    [state] = client.ask(
        DescribeTransactionsRequest(transactional_ids=[name]), 0
    ).transaction_states
    return state


def listed(client: WireClient, version: int = 1, **filters) -> dict[str, str]:
    answer = client.ask(ListTransactionsRequest(**filters), version)
    return {one.transactional_id: one.transaction_state for one in answer.transaction_states}


# X1 and X2.


@pytest.mark.parametrize("version", range(6))
def test_x2_init_in_every_version(client: WireClient, version: int):
    """
    X2: each request for a name gives its id and the next epoch.
    """
    producer = TransactionalProducer(client)
    given = []
    for _ in range(3):
        assert 0 == producer.init(version=version)
        given.append((producer.producer_id, producer.epoch))

    assert [(given[0][0], epoch) for epoch in range(3)] == given


def test_x2_bad_requests(client: WireClient):
    """
    X2: an empty name and half an identity get 42, a timeout out of range 50.
    """
    invalid = ErrorCode.INVALID_REQUEST

    assert invalid == TransactionalProducer(client, "").init()
    assert invalid == TransactionalProducer(client, producer_id=3).init(resume=True)
    for timeout_ms in (0, 900_001):
        wrong = TransactionalProducer(client, timeout_ms=timeout_ms)
        assert ErrorCode.INVALID_TRANSACTION_TIMEOUT == wrong.init()


def test_x2_fenced_producers_hear_it_in_their_own_words(producer: TransactionalProducer):
    """
    X2, KIP-588: 90 for those who know it, 47 for older clients and for every Produce.
    """
    zombie = producer.twin()
    producer.write(O0)
    assert 0 == producer.init()
    fenced, old = ErrorCode.PRODUCER_FENCED, ErrorCode.INVALID_PRODUCER_EPOCH

    assert [[old], [old], [fenced], [fenced]] == [zombie.add(O0, version=v) for v in range(4)]
    assert [old, old, fenced, fenced] == [zombie.end(commit=True, version=v) for v in range(4)]
    assert [old, old, fenced, fenced] == [zombie.add_offsets("g", version=v) for v in range(4)]
    assert [old, fenced] == [zombie.twin().init(version=v, resume=True) for v in (3, 4)]
    assert [old, old, old] == [zombie.send(O0, version=v) for v in (3, 9, 12)]


def test_x1_requests_of_strangers(producer: TransactionalProducer):
    """
    X1: a name that nobody holds, or another's producer id, gets 49; an empty name 42.
    """
    stranger = producer.twin()
    stranger.producer_id += 1
    nobody = producer.twin()
    nobody.transactional_id = "nobody"
    empty = producer.twin()
    empty.transactional_id = ""
    mapping, invalid = ErrorCode.INVALID_PRODUCER_ID_MAPPING, ErrorCode.INVALID_REQUEST

    for wrong, code in ((stranger, mapping), (nobody, mapping), (empty, invalid)):
        assert [code] == wrong.add(O0)
        assert code == wrong.end(commit=True) == wrong.add_offsets("g")


def test_x1_all_partitions_are_added_or_none(producer: TransactionalProducer):
    """
    X1: beside a partition that does not exist (3) the others are not attempted (55).
    """
    nowhere = TopicPartition("orders", 9)

    assert [ErrorCode.OPERATION_NOT_ATTEMPTED, 3] == producer.add(O0, nowhere)
    assert ErrorCode.INVALID_TXN_STATE == producer.end(commit=True)


def test_x1_end_is_answered_again(producer: TransactionalProducer):
    """
    X1: the same EndTxn twice is fine, the opposite one, or one without a transaction, gets 48.
    """
    invalid = ErrorCode.INVALID_TXN_STATE
    assert invalid == producer.end(commit=True) == producer.end(commit=False)
    for commit in (True, False):
        producer.write(O0)
        answers = [producer.end(commit=how) for how in (commit, commit, not commit)]
        assert [0, 0, invalid] == answers


def test_transactions_are_shown_to_administrators(broker, client, producer):
    """
    DescribeTransactions and ListTransactions tell state, partitions and age; 105 for a stranger.
    """
    producer.write(O0)
    producer.write(O1)
    idle = another(client, "idle")
    found = describe(client)

    assert ("Ongoing", 60_000) == (found.transaction_state, found.transaction_timeout_ms)
    assert (producer.producer_id, producer.epoch) == (found.producer_id, found.producer_epoch)
    assert [("orders", [0, 1])] == [(one.topic, one.partitions) for one in found.topics]
    assert ErrorCode.TRANSACTIONAL_ID_NOT_FOUND == describe(client, "nobody").error_code
    assert ErrorCode.INVALID_REQUEST == describe(client, "").error_code
    assert {"tx": "Ongoing", "idle": "Empty"} == listed(client) == listed(client, 0)
    assert {"tx": "Ongoing"} == listed(client, state_filters=["Ongoing"])
    assert {"idle": "Empty"} == listed(client, producer_id_filters=[idle.producer_id])
    assert {} == listed(client, duration_filter=60_000)
    answer = client.ask(ListTransactionsRequest(state_filters=["Nonsense"]), 0)
    assert ["Nonsense"] == answer.unknown_state_filters
    request = DescribeProducersRequest(topics=[TopicRequest(name="orders", partition_indexes=[0])])
    [active] = client.ask(request, 0).topics[0].partitions[0].active_producers
    assert (producer.producer_id, 0) == (active.producer_id, active.current_txn_start_offset)


# X3.


class JumpingClock:
    """The machine's clock, and a number of seconds more."""

    def __init__(self) -> None:
        self.ahead = 0.0

    def monotonic(self) -> float:
        return time.monotonic() + self.ahead

    def wall_ms(self) -> int:
        return int((time.time() + self.ahead) * 1000)


def test_x3_the_broker_aborts_by_itself():
    """
    X3: once its timeout has passed a transaction is aborted, its records stay unread, and its
    producer is shut out.
    """
    clock = JumpingClock()
    with Broker({"orders": 2}, clock=clock) as broker, WireClient(broker.bootstrap_servers) as one:
        producer = TransactionalProducer(one, timeout_ms=20_000)
        producer.init()
        producer.write(O0)
        clock.ahead = 30.0
        deadline = time.monotonic() + 10
        while describe(one).transaction_state != "CompleteAbort" and time.monotonic() < deadline:
            time.sleep(0.05)

        assert "CompleteAbort" == describe(one).transaction_state
        assert ErrorCode.PRODUCER_FENCED == producer.end(commit=True)
        assert ErrorCode.INVALID_PRODUCER_EPOCH == producer.send(O0)
        assert [] == broker.records("orders", committed=True)
        assert 1 == len(broker.records("orders"))


# X4.


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


# X5, E1, E4 and T3.


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


# X6.


def test_x6_produce_needs_an_open_transaction_with_the_partition(client, producer):
    """
    X6: else 48, or 120 for clients that know it; nothing is appended.
    """
    invalid, abortable = ErrorCode.INVALID_TXN_STATE, ErrorCode.TRANSACTION_ABORTABLE
    told = [invalid, invalid, abortable]
    assert told == [producer.send(O0, version=v) for v in (3, 10, 11)]
    producer.write(O1)
    assert told == [producer.send(O0, version=v) for v in (3, 10, 11)]
    producer.end(commit=True)
    assert told == [producer.send(O1, version=v) for v in (3, 10, 11)]

    assert 0 == latest_offset(client, O0, committed=False)


def test_x6_verification_can_be_switched_off():
    """
    X6: transaction.partition.verification.enable=false lets a late batch open a transaction.
    """
    config = {"transaction.partition.verification.enable": "false"}
    with (
        Broker({"orders": 1}, config=config) as broker,
        WireClient(broker.bootstrap_servers) as client,
    ):
        producer = TransactionalProducer(client)
        producer.init()

        assert 0 == producer.send(O0)
        assert 0 == latest_offset(client, O0, committed=True)


def test_x6_one_producer_id_in_a_request(client, producer):
    """
    X6: transactional batches of two producers in one request fail it as a whole with 49.
    """
    other = another(client, "other")
    producer.add(O0)
    other.add(O1)
    request = ProduceRequest(
        transactional_id="tx",
        acks=-1,
        topic_data=[
            TopicProduceData(
                name="orders",
                partition_data=[
                    PartitionProduceData(
                        index=index,
                        records=batch(producer=(one.producer_id, 0, 0), transactional=True),
                    )
                    for index, one in enumerate([producer, other])
                ],
            )
        ],
    )
    parts = client.ask(request, 9).responses[0].partition_responses

    assert [ErrorCode.INVALID_PRODUCER_ID_MAPPING] * 2 == [part.error_code for part in parts]
    assert 0 == latest_offset(client, O0, committed=False)


def test_x6_a_repeated_batch_is_acknowledged_once(client, producer):
    """
    X6, I2: inside a transaction duplicates are recognised as outside.
    """
    producer.write(O0)
    again = producer.twin()
    again.sequences[O0] = 0

    assert 0 == again.send(O0)
    assert 1 == latest_offset(client, O0, committed=False)


def test_i5_plain_batches_of_the_producer_do_not_mix_in(client, producer):
    """
    I5: a batch outside the transaction that its producer has open on the partition gets 48.
    """
    producer.write(O0)
    plain = client.produce("orders", batch(producer=(producer.producer_id, 0, 1)))

    assert ErrorCode.INVALID_TXN_STATE == plain.error_code


def test_x6_19_while_it_cannot_be_known(broker, client, producer):
    """
    X6: while the coordinator cannot say, Produce gets 19, which clients simply try again.
    """
    producer.write(O0)
    node = broker._node()
    node.partition("orders", 0).log._health.failure = OSError("disk")
    assert 0 == producer.end(commit=True)
    assert "PrepareCommit" == describe(client).transaction_state

    assert ErrorCode.NOT_ENOUGH_REPLICAS == producer.send(O1)
    assert ErrorCode.CONCURRENT_TRANSACTIONS == producer.send(O1, version=12)
    assert [ErrorCode.CONCURRENT_TRANSACTIONS] == producer.add(O1)
    node.partition("orders", 0).log._health.failure = None
    deadline = time.monotonic() + 10
    while producer.add(O1) != [0] and time.monotonic() < deadline:
        time.sleep(0.05)
    assert 0 == producer.send(O1)
    assert 2 == latest_offset(client, O0, committed=True)


# X7.


def plain_commit(client: WireClient, group: str, offset: int) -> None:
    part = OffsetCommitRequestPartition(partition_index=0, committed_offset=offset)
    topics = [OffsetCommitRequestTopic(name="orders", partitions=[part])]
    answer = client.ask(OffsetCommitRequest(group_id=group, topics=topics), 8)
    assert 0 == answer.topics[0].partitions[0].error_code


@pytest.mark.parametrize("version", range(6))
@pytest.mark.parametrize("commit", [True, False])
def test_x7_offsets_count_when_the_transaction_is_committed(client, producer, version, commit):
    """
    X7: until then 88 for those who want stable offsets and the old offset for others; an abort
    leaves the old one.
    """
    plain_commit(client, "g", 4)
    if version < 5:
        assert 0 == producer.add_offsets("g", version=min(version, 4))
    assert 0 == producer.commit_offset("g", O0, 9, version=version)

    assert (ErrorCode.UNSTABLE_OFFSET_COMMIT, -1) == committed_offset(client, "g", O0)
    assert (0, 4) == committed_offset(client, "g", O0, stable=False)
    assert 0 == producer.end(commit=commit)
    assert (0, 9 if commit else 4) == committed_offset(client, "g", O0)


def test_x7_a_later_plain_commit_wins(client, producer):
    """
    X7: of two commits to one place the later one counts, also if the transaction ends after it.
    """
    producer.add_offsets("g")
    producer.commit_offset("g", O0, 9)
    plain_commit(client, "g", 12)
    assert (0, 12) == committed_offset(client, "g", O0)
    producer.end(commit=True)

    assert (0, 12) == committed_offset(client, "g", O0)


def test_x7_offsets_need_the_group_in_the_transaction(client, producer):
    """
    X7: without AddOffsetsToTxn 48, or 120 for those who know it; version 5 adds it by itself.
    """
    told = [producer.commit_offset("g", O0, 9, version=version) for version in (0, 3, 4)]
    invalid, abortable = ErrorCode.INVALID_TXN_STATE, ErrorCode.TRANSACTION_ABORTABLE

    assert [invalid, invalid, abortable] == told
    assert 0 == producer.commit_offset("g", O0, 9, version=5)
    assert 3 == producer.commit_offset("g", TopicPartition("nowhere", 0), 9, version=5)
    assert ErrorCode.INVALID_GROUP_ID == producer.commit_offset("", O0, 9)


def test_x7_members_of_old_generations_are_fenced(client, producer):
    """
    X7, KIP-447: a member that the group does not know, or an old generation, may not commit.
    """
    producer.add_offsets("g")
    plain_commit(client, "g", 1)
    told = [
        producer.commit_offset("g", O0, 9, generation_id=3, member_id="m"),
        producer.commit_offset("new", O0, 9, generation_id=3, member_id="m"),
    ]

    assert [ErrorCode.UNKNOWN_MEMBER_ID, ErrorCode.ILLEGAL_GENERATION] == told


def test_x7_pending_offsets_survive_a_restart(tmp_path):
    """
    X7: an offset in an open transaction is unstable after a restart as well, and committed later.
    """
    with (
        Broker({"orders": 1}, data_dir=tmp_path) as broker,
        WireClient(broker.bootstrap_servers) as client,
    ):
        producer = TransactionalProducer(client)
        producer.init()
        producer.add_offsets("g")
        producer.commit_offset("g", O0, 9)
    with Broker(data_dir=tmp_path) as broker, WireClient(broker.bootstrap_servers) as client:
        producer.client = client
        assert (ErrorCode.UNSTABLE_OFFSET_COMMIT, -1) == committed_offset(client, "g", O0)
        assert 0 == producer.end(commit=True)
        assert (0, 9) == committed_offset(client, "g", O0)
    with Broker(data_dir=tmp_path) as broker, WireClient(broker.bootstrap_servers) as client:
        assert (0, 9) == committed_offset(client, "g", O0)


# X8.


def test_x8_produce_12_adds_the_partition(client, producer):
    """
    X8: no AddPartitionsToTxn is needed; EndTxn 5 gives the next epoch, with sequences from 0.
    """
    for round_, commit in enumerate((True, False, True)):
        assert round_ == producer.epoch
        assert 0 == producer.send(O0, b"%d" % round_, version=12)
        assert 0 == producer.send(O0, b"%d" % round_, version=12)
        assert 0 == producer.end(commit=commit, version=5)

    assert [b"0", b"0", b"2", b"2"] == values_read(fetch(client, O0))


def test_x8_what_was_sent_before_cannot_come_after_the_end(client, producer):
    """
    X8: a batch of the epoch before the end gets 47, wherever it was held up.
    """
    late = producer.twin()
    producer.send(O0, version=12)
    producer.end(commit=True, version=5)
    late.sequences[O0] = 1
    end = latest_offset(client, O0, committed=False)

    assert ErrorCode.INVALID_PRODUCER_EPOCH == late.send(O0, version=12)
    assert ErrorCode.INVALID_PRODUCER_EPOCH == late.send(O1, version=12)
    assert end == latest_offset(client, O0, committed=False)


def test_x8_a_late_end_is_refused(producer):
    """
    X8: the copy of an EndTxn is answered as the first, until the next transaction has begun.
    """
    late = producer.twin()
    producer.send(O0, version=12)
    producer.end(commit=True, version=5)
    copy = late.twin()

    assert 0 == copy.end(commit=True, version=5)
    assert (producer.producer_id, producer.epoch) == (copy.producer_id, copy.epoch)
    producer.send(O0, version=12)
    assert ErrorCode.PRODUCER_FENCED == late.end(commit=True, version=5)
    assert 0 == producer.end(commit=False, version=5)


def test_x8_an_abort_without_anything_gives_an_epoch_too(producer):
    """
    X8: a producer that does not know whether it wrote anything may abort; to commit nothing is 48.
    """
    assert ErrorCode.INVALID_TXN_STATE == producer.end(commit=True, version=5)
    assert 0 == producer.end(commit=False, version=5)
    assert 1 == producer.epoch


@pytest.mark.parametrize("version", [4, 5])
def test_brokers_may_ask_whether_a_partition_is_in_a_transaction(client, producer, version):
    """
    AddPartitionsToTxn 4 and 5: several transactions at once, to be added to or asked about.
    """
    from pyproducer.protocol.messages.add_partitions_to_txn import (
        AddPartitionsToTxnRequest,
        AddPartitionsToTxnTopic,
        AddPartitionsToTxnTransaction,
    )

    def ask(verify: bool, *indexes: int) -> list[int]:
        wanted = AddPartitionsToTxnTransaction(
            transactional_id="tx",
            producer_id=producer.producer_id,
            producer_epoch=0,
            verify_only=verify,
            topics=[AddPartitionsToTxnTopic(name="orders", partitions=[*indexes])],
        )
        request = AddPartitionsToTxnRequest(transactions=[wanted])
        [result] = client.ask(request, version).results_by_transaction
        parts = result.topic_results[0].results_by_partition
        return [part.partition_error_code for part in parts]

    refused = ErrorCode.TRANSACTION_ABORTABLE if version == 5 else ErrorCode.INVALID_TXN_STATE
    assert [refused] == ask(True, 0)
    assert [0] == ask(False, 0)
    assert [0, refused] == ask(True, 0, 1)
