"""Aborted transactions: their index, and what recovery makes of it."""

from __future__ import annotations

import struct
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pyproducer.broker.errors import Refused
from pyproducer.broker.log.aborted import AbortedIndex, AbortedTransaction
from pyproducer.broker.log.filesystem import RealFileSystem
from pyproducer.broker.log.index import CorruptIndexError
from pyproducer.broker.log.log import PartitionLog
from pyproducer.broker.log.producer_state import EndMarker
from pyproducer.protocol.error_codes import ErrorCode
from tests.helpers.partition_logs import batch, open_log, put, release_logs

FS = RealFileSystem(sync=False)
#: About three batches a segment.
SMALL = {"segment_bytes": 300, "index_interval_bytes": 1}


def end(log: PartitionLog, producer: int, *, commit: bool, epoch: int = 0) -> int:
    return log.append_marker(producer, epoch, EndMarker(commit, 1), leader_epoch=0)


def aborted(log: PartitionLog) -> list[AbortedTransaction]:
    """All that the log lists, by segment."""
    return [one for segment in log._segments for one in segment.aborted.entries()]


def test_layout_is_kafkas(tmp_path):
    """
    X5: an entry is version 0, producer id, first offset, marker's offset, last stable offset.
    """
    log = open_log(tmp_path)
    put(log, producer=(5, 0, 0), transactional=True)
    put(log, producer=(6, 0, 0), transactional=True)
    put(log, producer=(7, 0, 0), transactional=True)
    for producer in (6, 5, 7):
        end(log, producer, commit=False)
    log.close()
    raw = (tmp_path / f"{0:020d}.txnindex").read_bytes()

    entry = struct.Struct(">hqqqq")
    assert [(0, 6, 1, 3, 0), (0, 5, 0, 4, 2), (0, 7, 2, 5, 6)] == list(entry.iter_unpack(raw))


def test_no_file_where_nothing_was_aborted(tmp_path):
    """
    A log without aborts has no .txnindex.
    """
    log = open_log(tmp_path, **SMALL)
    for at in range(9):
        put(log, producer=(5, 0, at), transactional=True)
        end(log, 5, commit=True)
    log.close()

    assert [] == list(tmp_path.glob("*.txnindex"))


@pytest.mark.parametrize(
    "raw",
    [
        b"x",
        struct.pack(">hqqqq", 1, 5, 0, 1, 1),
        struct.pack(">hqqqq", 0, 5, 2, 1, 1),
        struct.pack(">hqqqq", 0, 5, -1, 1, 1),
        struct.pack(">hqqqq", 0, 5, 0, 1, 1) * 2,
    ],
)
def test_impossible_files_are_refused(tmp_path, raw):
    """
    A file of another length, version or order was not written by us.
    """
    path = tmp_path / "0.txnindex"
    path.write_bytes(raw)
    with pytest.raises(CorruptIndexError):
        AbortedIndex(FS, path).open(growing=True)


@pytest.mark.parametrize("stop", ["clean", "crash", "crash without index", "broken index"])
def test_aborts_survive(tmp_path, stop):
    """
    X5: after a clean stop the file is believed; after a crash, and where it is broken, the list is
    made again from the batches, over many segments.
    """
    log = open_log(tmp_path, **SMALL)
    for at in range(12):
        put(log, producer=(5, 0, at), transactional=True)
        put(log, producer=(6, 0, at), transactional=True)
        end(log, 5, commit=at % 2 == 0)
        put(log)
        end(log, 6, commit=at % 3 == 0)
    put(log, producer=(7, 0, 0), transactional=True)
    before, stable = aborted(log), log.last_stable_offset
    assert len(log.segment_base_offsets) > 5
    if stop == "crash":
        release_logs()
    elif stop == "crash without index":
        release_logs()
        for path in tmp_path.glob("*.txnindex"):
            path.unlink()
    else:
        assert log.close()
    if stop == "broken index":
        for path in tmp_path.glob("*.txnindex"):
            path.write_bytes(b"x")
    end_offset = log.log_end_offset
    clean = not stop.startswith("crash")
    again = open_log(tmp_path, clean=clean, recovery_point=end_offset if clean else 0, **SMALL)

    assert (before, stable) == (aborted(again), again.last_stable_offset)


def test_a_snapshot_of_later_does_not_hide_where_a_transaction_began(tmp_path):
    """
    X5: the list of an earlier segment is made from an earlier snapshot.
    """
    log = open_log(tmp_path, **SMALL)
    put(log, producer=(5, 0, 0), transactional=True)
    for _ in range(8):
        put(log)
    end(log, 5, commit=False)
    for _ in range(8):
        put(log)
    [before] = aborted(log)
    assert len(list(tmp_path.glob("*.snapshot"))) > 3
    release_logs()
    for path in tmp_path.glob("*.txnindex"):
        path.unlink()
    # The first segments were forced to disk before the crash, those with the marker not.
    again = open_log(tmp_path, recovery_point=4, **SMALL)

    assert [before] == aborted(again)


def test_truncation_takes_back_what_it_cuts(tmp_path):
    """
    An abort whose marker is cut off is listed no more, and the transaction is open again.
    """
    log = open_log(tmp_path, **SMALL)
    for at in range(4):
        put(log, producer=(5, 0, at), transactional=True)
        end(log, 5, commit=False)
    listed = aborted(log)
    log.truncate_to(5)

    assert listed[:2] == aborted(log)
    assert (4, 5) == (log.last_stable_offset, log.log_end_offset)
    end(log, 5, commit=False)
    assert listed[:3] == aborted(log)


def test_deleted_segments_take_their_lists_along(tmp_path):
    """
    Retention removes .txnindex files with the segments.
    """
    log = open_log(tmp_path, **SMALL)
    for at in range(9):
        put(log, producer=(5, 0, at), transactional=True)
        end(log, 5, commit=False)
    log.flush()
    log.delete_records_before(log.log_end_offset)

    assert {path.stem for path in tmp_path.glob("*.txnindex")} <= {
        path.stem for path in tmp_path.glob("*.log")
    }


def test_marker_that_cannot_be_written_changes_nothing(tmp_path):
    """
    X4: the transaction is open as before when the disk refuses its marker.
    """
    from tests.helpers.faulty_disk import FaultyFileSystem

    fs = FaultyFileSystem()
    log = open_log(tmp_path, fs=fs)
    put(log, producer=(5, 0, 0), transactional=True)
    fs.space = 30
    with pytest.raises(Refused) as refused:
        end(log, 5, commit=False)
    fs.space = None

    assert ErrorCode.KAFKA_STORAGE_ERROR == refused.value.code
    assert (0, []) == (log.last_stable_offset, aborted(log))
    assert end(log, 5, commit=False)
    assert 2 == log.last_stable_offset


def test_x4_repeated_markers_are_written_once(tmp_path):
    """
    X4: a coordinator that sends its markers again finds the work done.
    """
    log = open_log(tmp_path)
    put(log, producer=(5, 0, 0), transactional=True)
    sizes = [end(log, 5, commit=True) for _ in range(3)]
    raised = end(log, 5, commit=False, epoch=1)

    assert [True, False, False] == [bool(size) for size in sizes]
    assert raised
    assert 3 == log.log_end_offset


def test_lso_is_never_below_the_start_of_the_log(tmp_path):
    """
    X5: DeleteRecords past the start of an open transaction moves the LSO along.
    """
    log = open_log(tmp_path)
    put(log, producer=(5, 0, 0), transactional=True)
    put(log, count=4)
    log.delete_records_before(3)

    assert 3 == log.last_stable_offset


steps = st.lists(
    st.tuples(
        st.sampled_from(["write", "commit", "abort", "plain", "crash", "stop"]),
        st.integers(1, 3),
    ),
    max_size=40,
)


@settings(max_examples=60)
@given(steps)
def test_x5_readers_see_what_was_committed(tmp_path_factory, steps):
    """
    X5: whatever is written, ended and restarted, a reader of any stretch that leaves out what is
    named sees the committed records below the first open one, and no other.
    """
    folder: Path = tmp_path_factory.mktemp("log")
    log = open_log(folder, **SMALL)
    sequences = dict.fromkeys((1, 2, 3), 0)
    open_: dict[int, list[int]] = {1: [], 2: [], 3: []}
    committed: set[int] = set()
    for step, producer in steps:
        if step == "write":
            result = put(log, producer=(producer, 0, sequences[producer]), transactional=True)
            sequences[producer] += 1
            open_[producer].append(result.base_offset)
        elif step == "plain":
            committed.add(put(log).base_offset)
        elif step in {"commit", "abort"}:
            end(log, producer, commit=step == "commit")
            if step == "commit":
                committed.update(open_[producer])
            open_[producer] = []
        else:
            if step == "stop":
                log.close()
            else:
                release_logs()
            log = open_log(folder, clean=step == "stop", **SMALL)
    first_open = min((places[0] for places in open_.values() if places), default=None)
    limit = log.log_end_offset if first_open is None else first_open
    assert limit == log.last_stable_offset
    for start in range(limit):
        assert {one for one in committed if start <= one < limit} == visible(log, start)
    release_logs()


def visible(log: PartitionLog, start: int) -> set[int]:
    """The offsets that a read_committed consumer starting there shows."""
    from pyproducer.records.reader import iter_batches

    seen: set[int] = set()
    offset, limit = start, log.last_stable_offset
    while data := log.read(offset, 200, max_offset=limit):
        batches = list(iter_batches(data))
        aborted = log.aborted_transactions(offset, batches[-1].header.next_offset)
        waiting = sorted(aborted, key=lambda one: one.first_offset)
        skipped: set[int] = set()
        for one in batches:
            header = one.header
            while waiting and waiting[0].first_offset <= header.last_offset:
                skipped.add(waiting.pop(0).producer_id)
            if header.is_control:
                skipped.discard(header.producer_id)
            elif not (header.is_transactional and header.producer_id in skipped):
                seen.update(range(header.base_offset, header.next_offset))
            offset = header.next_offset
    return {one for one in seen if one >= start}


def test_batches_without_sequences_open_transactions(tmp_path):
    """
    X7: offsets that the group coordinator writes for a producer have no sequence, and count.
    """
    from pyproducer.broker.log.validation import own_batch

    log = open_log(tmp_path)
    for _ in range(3):
        data = batch(producer=(5, 0, -1), transactional=True)
        log.append(own_batch(data, log.config), leader_epoch=0)
    stale = batch(producer=(5, -1, -1), transactional=True)
    with pytest.raises(Refused) as refused:
        log.append(own_batch(stale, log.config), leader_epoch=0)

    assert ErrorCode.INVALID_PRODUCER_EPOCH == refused.value.code
    assert (0, 3) == (log.last_stable_offset, log.log_end_offset)
    assert 0 == open_log(tmp_path).last_stable_offset
