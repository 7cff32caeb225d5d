"""Idempotence: what a partition remembers of its producers (statements I1 to I9)."""

from __future__ import annotations

import struct

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pyproducer.broker.errors import Refused
from pyproducer.broker.log.config import LogConfig
from pyproducer.broker.log.producer_state import (
    CorruptSnapshotError,
    EndMarker,
    ProducerStates,
    sequence_after,
)
from pyproducer.model import TimestampType
from pyproducer.protocol.error_codes import ErrorCode
from pyproducer.records.batch import BatchHeader, pack_attributes
from pyproducer.records.crc import crc32c
from tests.helpers.partition_logs import dropped, open_log, put, records_of, state_of
from tests.helpers.virtual_time import VirtualTime

MAX = (1 << 31) - 1
DAY_MS = 86_400_000


def header(sequence, count=1, *, producer_id=7, epoch=0, transactional=False, timestamp=1000):
    return BatchHeader(
        0, 100, -1, 2, 0, pack_attributes(transactional=transactional), count - 1,
        timestamp, timestamp, producer_id, epoch, sequence, count,
    )  # fmt: skip


class Partition:
    """States fed as a log feeds them."""

    def __init__(self, **config):
        self.states = ProducerStates(lambda: LogConfig(**config))
        self.end = 0

    def send(self, sequence, count=1, *, now_ms=0, **kind):
        one = header(sequence, count, **kind)
        duplicate = self.states.check(one)
        if duplicate:
            return ("duplicate", duplicate.first_offset)
        base = self.end
        self.states.update(one, base_offset=base, timestamp=one.max_timestamp, now_ms=now_ms)
        self.end += count
        return ("appended", base)

    def refused(self, *args, **kind):
        before = self.states.snapshot()
        with pytest.raises(Refused) as caught:
            self.send(*args, **kind)

        assert before == self.states.snapshot()
        return caught.value.code


def test_i1_entry_holds_the_last_five_batches():
    """
    Epoch, last five batches and last timestamp are kept; the first sequence is derived.
    """
    partition = Partition()
    for at in range(7):
        partition.send(at * 3, 3, timestamp=1000 + at)
    entry = partition.states.get(7)

    assert [6, 9, 12, 15, 18] == [one.first_sequence for one in entry.batches]
    assert [6, 9, 12, 15, 18] == [one.first_offset for one in entry.batches]
    assert (0, 20, 1006) == (entry.epoch, entry.last_sequence, entry.last_timestamp)


def test_i2_duplicate_returns_original_offset():
    """
    Any of the last five batches, sent again, is found where it is.
    """
    partition = Partition()
    for at in range(7):
        partition.send(at * 3, 3)

    assert [("duplicate", at * 3) for at in range(2, 7)] == [
        partition.send(at * 3, 3) for at in range(2, 7)
    ]


def test_i2_batch_older_than_the_window_is_out_of_order():
    """
    The sixth last batch is not recognised any more.
    """
    partition = Partition()
    for at in range(7):
        partition.send(at * 3, 3)

    assert ErrorCode.OUT_OF_ORDER_SEQUENCE_NUMBER == partition.refused(3, 3)


def test_i2_duplicate_needs_both_ends_equal():
    """
    A batch that overlaps a remembered one is no duplicate of it.
    """
    partition = Partition()
    partition.send(0, 5)

    assert ErrorCode.OUT_OF_ORDER_SEQUENCE_NUMBER == partition.refused(0, 4)
    assert ErrorCode.OUT_OF_ORDER_SEQUENCE_NUMBER == partition.refused(1, 4)


def test_i2_duplicate_comes_before_the_transaction_rule():
    """
    A repeated batch is answered from memory even where it could not be appended now.
    """
    partition = Partition()
    partition.send(0)
    partition.send(1, transactional=True)

    assert ("duplicate", 0) == partition.send(0)


def test_i3_older_epoch_is_fenced():
    """
    A producer of an epoch before the stored one is refused.
    """
    partition = Partition()
    partition.send(0, epoch=3)

    assert ErrorCode.INVALID_PRODUCER_EPOCH == partition.refused(1, epoch=2)


def test_i3_new_epoch_starts_at_zero_and_clears_the_window():
    """
    A higher epoch must begin with sequence 0; batches of the old one are forgotten.
    """
    partition = Partition()
    partition.send(0, 3)

    assert ErrorCode.OUT_OF_ORDER_SEQUENCE_NUMBER == partition.refused(3, epoch=1)
    assert ("appended", 3) == partition.send(0, 3, epoch=1)
    assert 1 == len(partition.states.get(7).batches)
    assert ErrorCode.INVALID_PRODUCER_EPOCH == partition.refused(0, 3, epoch=0)


def test_i3_same_epoch_continues_without_gap():
    """
    The next batch starts one after the last sequence, neither before nor later.
    """
    partition = Partition()
    partition.send(0, 3)

    assert ErrorCode.OUT_OF_ORDER_SEQUENCE_NUMBER == partition.refused(4)
    assert ErrorCode.OUT_OF_ORDER_SEQUENCE_NUMBER == partition.refused(2)
    assert ("appended", 3) == partition.send(3)


def test_t9_sequences_wrap_at_two_to_the_31():
    """
    0 follows 2**31 - 1, also inside a batch, and the batch that wraps is recognised again.
    """
    partition = Partition()
    partition.send(MAX - 3, 3)

    assert ("appended", 3) == partition.send(MAX, 3)
    assert ("duplicate", 3) == partition.send(MAX, 3)
    assert ("appended", 6) == partition.send(2)
    assert 0 == sequence_after(MAX, 1)


def test_i4_unknown_producer_may_start_anywhere():
    """
    Without stored state any first sequence is accepted, as released Kafka does.
    """
    assert ("appended", 0) == Partition().send(4711)


def test_i4_strict_unknown_producer_must_start_at_zero():
    """
    The strict switch answers UNKNOWN_PRODUCER_ID, and still takes sequence 0.
    """
    partition = Partition(strict_unknown_producer=True)

    assert ErrorCode.UNKNOWN_PRODUCER_ID == partition.refused(4711)
    assert ("appended", 0) == partition.send(0)


def test_i5_plain_write_inside_a_transaction_is_refused():
    """
    While its transaction is open, a producer cannot write outside of it.
    """
    partition = Partition()
    partition.send(0, transactional=True)

    assert ErrorCode.INVALID_TXN_STATE == partition.refused(1)
    assert 0 == partition.states.first_open_offset
    partition.states.end_transaction(7, 0, EndMarker(True, 1), offset=9, timestamp=5, now_ms=5)

    assert partition.states.first_open_offset is None
    assert ("appended", 1) == partition.send(1)


def test_marker_of_an_older_coordinator_is_fenced():
    """
    A marker needs the newest producer epoch and a coordinator not older than the last.
    """
    partition = Partition()
    partition.send(0, epoch=2, transactional=True)
    partition.states.end_transaction(7, 2, EndMarker(False, 5), offset=9, timestamp=5, now_ms=5)
    for epoch, coordinator, code in (
        (1, 5, ErrorCode.INVALID_PRODUCER_EPOCH),
        (2, 4, ErrorCode.TRANSACTION_COORDINATOR_FENCED),
    ):
        with pytest.raises(Refused) as caught:
            partition.states.check_marker(7, epoch, EndMarker(True, coordinator))

        assert code == caught.value.code
    partition.states.check_marker(7, 2, EndMarker(True, 5))
    partition.states.check_marker(8, 0, EndMarker(True, 0))


def test_marker_with_a_bumped_epoch_starts_sequences_anew():
    """
    After a marker of a higher epoch the producer continues with sequence 0.
    """
    partition = Partition()
    partition.send(0, 3, transactional=True)
    partition.states.end_transaction(7, 1, EndMarker(False, 5), offset=9, timestamp=5, now_ms=5)

    assert ErrorCode.OUT_OF_ORDER_SEQUENCE_NUMBER == partition.refused(3, epoch=1)
    assert ("appended", 3) == partition.send(0, epoch=1)


def test_i9_idle_producers_expire():
    """
    A producer idle for producer.id.expiration.ms since its last append is forgotten.
    """
    partition = Partition()
    partition.send(0, now_ms=0, timestamp=0)
    partition.send(0, producer_id=8, now_ms=5)

    assert 0 == partition.states.expire(DAY_MS - 1)
    assert 1 == partition.states.expire(DAY_MS)
    assert partition.states.get(7) is None
    assert partition.states.get(8) is not None


def test_i9_open_transaction_never_expires():
    """
    A producer with an open transaction stays, however idle.
    """
    partition = Partition()
    partition.send(0, transactional=True)

    assert 0 == partition.states.expire(100 * DAY_MS)


def test_i9_kafkas_rule_forgets_producers_of_old_data():
    """
    With the record clock, a producer of old timestamps is idle at once.
    """
    by_record = Partition(producer_expiry_clock="record")
    by_append = Partition()
    for partition in (by_record, by_append):
        partition.send(0, timestamp=1000, now_ms=10 * DAY_MS)

    assert (1, 0) == tuple(p.states.expire(10 * DAY_MS) for p in (by_record, by_append))


def test_snapshot_has_kafkas_layout():
    """
    Version, CRC32C of the rest, count, then 46 bytes an entry.
    """
    partition = Partition()
    partition.send(5, 3, timestamp=1234, epoch=2)
    body = struct.pack(">iqhiqiqiq", 1, 7, 2, 7, 2, 2, 1234, -1, -1)

    assert struct.pack(">hI", 1, crc32c(body)) + body == partition.states.snapshot()


def filled():
    partition = Partition()
    for at in range(7):
        partition.send(at * 3, 3, timestamp=1000 + at)
    partition.send(0, 2, producer_id=8, transactional=True)
    partition.states.end_transaction(9, 4, EndMarker(True, 6), offset=9, timestamp=77, now_ms=1)
    return partition.states


def test_i7_snapshot_round_trip_keeps_the_whole_window():
    """
    Every remembered batch, open transaction and coordinator epoch comes back.
    """
    states, again = filled(), ProducerStates(LogConfig)
    again.load(states.snapshot(), now_ms=50)

    assert [
        (
            e.producer_id,
            e.epoch,
            e.batches,
            e.last_timestamp,
            e.coordinator_epoch,
            e.txn_first_offset,
        )
        for e in states.entries()
    ] == [
        (
            e.producer_id,
            e.epoch,
            e.batches,
            e.last_timestamp,
            e.coordinator_epoch,
            e.txn_first_offset,
        )
        for e in again.entries()
    ]
    assert {50} == {entry.last_append_ms for entry in again.entries()}
    assert states.first_open_offset == again.first_open_offset == 21


def test_snapshot_last_entry_of_a_producer_is_its_newest():
    """
    A reader that keeps one entry per producer id, as Kafka does, ends with the newest batch.
    """
    raw = filled().snapshot()
    newest = {}
    for row in struct.iter_unpack(">qhiqiqiq", raw[10:]):
        newest[row[0]] = row[1:]

    assert (0, 20, 20, 2, 1006, -1, -1) == newest[7]
    assert (4, -1, -1, 0, 77, 6, -1) == newest[9]


@given(st.data())
def test_broken_snapshots_are_refused(data):
    """
    A snapshot with any byte changed, or cut anywhere, is not believed.
    """
    raw = bytearray(filled().snapshot())
    if data.draw(st.booleans()):
        raw[data.draw(st.integers(0, len(raw) - 1))] ^= 1 << data.draw(st.integers(0, 7))
    else:
        del raw[data.draw(st.integers(0, len(raw) - 1)) :]
    states = ProducerStates(LogConfig)
    with pytest.raises(CorruptSnapshotError):
        states.load(bytes(raw), now_ms=0)

    assert [] == states.entries()


class Model:
    """The rules I2 to I4 over plain lists, every batch remembered for good."""

    def __init__(self, strict):
        self.strict = strict
        self.epochs = {}
        self.history = {}
        self.end = 0

    def send(self, producer_id, epoch, first, count):
        last = (first + count - 1) % (1 << 31)
        known = self.epochs.get(producer_id)
        history = self.history.setdefault(producer_id, [])
        if known is None:
            if self.strict and first:
                return ErrorCode.UNKNOWN_PRODUCER_ID
        else:
            for was_first, was_last, offset in history[-5:]:
                if epoch == known and (first, last) == (was_first, was_last):
                    return ("duplicate", offset)
            if epoch < known:
                return ErrorCode.INVALID_PRODUCER_EPOCH
            follows = (history[-1][1] + 1) % (1 << 31) if epoch == known else 0
            if first != follows:
                return ErrorCode.OUT_OF_ORDER_SEQUENCE_NUMBER
            if epoch > known:
                history.clear()
        self.epochs[producer_id] = epoch
        history.append((first, last, self.end))
        self.end += count
        return ("appended", history[-1][2])


sends = st.tuples(
    st.integers(0, 1),
    st.integers(0, 2),
    st.integers(0, 6) | st.sampled_from([MAX, MAX - 1, MAX - 2]),
    st.integers(1, 3),
)


@given(st.lists(sends, max_size=60), st.booleans(), st.sets(st.integers(0, 59)))
@settings(max_examples=300)
def test_states_agree_with_the_model(steps, strict, restarts):
    """
    Any sequence of sends, with restarts from a snapshot between, gets the model's answers.
    """
    model, partition = Model(strict), Partition(strict_unknown_producer=strict)
    for at, (producer_id, epoch, first, count) in enumerate(steps):
        expected = model.send(producer_id, epoch, first, count)
        try:
            answer = partition.send(first, count, producer_id=producer_id, epoch=epoch)
        except Refused as error:
            answer = error.code

        assert expected == answer
        if at in restarts:
            partition.states.load(partition.states.snapshot(), now_ms=0)


def test_i6_refused_batch_changes_neither_log_nor_state(tmp_path):
    """
    After a refusal the log ends where it ended and the right batch still fits.
    """
    log = open_log(tmp_path)
    put(log, producer=(7, 0, 0))
    before = (log.log_end_offset, log.size, state_of(log))
    with pytest.raises(Refused):
        put(log, producer=(7, 0, 5))

    assert before == (log.log_end_offset, log.size, state_of(log))
    assert 1 == put(log, producer=(7, 0, 1)).base_offset


@pytest.mark.parametrize("clean", [True, False], ids=["clean stop", "crash"])
def test_i7_window_survives_a_restart(tmp_path, clean):
    """
    After a clean stop or a crash every batch of the window is still a duplicate.
    """
    log = open_log(tmp_path, segment_bytes=400)
    placed = {}
    for at in range(12):
        placed[at * 2] = put(log, count=2, producer=(7, 0, at * 2)).base_offset
    before = state_of(log)
    if clean:
        assert log.close()
    again = open_log(tmp_path, clean=clean, segment_bytes=400)

    assert before == state_of(again)
    for sequence in list(placed)[-5:]:
        result = put(again, count=2, producer=(7, 0, sequence))

        assert (True, placed[sequence]) == (result.duplicate, result.base_offset)
    assert 24 == len(records_of(again))


def test_i7_broken_snapshot_is_replaced_by_an_older_one(tmp_path):
    """
    A snapshot that cannot be read costs a longer scan, not the state.
    """
    log = open_log(tmp_path, segment_bytes=400)
    for at in range(12):
        put(log, count=2, producer=(7, 0, at * 2))
    before = state_of(log)
    log.close()
    newest = max(tmp_path.glob("*.snapshot"))
    newest.write_bytes(newest.read_bytes()[:-1])
    again = open_log(tmp_path, clean=True, segment_bytes=400)

    assert before == state_of(again)
    assert not newest.exists()


def test_i8_truncated_batch_is_no_duplicate(tmp_path):
    """
    A batch cut off by truncation can be written again.
    """
    log = open_log(tmp_path, segment_bytes=400)
    for at in range(8):
        put(log, producer=(7, 0, at))
    log.truncate_to(5)

    assert 4 == log.producers()[0].last_sequence
    result = put(log, producer=(7, 0, 5))

    assert (False, 5) == (result.duplicate, result.base_offset)


@pytest.mark.parametrize("clean", [True, False], ids=["clean stop", "crash"])
def test_i8_t6_deleting_the_data_keeps_the_memory(tmp_path, clean):
    """
    Retention and DeleteRecords remove batches, not what is known of them, restarts included.
    """
    clock = VirtualTime()
    log = open_log(tmp_path, clock=clock, segment_bytes=400, retention_ms=1000)
    for at in range(8):
        put(log, producer=(7, 0, at))
    clock.pass_time(10)
    dropped(log)

    assert [] == records_of(log)
    if clean:
        log.close()
    again = open_log(tmp_path, clean=clean, clock=clock, log_start_offset=log.log_start_offset)
    result = put(again, producer=(7, 0, 7))

    assert (True, 7) == (result.duplicate, result.base_offset)


def test_i2_duplicate_on_a_log_append_time_topic_has_the_original_time(tmp_path):
    """
    A duplicate is answered with the time at which the batch was appended.
    """
    clock = VirtualTime()
    log = open_log(tmp_path, clock=clock, message_timestamp_type=TimestampType.LOG_APPEND_TIME)
    first = put(log, producer=(7, 0, 0))
    clock.pass_time(60)

    assert first._replace(duplicate=True) == put(log, producer=(7, 0, 0))
