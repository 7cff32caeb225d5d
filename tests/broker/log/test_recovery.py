"""Opening a log after a crash (statements G5 and I7)."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pyproducer.broker.log.markers import end_marker
from pyproducer.broker.log.producer_state import EndMarker
from pyproducer.broker.log.recovery import verified_headers
from pyproducer.records.builder import build_batch
from pyproducer.records.reader import read_batch
from pyproducer.records.record import Record
from tests.helpers.appending_process import COUNT, SETTINGS
from tests.helpers.faulty_disk import FaultyFileSystem
from tests.helpers.partition_logs import (
    batch,
    batches_of,
    open_log,
    put,
    records_of,
    release_logs,
    state_of,
)

SMALL = {"segment_bytes": 600, "index_interval_bytes": 1}


def fill(path, batches=10, **config):
    """A log that was never closed, and what it looked like."""
    log = open_log(path, **(SMALL | config))
    for at in range(batches):
        put(log, count=2, producer=(1, 0, at * 2), leader_epoch=at // 4)
    return log


def view(log):
    return (
        [bytes(one.view) for one in batches_of(log)],
        log.log_start_offset,
        log.log_end_offset,
        log.segment_base_offsets,
        state_of(log),
        log._epochs.entries,
    )


def index_entries(log):
    return [
        (segment.offset_index.entries(), segment.time_index.entries()) for segment in log._segments
    ]


@pytest.mark.parametrize("clean", [True, False], ids=["clean stop", "crash"])
def test_g5_nothing_is_lost_without_damage(tmp_path, clean):
    """
    A log that was written and not damaged is the same after either kind of stop.
    """
    log = fill(tmp_path)
    before = view(log)
    if clean:
        log.close()
    again = open_log(tmp_path, clean=clean, **SMALL)

    assert before == view(again)
    assert 20 == put(again, count=2, producer=(1, 0, 20)).base_offset


def test_g5_rebuilt_indexes_equal_the_written_ones(tmp_path):
    """
    Recovery makes the same index files, byte for byte, as the appends did.
    """
    log = fill(tmp_path, 30)
    log.close()
    files = sorted([*tmp_path.glob("*.index"), *tmp_path.glob("*.timeindex")])
    written = [file.read_bytes() for file in files]
    for file in files:
        file.unlink()
    again = open_log(tmp_path, **SMALL)
    again.close()

    assert any(written)
    assert written == [file.read_bytes() for file in files]


@pytest.mark.parametrize("kind", ["missing", "odd length", "rubbish", "beyond the log"])
def test_bad_indexes_are_rebuilt_after_a_clean_stop(tmp_path, kind):
    """
    A clean stop is trusted, an impossible index file is not.
    """
    log = fill(tmp_path, 30)
    entries = index_entries(log)
    log.close()
    for file in [*tmp_path.glob("*.index"), *tmp_path.glob("*.timeindex")]:
        if kind == "missing":
            file.unlink()
        elif kind == "odd length":
            file.write_bytes(file.read_bytes() + b"x")
        elif kind == "rubbish":
            file.write_bytes(b"\xff" * 24)
        elif file.suffix == ".index":
            file.write_bytes(b"\0\0\0\x01\x7f\0\0\0")
    again = open_log(tmp_path, clean=True, **SMALL)

    assert 60 == len(records_of(again))
    if kind != "missing":
        # A file that is gone reads as an empty index, which is slow and not wrong.
        assert entries[:-1] == index_entries(again)[:-1]


def later(log, at):
    """First offset after a segment, or one that no batch has."""
    return [*log.segment_base_offsets, 1 << 62][at + 1]


@given(st.data())
@settings(max_examples=100)
def test_g5_the_log_ends_before_the_first_damage(tmp_path_factory, data):
    """
    A tail cut anywhere, or any bit turned, costs the batches from there on and no others.
    """
    path = tmp_path_factory.mktemp("log")
    log = fill(path)
    whole = batches_of(log)
    sizes = [file.stat().st_size for file in sorted(path.glob("*.log"))]
    release_logs()
    at = data.draw(st.integers(0, len(sizes) - 1), "segment")
    file = sorted(path.glob("*.log"))[at]
    raw = bytearray(file.read_bytes())
    place = data.draw(st.integers(0, len(raw) - 1), "position")
    kept, end = [], -sum(sizes[:at])
    for one in whole:
        if end + len(one.view) > place:
            break
        end += len(one.view)
        kept.append(one)
    expected = [bytes(one.view) for one in kept]
    if data.draw(st.booleans(), "cut"):
        del raw[place:]
        if place == end:
            # Between two batches nothing shows that some are missing.
            expected += [
                bytes(one.view) for one in whole if one.header.base_offset >= later(log, at)
            ]
    else:
        raw[place] ^= 1 << data.draw(st.integers(0, 7), "bit")
    file.write_bytes(raw)
    again = open_log(path, **SMALL)
    got = [bytes(one.view) for one in batches_of(again)]

    if len(raw) < sizes[at] or 8 <= place - end < 12 or place - end >= 16:
        assert expected == got
    else:
        # Offset and epoch are outside the CRC: damage there may pass, in order and in bounds.
        assert expected == got[: len(expected)]
        assert {content[16:] for content in got} <= {bytes(one.view[16:]) for one in whole}
    result = put(again, count=2, producer=(9, 0, 0))

    assert again.log_end_offset == result.last_offset + 1


def test_g5_later_segments_go_before_the_cut(tmp_path):
    """
    A recovery that is interrupted leaves the damage in sight for the next one.
    """
    fill(tmp_path, 20)
    release_logs()
    first = min(tmp_path.glob("*.log"))
    raw = bytearray(first.read_bytes())
    raw[-1] ^= 1
    first.write_bytes(raw)
    fs = FaultyFileSystem()
    fs.broken = {"remove"}
    with pytest.raises(OSError):
        open_log(tmp_path, fs=fs, **SMALL)

    assert raw == first.read_bytes()
    assert 10 == open_log(tmp_path, **SMALL).log_end_offset
    assert [first] == list(tmp_path.glob("*.log"))


def test_g5_recovery_starts_at_the_recovery_point(tmp_path):
    """
    Segments below the recovery point are trusted, all others are held against their CRCs.
    """
    log = fill(tmp_path)
    bases = log.segment_base_offsets
    first = tmp_path / f"{0:020d}.log"
    log.flush()
    point = log.recovery_point
    release_logs()
    raw = bytearray(first.read_bytes())
    raw[70] ^= 1
    first.write_bytes(raw)
    trusting = open_log(tmp_path, recovery_point=point, **SMALL)

    assert (20, bases) == (trusting.log_end_offset, trusting.segment_base_offsets)
    release_logs()

    assert 0 == open_log(tmp_path, recovery_point=0, **SMALL).log_end_offset


def test_g5_log_start_above_the_recovered_end(tmp_path):
    """
    If all that was readable is gone, the log goes on at its start, never below.
    """
    log = fill(tmp_path)
    log.delete_records_before(15)
    release_logs()
    for file in tmp_path.glob("*.log"):
        file.write_bytes(b"")
    again = open_log(tmp_path, log_start_offset=15, **SMALL)

    assert (15, 15) == (again.log_start_offset, again.log_end_offset)
    assert 15 == put(again).base_offset


def test_g5_lost_epoch_checkpoint_is_rebuilt(tmp_path):
    """
    Without its checkpoint the log finds its leader epochs in the batches.
    """
    log = fill(tmp_path)
    entries = log._epochs.entries
    log.close()
    (tmp_path / "leader-epoch-checkpoint").unlink()
    again = open_log(tmp_path, clean=True, **SMALL)

    assert entries == again._epochs.entries
    assert (tmp_path / "leader-epoch-checkpoint").exists()


def test_leftovers_are_removed(tmp_path):
    """
    Temporary files and indexes without a log are gone after opening.
    """
    fill(tmp_path)
    for name in ("x.tmp", f"{999:020d}.index", f"{999:020d}.timeindex", f"{0:020d}.log.deleted"):
        (tmp_path / name).write_bytes(b"?")
    open_log(tmp_path, **SMALL)

    assert set() == {f.name for f in tmp_path.iterdir()} & {
        "x.tmp", f"{999:020d}.index", f"{999:020d}.timeindex", f"{0:020d}.log.deleted"
    }  # fmt: skip


def test_recovery_fails_cleanly_on_a_dead_disk(tmp_path):
    """
    A directory that cannot be read raises OSError and leaves no descriptor behind.
    """
    fill(tmp_path)
    release_logs()
    before = len(list(Path("/proc/self/fd").iterdir()))
    fs = FaultyFileSystem()
    fs.broken = {"pread"}
    with pytest.raises(OSError):
        open_log(tmp_path, fs=fs, **SMALL)

    assert before == len(list(Path("/proc/self/fd").iterdir()))


def test_markers_end_transactions_in_a_scan(tmp_path):
    """
    A control batch in the log closes its producer's transaction when state is rebuilt.
    """
    log = open_log(tmp_path)
    put(log, producer=(1, 0, 0), transactional=True)
    marker = control(1, coordinator_epoch=6)
    segment = log._segments.active
    segment.append([marker], last_offset=1, max_timestamp=5, index_interval=4096)
    assert 0 == log.last_stable_offset
    again = open_log(tmp_path)

    assert 2 == again.last_stable_offset
    assert (6, None) == (
        again.producers()[0].coordinator_epoch,
        again.producers()[0].txn_first_offset,
    )


def control(kind, coordinator_epoch):
    value = b"\0\0" + coordinator_epoch.to_bytes(4, "big")
    return build_batch(
        [Record(0, 5, key=b"\0\0" + kind.to_bytes(2, "big"), value=value)],
        base_offset=1, producer_id=1, producer_epoch=0, control=True, transactional=True,
    )  # fmt: skip


@pytest.mark.parametrize(("kind", "commit"), [(0, False), (1, True)])
def test_end_marker_is_understood(kind, commit):
    """
    Key type 0 aborts and 1 commits; other control records say nothing of transactions.
    """
    assert EndMarker(commit, 9) == end_marker(read_batch(control(kind, 9)))
    assert end_marker(read_batch(control(2, 9))) is None


def test_verified_headers_reads_batches_larger_than_its_chunk(tmp_path):
    """
    Batches of any size are verified, those across a read boundary too.
    """
    log = open_log(tmp_path, max_message_bytes=5 << 20)
    for size in (10, 3 << 20, 700_000, 700_000, 10):
        put(log, batch(1, value=b"x" * size))

    assert 5 == len(list(verified_headers(log._segments.active)))


def acknowledged(directory: Path, lines: int) -> dict[int, int]:
    """Start the appending process, kill it after so many lines; offsets by sequence."""
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.helpers.appending_process", str(directory)],
        stdout=subprocess.PIPE,
        cwd=Path(__file__).parents[3],
    )
    assert process.stdout is not None
    told = [process.stdout.readline() for _ in range(lines)]
    process.send_signal(signal.SIGKILL)
    rest, _ = process.communicate()
    whole = [line for line in [*told, *rest.splitlines(keepends=True)] if line.endswith(b"\n")]
    return {int(sequence): int(offset) for offset, sequence in map(bytes.split, whole)}


def test_g5_i7_kill_9_loses_nothing_acknowledged(tmp_path):
    """
    Killed again and again, the log has every acknowledged batch once, where it said it was, and
    answers the last ones as duplicates.
    """
    placed: dict[int, int] = {}
    for lines in (40, 90, 1):
        placed |= acknowledged(tmp_path, lines)
    log = open_log(tmp_path, **SETTINGS)
    found = {one.header.base_sequence: one.header.base_offset for one in batches_of(log)}

    assert placed.items() <= found.items()
    assert list(range(0, len(found) * COUNT, COUNT)) == list(found)
    assert [record.offset for record in records_of(log)] == list(range(log.log_end_offset))
    for sequence in list(found)[-5:]:
        result = put(log, batch(COUNT, producer=(5, 0, sequence)))

        assert (True, found[sequence]) == (result.duplicate, result.base_offset)


@pytest.mark.parametrize(
    "name",
    ["99999999999999999999.log", "18446744073709551615.index", "\u00b2.log", "5.log", "\u0663.log"],
)
def test_files_of_other_names_are_left_alone(tmp_path, name):
    """
    What is not named after an offset of 64 bits is no segment, however much of a number it is.
    """
    log = open_log(tmp_path)
    put(log)
    log.close()
    (tmp_path / name).write_bytes(b"of somebody else")

    opened = open_log(tmp_path)
    put(opened)

    assert 2 == opened.log_end_offset
    assert b"of somebody else" == (tmp_path / name).read_bytes()


def test_offsets_that_no_segment_has_are_recovered_after_a_clean_stop(tmp_path):
    """
    A batch that is trusted after a clean stop, but whose offset is far off, ends the log.
    """
    log = open_log(tmp_path)
    put(log)
    put(log)
    log.close()
    [path] = tmp_path.glob("*.log")
    data = bytearray(path.read_bytes())
    second = len(data) // 2
    data[second : second + 8] = (1 << 60).to_bytes(8, "big")
    path.write_bytes(data)

    opened = open_log(tmp_path, clean=True)

    assert 1 == opened.log_end_offset
    assert opened.close()


def test_damage_in_what_was_forced_to_disk_keeps_the_log_closed(tmp_path):
    """
    A sealed segment that was cut is told as an error of the disk; none of its files is changed.
    """
    log = open_log(tmp_path, segment_bytes=200)
    for _ in range(4):
        put(log)
    end = log.log_end_offset
    log.close()
    # Without a snapshot every segment is read for its producers.
    for path in tmp_path.glob("*.snapshot"):
        path.unlink()
    first = min(tmp_path.glob("*.log"))
    first.write_bytes(first.read_bytes()[:-10])
    before = {path.name: path.stat().st_size for path in tmp_path.glob("*.log")}

    with pytest.raises(OSError, match="pyproducer log verify"):
        open_log(tmp_path, clean=True, recovery_point=end)

    assert before == {path.name: path.stat().st_size for path in tmp_path.glob("*.log")}


def test_files_are_for_their_owner_alone(tmp_path):
    """
    Nobody else on the machine reads a log's records.
    """
    log = open_log(tmp_path)
    put(log)
    log.close()

    assert {0o600} == {path.stat().st_mode & 0o777 for path in tmp_path.iterdir()}
