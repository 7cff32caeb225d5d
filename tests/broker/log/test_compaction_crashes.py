"""M6: whatever stops a cleaning at any call of the file system, the log is one of what it was before
and after each replacement, never both and never neither."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from pyproducer.broker.log.producer_state import EndMarker
from pyproducer.records.batch import CONTROL_BIT
from tests.helpers.compaction import Rig
from tests.helpers.crashing_disk import CrashingDisk
from tests.helpers.partition_logs import NOW, TP, batches_of, state_of
from tests.helpers.virtual_time import VirtualTime

DATA = Path("/data")
DAY = 86_400.0
CONFIG: dict[str, Any] = {"segment_bytes": 700, "index_interval_bytes": 100}


def rig_on(disk: CrashingDisk, clock: VirtualTime | None = None) -> Rig:
    return Rig(DATA, fs=disk, clock=clock, **CONFIG)


def written() -> CrashingDisk:
    """A log that was cleaned once, long ago, and is dirty again, of everything there can be."""
    disk = CrashingDisk()
    rig = rig_on(disk)
    fill(rig, 0)
    rig.clean()
    fill(rig, 100)
    rig.log.flush()
    rig.log.close()
    return disk


def fill(rig: Rig, first: int) -> None:
    sequence = first // 100 * 6
    for at in range(first, first + 6):
        rig.put((f"k{at % 4}", str(at)), (f"only-{at}", None if at % 3 else "v" * 60), time=NOW)
        for producer in (7, 8):
            rig.put(("t", f"{producer}-{at}"), producer=(producer, 0, sequence), transactional=True)
        sequence += 1
        rig.log.append_marker(7, 0, EndMarker(True, 0), leader_epoch=0)
        rig.log.append_marker(8, 0, EndMarker(False, 0), leader_epoch=0)
    rig.put(("idle", str(first)), producer=(9 + first, 0, 0))
    rig.put(("idle", "last"))
    rig.seal()
    rig.put(("z", "active"))


def view(rig: Rig) -> Any:
    """Batches, records, and which transactions a reader leaves out."""
    log = rig.log
    return (
        log.log_start_offset,
        log.log_end_offset,
        log.last_stable_offset,
        tuple(
            (
                one.header.base_offset,
                one.header.last_offset,
                one.header.attributes,
                tuple(record[:2] + record[3:5] for record in one.records()),
            )
            for one in batches_of(log)
        ),
    )


def committed(rig: Rig) -> list[Any]:
    """What a reader of committed records sees of the newest record of each key."""
    aborted = [one for segment in rig.log.storage[1] for one in segment.aborted.entries()]
    newest: dict[bytes | None, Any] = {}
    for batch in batches_of(rig.log):
        header = batch.header
        if header.is_control or any(
            header.is_transactional
            and one.producer_id == header.producer_id
            and one.first_offset <= header.base_offset <= one.last_offset
            for one in aborted
        ):
            continue
        for record in batch.records():
            newest[record.key] = record.offset, record.value
    return sorted((key, *found) for key, found in newest.items() if found[1] is not None)


def data(seen: Any) -> list[Any]:
    """The records of a view that are no markers."""
    return [
        record for _, _, kind, records in seen[3] if not kind & CONTROL_BIT for record in records
    ]


def cleaned(disk: CrashingDisk) -> tuple[int, list[Any]]:
    """A cleaning from beginning to end: how many calls it makes, and each view it passes."""
    rig = opened_later(disk)
    views = [view(rig)]
    disk.calls = 0
    for step in rig.cleaner._clean_all():
        step()
        calls = disk.calls
        if (seen := view(rig)) != views[-1]:
            views.append(seen)
        disk.calls = calls
    rig.log.abandon()
    return disk.calls, views


def opened_later(disk: CrashingDisk) -> Rig:
    """The log is open two days later, when the horizons of the first cleaning have passed."""
    clock = VirtualTime()
    clock.pass_time(2 * DAY)
    rig = rig_on(disk, clock)
    disk.calls = 0
    return rig


@pytest.fixture(scope="module")
def history() -> tuple[CrashingDisk, int, list[Any], list[Any], Any]:
    """A written disk, the calls that cleaning it takes, its views, and what is known at the end."""
    disk = written()
    rig = opened_later(disk.copy())
    wanted, producers = committed(rig), state_of(rig.log)
    calls, views = cleaned(disk.copy())
    # Nothing is proven by a cleaning that replaces one segment, or nothing.
    assert len(views) > 3
    return disk, calls, views, wanted, producers


def broken_off(disk: CrashingDisk, at: int) -> CrashingDisk:
    """The disk as a process leaves it that ends at a call of its cleaning."""
    broken = disk.copy()
    rig = opened_later(broken)
    broken.dead_from = at
    rig.clean()
    rig.log.abandon()
    return broken


def everything(_: int) -> bool:
    return True


def nothing(_: int) -> bool:
    return False


def some(seed: int) -> Callable[[int], bool]:
    """Which changes are kept, by the toss of a coin, and the same at each question."""
    return lambda number: random.Random(f"{seed}-{number}").random() < 0.5


def outcomes(at: int) -> Iterator[tuple[str, Callable[[int], bool]]]:
    yield "kill", everything
    yield "power cut", nothing
    for seed in range(2):
        yield f"power cut, seed {seed}", some(100 * at + seed)


def test_m6_a_process_that_ends_anywhere(history):
    """
    After a kill, or a loss of power that keeps any part of what was not forced, at every call:
    one of the views, the same newest committed records, the same producers; and the next cleaning
    ends where the undisturbed one did.
    """
    disk, calls, views, wanted, producers = history
    assert calls > 100
    for at in range(calls + 1):
        broken = broken_off(disk, at)
        for name, keeps in outcomes(at):
            rig = opened_later(broken.after_power_cut(keeps))
            where = f"{name} at call {at}"
            assert view(rig) in views, where
            assert wanted == committed(rig), where
            assert producers == state_of(rig.log), where
            if at % 8:
                # Cleaning again takes most of the time, and has less to go wrong.
                rig.log.abandon()
                continue
            rig.clean()
            assert data(view(rig)) == data(views[-1]), where
            leftovers = {one.rpartition(".")[2] for one in rig.fs.listdir(DATA / str(TP))}
            assert leftovers <= {"log", "index", "timeindex", "txnindex", "snapshot"} | {
                "leader-epoch-checkpoint"
            }, where
            rig.log.abandon()


def test_m6_a_start_that_ends_anywhere(history):
    """
    The start that finishes what was begun may itself be killed at any call, or lose its power.
    """
    disk, calls, _, wanted, producers = history
    left_off = [broken_off(disk, at).after_power_cut(everything) for at in range(calls)]
    begun = [one for one in left_off if any(".swap" in str(name) for name in one.names)]
    assert len(begun) > 40
    for number, broken in enumerate(begun[::24]):
        whole = opened_later(broken.copy())
        expected = view(whole)
        whole.log.abandon()
        for again in range(0, _calls_of_start(broken), 6):
            second = broken.copy()
            second.dead_from = again
            with pytest.raises(OSError, match="Input/output"):
                opened_later(second)
            for keeps in (everything, some(number * 1000 + again)):
                rig = opened_later(second.after_power_cut(keeps))
                where = f"state {number}, start ends at {again}"
                assert expected == view(rig), where
                assert wanted == committed(rig), where
                assert producers == state_of(rig.log), where
                rig.log.abandon()


def _calls_of_start(disk: CrashingDisk) -> int:
    copy = disk.copy()
    rig_on(copy)
    return copy.calls


def test_m6_one_failing_call(history):
    """
    A call that fails leaves the log as it was or cleaned, or offline; a reader sees one of the
    views at once, and so does one after the next start, clean or not.
    """
    disk, calls, views, wanted, producers = history
    offline = 0
    for at in range(calls):
        failing = disk.copy()
        rig = opened_later(failing)
        failing.fails_at = at
        rig.clean()
        where = f"call {at} of {calls}"
        offline += not rig.log.online
        if rig.log.online:
            assert view(rig) in views, where
            assert wanted == committed(rig), where
            assert rig.put(("new", "1")) == views[0][1], where
            rig.log.truncate_to(views[0][1])
        again = opened_later(failing.copy())
        assert view(again) in views, where
        assert wanted == committed(again), where
        assert producers == state_of(again.log), where
        if at % 8:
            rig.log.abandon()
            again.log.abandon()
            continue
        again.clean()
        assert data(view(again)) == data(views[-1]), where
        rig.log.abandon()
        again.log.abandon()
    # Whatever may be half done on disk is not written to any more, and little is in doubt.
    assert 0 < offline < calls / 2
