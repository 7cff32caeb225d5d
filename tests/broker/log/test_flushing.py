"""What of a log is on disk, and what a flush forces there."""

from __future__ import annotations

import pytest

from pyproducer.broker.errors import Refused
from pyproducer.broker.log.filesystem import RealFileSystem
from tests.helpers.faulty_disk import FaultyFileSystem
from tests.helpers.partition_logs import open_log, put, release_logs
from tests.helpers.virtual_time import VirtualTime

SMALL = {"segment_bytes": 500, "index_interval_bytes": 1}


def test_flush_moves_the_recovery_point(tmp_path):
    """
    After a flush nothing below the end needs recovery; without news it does nothing.
    """
    fs = FaultyFileSystem()
    log = open_log(tmp_path, fs=fs, **SMALL)
    for _ in range(9):
        put(log)

    assert 0 == log.recovery_point
    log.flush()
    synced = fs.fsyncs

    assert 9 == log.recovery_point
    log.flush()

    assert synced == fs.fsyncs


def test_flush_is_wanted_every_flush_messages_records(tmp_path):
    """
    With flush.messages=4 a flush is wanted once four records are not on disk.
    """
    log = open_log(tmp_path, flush_messages=4)

    wanted = []
    for _ in range(4):
        put(log, count=2)
        wanted.append(log.flush_wanted)
        if log.flush_wanted:
            log.flush()

    assert [False, True, False, True] == wanted
    assert 8 == log.recovery_point


def test_flush_of_the_active_segment_is_one_fsync(tmp_path):
    """
    Only the first flush after a roll forces indexes and names; from then on it is the log file.
    """
    fs = FaultyFileSystem()
    log = open_log(tmp_path, fs=fs, **SMALL)
    counts = []
    for _ in range(24):
        put(log)
        before = fs.fsyncs
        log.flush()
        counts.append(fs.fsyncs - before)

    rolls = len(log.segment_base_offsets) - 1
    assert rolls > 1
    # The segment rolled: its log and its two indexes, and the log of the new one.
    assert {1: 24 - rolls, 4: rolls} == {size: counts.count(size) for size in counts}


def test_indexes_of_a_flushed_and_rolled_segment_are_not_trusted(tmp_path):
    """
    A segment that ends at the recovery point may have unforced indexes: they are made anew.
    """
    log = open_log(tmp_path, **SMALL)
    while len(log.segment_base_offsets) == 1:
        log.flush()
        put(log)
    expected = log.offset_for_timestamp(0)
    point = log.recovery_point
    assert point == log.segment_base_offsets[1]
    release_logs()
    (tmp_path / f"{0:020d}.timeindex").write_bytes(b"")
    again = open_log(tmp_path, recovery_point=point, **SMALL)

    assert expected == again.offset_for_timestamp(0)
    assert 0 == expected.offset


def test_flush_ms_is_due_only_with_news(tmp_path):
    """
    A flush is due flush.ms after the last, if anything was appended.
    """
    clock = VirtualTime()
    log = open_log(tmp_path, clock=clock, flush_ms=1000)
    clock.pass_time(5)

    assert not log.flush_due
    put(log)

    assert log.flush_due
    log.flush()
    put(log)

    assert not log.flush_due


def test_flush_is_due_after_a_roll(tmp_path):
    """
    A segment that takes no more is forced to disk whatever the settings, so that recovery has
    one to read.
    """
    log = open_log(tmp_path, **SMALL)
    put(log)
    assert not log.flush_due
    while len(log.segment_base_offsets) == 1:
        put(log)

    assert log.flush_due
    log.flush()
    assert not log.flush_due


def test_flush_ticket_survives_roll_and_deletion(tmp_path):
    """
    What happens to the log while a flush runs elsewhere does not disturb it.
    """
    log = open_log(tmp_path, fs=RealFileSystem(), **SMALL)
    for _ in range(4):
        put(log)
    ticket = log.begin_flush()
    for _ in range(20):
        put(log)
    log.delete_records_before(20)
    log.drop_passed()
    ticket.sync()
    log.end_flush(ticket)

    assert 4 == log.recovery_point


def test_flush_ticket_outlives_its_log(tmp_path):
    """
    A log deleted while it is flushed elsewhere does not fail the flush's end.
    """
    log = open_log(tmp_path / "log", fs=RealFileSystem())
    put(log)
    ticket = log.begin_flush()
    log.abandon()
    (tmp_path / "log").rename(tmp_path / "gone")
    ticket.sync()
    log.end_flush(ticket)

    assert log.failure is None


def test_flush_that_succeeds_beside_one_that_failed_does_not_count(tmp_path):
    """
    Whoever forces a file to disk after an fsync failed hears that all is well, and it is not.
    """
    for first_to_end in (0, 1):
        fs = FaultyFileSystem()
        log = open_log(tmp_path / str(first_to_end), fs=fs)
        put(log)
        tickets = [log.begin_flush()]
        fs.broken.add("fsync")
        tickets[0].sync()
        fs.broken.clear()
        tickets.append(log.begin_flush())
        tickets[1].sync()
        assert tickets[1].synced
        for ticket in (tickets[first_to_end], tickets[1 - first_to_end]):
            with pytest.raises(Refused):
                log.end_flush(ticket)

        assert 0 == log.recovery_point
        assert not log.online


def test_flush_does_not_count_for_what_was_cut_and_written_anew(tmp_path):
    """
    Where the log is cut while it is forced to disk, what takes the place of the rest is not there.
    """
    log = open_log(tmp_path)
    for _ in range(4):
        put(log)
    ticket = log.begin_flush()
    ticket.sync()
    log.truncate_to(2)
    for _ in range(2):
        put(log)
    log.end_flush(ticket)

    assert 2 == log.recovery_point
