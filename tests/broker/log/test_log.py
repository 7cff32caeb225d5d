"""The log of a partition: append, read, roll, cut, flush, and a disk that fails."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pyproducer.broker.errors import Refused
from pyproducer.broker.log.epochs import EpochEnd
from pyproducer.model import TimestampType
from pyproducer.protocol.error_codes import ErrorCode
from pyproducer.records.reader import iter_batches
from tests.helpers.faulty_disk import FaultyFileSystem
from tests.helpers.partition_logs import (
    NOW,
    batch,
    batches_of,
    open_log,
    put,
    records_of,
    state_of,
)
from tests.helpers.virtual_time import VirtualTime

SMALL = {"segment_bytes": 500, "index_interval_bytes": 1}


def names(path, suffix):
    return sorted(file.name for file in path.glob("*" + suffix))


def test_append_answers_offsets(tmp_path):
    """
    Offsets follow each other; the answer names the batch's first and last.
    """
    log = open_log(tmp_path)

    assert (0, 2, -1, 0, False) == put(log, count=3)
    assert (3, 3, -1, 0, False) == put(log)
    assert (4, 4, 0) == (log.log_end_offset, log.high_watermark, log.log_start_offset)


def test_p8_only_offset_and_epoch_change_on_disk(tmp_path):
    """
    The file holds the received bytes but for base offset and leader epoch.
    """
    log, data = open_log(tmp_path), batch(3)
    put(log, data, leader_epoch=0)
    put(log, data, leader_epoch=4)
    written = (tmp_path / f"{0:020d}.log").read_bytes()
    second = written[len(data) :]

    assert ((3).to_bytes(8, "big") + data[8:12] + (4).to_bytes(4, "big") + data[16:]) == second


def test_high_watermark_waits_for_replication(tmp_path):
    """
    With replicas elsewhere an append does not move it, and readers stop there.
    """
    log = open_log(tmp_path)
    log.sole_replica = False
    put(log, count=2)

    assert (0, 2) == (log.high_watermark, log.log_end_offset)
    assert [] == records_of(log)
    assert 2 == len(list(next(iter_batches(log.read(0, 1000, max_offset=2))).records()))


def test_last_stable_offset_is_below_open_transactions(tmp_path):
    """
    read_committed ends at the first open transaction, or at the high watermark.
    """
    log = open_log(tmp_path)
    put(log, count=2)
    put(log, producer=(1, 0, 0), transactional=True)
    put(log, count=2)

    assert 2 == log.last_stable_offset
    log.high_watermark = 1

    assert 1 == log.last_stable_offset


def test_t10_read_inside_a_batch_gives_the_whole_batch(tmp_path):
    """
    Any offset of a batch reads it from its first byte.
    """
    log = open_log(tmp_path)
    for _ in range(3):
        put(log, count=4)
    for offset in range(12):
        first = next(iter_batches(log.read(offset, 1 << 20)))

        assert offset // 4 * 4 == first.header.base_offset


def test_e1_reads_whole_batches_and_at_least_one(tmp_path):
    """
    An answer ends with a batch; the first is given even above the limit, unless told not to.
    """
    log, size = open_log(tmp_path), len(batch(4))
    for _ in range(5):
        put(log, count=4)

    assert size == len(log.read(0, 1))
    assert 0 == len(log.slice(0, 1, min_one_batch=False))
    assert [size * n for n in (1, 1, 2, 5, 5)] == [
        len(log.read(0, limit)) for limit in (size, 2 * size - 1, 2 * size, 5 * size, 1 << 20)
    ]


def test_read_stops_below_max_offset(tmp_path):
    """
    A batch that holds the limit, or lies above it, is not given.
    """
    log, size = open_log(tmp_path), len(batch(4))
    for _ in range(3):
        put(log, count=4)

    assert [0, 0, size, size, 3 * size] == [
        len(log.read(0, 1 << 20, max_offset=limit)) for limit in (0, 3, 4, 7, 12)
    ]


def test_l10_reads_outside_the_log_are_out_of_range(tmp_path):
    """
    Below the start and above the end is OFFSET_OUT_OF_RANGE; between HW and end is empty.
    """
    log = open_log(tmp_path, **SMALL)
    for _ in range(10):
        put(log)
    log.delete_records_before(4)
    log.high_watermark = 8

    assert [b"", b"", b""] == [log.read(offset, 1000) for offset in (8, 9, 10)]
    for offset in (-1, 3, 11):
        with pytest.raises(Refused) as caught:
            log.read(offset, 1000)

        assert ErrorCode.OFFSET_OUT_OF_RANGE == caught.value.code


def test_g1_files_have_kafkas_names(tmp_path):
    """
    Segments, indexes and snapshots are named by their first offset in 20 digits.
    """
    log = open_log(tmp_path, segment_bytes=250)
    for _ in range(8):
        put(log, count=2, producer=(1, 0, log.log_end_offset))
    log.close()
    bases = log.segment_base_offsets

    assert len(bases) > 2
    for suffix in (".log", ".index", ".timeindex"):
        assert [f"{base:020d}{suffix}" for base in bases] == names(tmp_path, suffix)
    assert [f"{o:020d}.snapshot" for o in [*bases[1:], 16]] == names(tmp_path, ".snapshot")


def test_g2_rolls_before_a_segment_would_exceed_its_size(tmp_path):
    """
    No segment is larger than segment.bytes, and none is rolled early.
    """
    size = len(batch())
    log = open_log(tmp_path, segment_bytes=3 * size)
    for _ in range(7):
        put(log)

    assert [0, 3, 6] == log.segment_base_offsets
    assert 7 == len(records_of(log))


def test_g2_rolls_by_the_time_of_the_records(tmp_path):
    """
    A batch more than segment.ms younger than the segment's first starts a new one.
    """
    log = open_log(tmp_path, segment_ms=1000)
    for time in (NOW, NOW + 1000, NOW + 1001, NOW + 1500):
        put(log, time=time)

    assert [0, 2] == log.segment_base_offsets


def test_g2_rolls_by_the_clock_without_timestamps(tmp_path):
    """
    Records without a time are measured by the clock; an idle log does not roll.
    """
    clock = VirtualTime()
    log = open_log(tmp_path, clock=clock, segment_ms=1000)
    put(log, time=-1)
    clock.pass_time(1.5)

    assert [0] == log.segment_base_offsets
    put(log, time=-1)

    assert [0, 1] == log.segment_base_offsets


def test_g2_rolls_when_an_index_is_full(tmp_path):
    """
    segment.index.bytes limits a segment too.
    """
    log = open_log(tmp_path, index_interval_bytes=1, segment_index_bytes=24)
    for at in range(10):
        put(log, time=NOW + at)

    assert len(log.segment_base_offsets) > 2
    assert 10 == len(records_of(log))
    assert max(file.stat().st_size for file in tmp_path.glob("*index")) <= 24


def test_g2_rolls_when_offsets_outgrow_the_index(tmp_path):
    """
    An offset more than 2**31 - 1 above the segment's base starts a new segment.
    """
    log = open_log(tmp_path)
    put(log)
    log._segments.active.next_offset = (1 << 31) - 1
    put(log)

    assert [0] == log.segment_base_offsets
    put(log)

    assert [0, 1 << 31] == log.segment_base_offsets


def test_l6_l7_epochs_of_the_log(tmp_path):
    """
    An epoch starts where the log ended when its leader began, survives a restart, and ends.
    """
    log = open_log(tmp_path)
    log.become_leader(1)
    put(log, count=3, leader_epoch=1)
    put(log, count=2, leader_epoch=5)
    log.close()
    log = open_log(tmp_path, clean=True)

    assert 5 == log.leader_epoch
    assert [EpochEnd(1, 3), EpochEnd(1, 3), EpochEnd(5, 5), EpochEnd(-1, -1)] == [
        log.end_offset_for_epoch(epoch) for epoch in (1, 3, 5, 6)
    ]


def test_delete_records_moves_the_start_and_removes_segments(tmp_path):
    """
    Reads start at the new offset, whole segments below it are gone, the end stays.
    """
    log = open_log(tmp_path, segment_bytes=3 * len(batch()))
    for _ in range(10):
        put(log)

    assert 7 == log.delete_records_before(7)
    assert [0, 3, 6, 9] == log.segment_base_offsets
    assert 2 == log.drop_passed()
    assert [6, 9] == log.segment_base_offsets
    assert [7, 8, 9] == [record.offset for record in records_of(log)]
    assert 7 == log.delete_records_before(3)
    assert 10 == log.delete_records_before(-1)
    assert [] == records_of(log)
    assert 10 == put(log).base_offset


def test_delete_records_refusals(tmp_path):
    """
    Above the high watermark is out of range; a compacted log is not cut by hand.
    """
    log = open_log(tmp_path)
    put(log, count=3)
    for offset in (4, -2):
        with pytest.raises(Refused) as caught:
            log.delete_records_before(offset)

        assert ErrorCode.OFFSET_OUT_OF_RANGE == caught.value.code
    compacted = open_log(tmp_path / "c", cleanup_policy=frozenset({"compact"}))
    put(compacted)
    with pytest.raises(Refused) as caught:
        compacted.delete_records_before(1)

    assert ErrorCode.POLICY_VIOLATION == caught.value.code


@pytest.mark.parametrize("offset", [0, 1, 5, 6, 9, 10])
def test_truncation_leaves_what_was_there_before(tmp_path, offset):
    """
    After truncation the log is as it was before the batches that went, restart included.
    """
    log = open_log(tmp_path, **SMALL)
    put_all = [{"count": 2, "producer": (1, 0, at * 2), "leader_epoch": at} for at in range(5)]
    whole = []
    for kind in put_all:
        put(log, **kind)
        whole.append((state_of(log), log.leader_epoch))
    log.truncate_to(offset)
    kept = offset // 2

    assert kept * 2 == log.log_end_offset == log.high_watermark
    assert list(range(kept * 2)) == [record.offset for record in records_of(log)]
    assert (whole[kept - 1] if kept else ({}, -1)) == (state_of(log), log.leader_epoch)
    again = open_log(tmp_path, **SMALL)

    assert kept * 2 == again.log_end_offset
    assert kept * 2 == put(again, count=2, producer=(1, 0, kept * 2)).base_offset


@given(
    st.lists(st.tuples(st.integers(1, 6), st.integers(0, 300)), min_size=1, max_size=25),
    st.integers(200, 2000),
    st.integers(0, 600),
    st.data(),
)
@settings(max_examples=60)
def test_reads_agree_with_a_list(tmp_path_factory, kinds, segment, interval, data):
    """
    Whatever the segments, indexes and limits, a read is the run of batches a list would give.
    """
    path = tmp_path_factory.mktemp("log")
    log = open_log(path, segment_bytes=max(segment, 500), index_interval_bytes=interval)
    sent = []
    for count, size in kinds:
        put(log, count=count, value=b"v" * (size // count))
        sent.append(batches_of(log, sent[-1].header.next_offset if sent else 0)[0])
    if data.draw(st.booleans(), "restart"):
        log.close()
        log = open_log(path, clean=data.draw(st.booleans(), "clean"),
                       segment_bytes=max(segment, 500), index_interval_bytes=interval)  # fmt: skip
    end = log.log_end_offset
    for _ in range(10):
        offset = data.draw(st.integers(0, end))
        limit = data.draw(st.integers(0, end))
        room = data.draw(st.integers(0, 3000))
        got = list(iter_batches(log.read(offset, room, max_offset=limit)))
        could = [
            b for b in sent if b.header.last_offset >= offset and b.header.next_offset <= limit
        ]
        if offset >= limit or not could:
            assert [] == got
            continue
        expected = [bytes(one.view) for one in could[: len(got)]]

        assert expected == [bytes(one.view) for one in got]
        assert len(got) == 1 or sum(map(len, expected)) <= room
        following = could[len(got)] if len(got) < len(could) else None
        rolled = following and following.header.base_offset in log.segment_base_offsets
        assert not following or rolled or sum(map(len, expected)) + len(following.view) > room


def test_full_disk_refuses_and_recovers_when_room_returns(tmp_path):
    """
    Without room an append is KAFKA_STORAGE_ERROR and leaves no torn batch; with room it works.
    """
    fs = FaultyFileSystem()
    log = open_log(tmp_path, fs=fs)
    put(log, producer=(1, 0, 0))
    for space in (0, 1, 20, 60):
        fs.space = space
        with pytest.raises(Refused) as caught:
            put(log, producer=(1, 0, 1))

        assert ErrorCode.KAFKA_STORAGE_ERROR == caught.value.code
        assert log.online
    fs.space = None

    assert 1 == put(log, producer=(1, 0, 1)).base_offset
    assert [0, 1] == [record.offset for record in records_of(log)]
    assert log.close()
    assert 2 == open_log(tmp_path).log_end_offset


@pytest.mark.parametrize("space", range(0, 300, 12))
def test_full_disk_while_rolling(tmp_path, space):
    """
    Wherever the disk fills up during a roll, nothing is lost and the log goes on later.
    """
    fs = FaultyFileSystem()
    log = open_log(tmp_path, fs=fs, segment_bytes=3 * len(batch()), index_interval_bytes=1)
    for at in range(3):
        put(log, producer=(1, 0, at))
    fs.space = space
    try:
        put(log, producer=(1, 0, 3))
        sequence = 4
    except Refused:
        sequence = 3
    fs.space = None
    for at in range(sequence, 8):
        put(log, producer=(1, 0, at))

    assert list(range(8)) == [record.offset for record in records_of(log)]
    for clean in (False, True):
        log.close()
        log = open_log(tmp_path, clean=clean, segment_bytes=3 * len(batch()))

        assert list(range(8)) == [record.offset for record in records_of(log)]
        assert put(log, producer=(1, 0, 7)).duplicate


def test_write_that_cannot_be_undone_takes_the_log_offline(tmp_path):
    """
    After a torn write the log answers KAFKA_STORAGE_ERROR until recovery cuts the tear off.
    """
    fs = FaultyFileSystem()
    log = open_log(tmp_path, fs=fs)
    put(log)
    fs.space, fs.broken = 30, {"truncate"}
    with pytest.raises(Refused):
        put(log)
    fs.space, fs.broken = None, set()
    with pytest.raises(Refused) as caught:
        put(log)

    assert ErrorCode.KAFKA_STORAGE_ERROR == caught.value.code
    assert [0] == [record.offset for record in records_of(log)]
    assert not log.close()
    assert 1 == open_log(tmp_path).log_end_offset


def test_failed_fsync_takes_the_log_offline(tmp_path):
    """
    After a failed fsync nothing is acknowledged any more and the stop is not clean.
    """
    fs = FaultyFileSystem()
    log = open_log(tmp_path, fs=fs)
    put(log)
    fs.broken = {"fsync"}
    with pytest.raises(Refused):
        log.flush()
    fs.broken = set()
    with pytest.raises(Refused):
        put(log)

    assert not log.online
    assert not log.close()


def test_unreadable_disk_is_a_storage_error(tmp_path):
    """
    A read that fails is KAFKA_STORAGE_ERROR for the reader and nothing for the writer.
    """
    fs = FaultyFileSystem()
    log = open_log(tmp_path, fs=fs)
    put(log)
    fs.broken = {"pread"}
    for attempt in (
        lambda: log.read(0, 100),
        lambda: log.offset_for_timestamp(NOW),
        log.max_timestamp_offset,
    ):
        with pytest.raises(Refused) as caught:
            attempt()

        assert ErrorCode.KAFKA_STORAGE_ERROR == caught.value.code
    fs.broken = set()

    assert 1 == put(log).base_offset


def test_damaged_length_is_corrupt_for_the_reader(tmp_path):
    """
    A batch on disk whose length was damaged answers CORRUPT_MESSAGE, not an exception.
    """
    log = open_log(tmp_path)
    put(log)
    with (tmp_path / f"{0:020d}.log").open("r+b") as file:
        file.seek(8)
        file.write(b"\xff" * 4)
    with pytest.raises(Refused) as caught:
        log.read(0, 100)

    assert ErrorCode.CORRUPT_MESSAGE == caught.value.code


def test_closed_log_refuses(tmp_path):
    """
    After close nothing is appended, and closing again changes nothing.
    """
    log = open_log(tmp_path)

    assert log.close()
    assert log.close()
    with pytest.raises(Refused):
        put(log)


def test_config_changes_apply_at_once(tmp_path):
    """
    A new config governs the next append.
    """
    log = open_log(tmp_path)
    put(log)
    log.config = replace(log.config, message_timestamp_type=TimestampType.LOG_APPEND_TIME)

    assert put(log).log_append_time_ms > 0
