"""Retention by time and by size (statements G3 and G4)."""

from __future__ import annotations

import pytest

from tests.helpers.partition_logs import NOW, batch, dropped, open_log, put, records_of, state_of
from tests.helpers.virtual_time import VirtualTime

SIZE = len(batch())


def filled(path, times, *, clock=None, **config):
    """A log with segments of two batches each, and these timestamps."""
    log = open_log(path, clock=clock, segment_bytes=2 * SIZE, **config)
    for at, time in enumerate(times):
        put(log, time=time, producer=(1, 0, at))
    return log


def test_g3_segments_go_when_their_youngest_record_is_too_old(tmp_path):
    """
    Older than retention.ms goes, exactly as old stays, oldest first.
    """
    log = filled(tmp_path, [NOW - 2001, NOW - 1001, NOW - 1000, NOW - 1000, NOW], retention_ms=1000)

    assert 1 == dropped(log)
    assert (2, [2, 4]) == (log.log_start_offset, log.segment_base_offsets)
    assert 0 == dropped(log)


def test_g3_the_active_segment_goes_too(tmp_path):
    """
    A log whose records are all too old is empty, and goes on at the same offset.
    """
    clock = VirtualTime()
    log = filled(tmp_path, [NOW] * 5, clock=clock, retention_ms=1000)
    before = state_of(log)
    clock.pass_time(1.001)

    assert 3 == dropped(log)
    assert (5, 5, 0) == (log.log_start_offset, log.log_end_offset, log.size)
    assert before == state_of(log)
    assert 5 == put(log).base_offset
    assert [5] == [record.offset for record in records_of(log)]


def test_g3_a_future_timestamp_pins_its_segment_and_all_after(tmp_path):
    """
    Retention stops at the first segment that must stay.
    """
    log = filled(tmp_path, [NOW - 9000, NOW + 9000, NOW - 9000, NOW - 9000, NOW], retention_ms=1000)

    assert 0 == dropped(log)


def test_g3_only_below_the_high_watermark(tmp_path):
    """
    A segment that is not wholly committed stays.
    """
    log = filled(tmp_path, [NOW - 9000] * 5, retention_ms=1000)
    log.high_watermark = 3

    assert 1 == dropped(log)
    assert 2 == log.log_start_offset


@pytest.mark.parametrize(
    "config", [{"retention_ms": -1}, {"cleanup_policy": frozenset({"compact"})}]
)
def test_g3_off(tmp_path, config):
    """
    retention.ms=-1 keeps everything, and so does a policy without delete.
    """
    log = filled(tmp_path, [0] * 5, **config)

    assert 0 == dropped(log)


def test_g3_segments_without_timestamps_are_as_old_as_their_file(tmp_path):
    """
    Records without a time are counted from when the segment was made or opened.
    """
    clock = VirtualTime()
    log = filled(tmp_path, [-1, -1, -1], clock=clock, retention_ms=1000)

    assert 0 == dropped(log)
    clock.pass_time(2)

    assert 2 == dropped(log)


@pytest.mark.parametrize(
    ("limit", "start"), [(0, 7), (SIZE, 6), (SIZE + 1, 4), (3 * SIZE, 4), (7 * SIZE, 0), (-1, 0)]
)
def test_g4_size_never_falls_below_the_limit(tmp_path, limit, start):
    """
    Whole segments go while what remains is at least retention.bytes; the active one stays.
    """
    log = filled(tmp_path, [NOW] * 7, retention_bytes=limit)
    dropped(log)

    assert start == log.log_start_offset
    assert log.size >= min(limit, 7 * SIZE)


def test_retention_survives_a_restart(tmp_path):
    """
    What was deleted stays deleted, also without a checkpoint.
    """
    log = filled(tmp_path, [NOW - 5000] * 4 + [NOW], retention_ms=1000)
    dropped(log)
    again = open_log(tmp_path)

    assert (4, 5) == (again.log_start_offset, again.log_end_offset)
