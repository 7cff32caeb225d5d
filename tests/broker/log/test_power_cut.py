"""A loss of power, or a fault of the disk, at every call that logs make (cases F2, F5, B1, B3)."""

from __future__ import annotations

import logging

import pytest

from pyproducer.errors import ConfigError
from tests.helpers.log_workload import Judge, Workload
from tests.helpers.memory_disk import FAULTS, LEFT, MemoryDisk, PowerCutError

#: A batch counts once it was forced to disk, or once it was written.
MODES = [pytest.param(True, id="always"), pytest.param(False, id="os")]


@pytest.fixture(autouse=True)
def silence(caplog: pytest.LogCaptureFixture) -> None:
    """Thousands of starts tell what they have repaired."""
    caplog.set_level(logging.CRITICAL)


def calls_of(*, always: bool) -> int:
    """How many calls the script makes on a disk without faults, which it must get through."""
    disk = MemoryDisk()
    work = Workload(disk, always=always)
    work.run()
    assert all(len(one.acknowledged) == len(one.attempted) > 1 for one in work.written.values())
    Judge(work, disk.after_power_cut("nothing", 0)).check()
    return disk.calls


@pytest.mark.parametrize("always", MODES)
@pytest.mark.parametrize("left", LEFT)
def test_f2_b1_power_cut_at_every_call(left: str, always: bool, capsys: pytest.CaptureFixture[str]):
    """
    However much of what was not forced to disk is there, the logs start; none has a hole, a doubled
    or a foreign record; forced ones are all there, and a batch sent again is known if it is there.
    """
    calls = calls_of(always=always)
    lost = 0
    for at in range(calls):
        disk = MemoryDisk()
        disk.cut_at = at
        work = Workload(disk, always=always)
        with pytest.raises(PowerCutError):
            work.run()
        judge = Judge(work, disk.after_power_cut(left, at))
        judge.check()
        lost += judge.lost

    assert (always or left == "everything") is (lost == 0)
    with capsys.disabled():
        mode = "always" if always else "os"
        print(f"\nflush={mode}, {left} left: {calls} cuts, {lost} acknowledged batches lost")


@pytest.mark.parametrize("always", MODES)
@pytest.mark.parametrize("kind", FAULTS)
def test_f5_fault_at_every_call(kind: str, always: bool, capsys: pytest.CaptureFixture[str]):
    """
    A fault at any call costs what it meets and no more: what was acknowledged before and after it is
    there when the process ends, and when the power does if it was forced to disk.
    """
    calls = calls_of(always=always)
    struck = failed = 0
    for at in range(calls):
        disk = MemoryDisk()
        disk.fault = at, kind
        work = Workload(disk, always=always)
        try:
            work.run()
        except (OSError, ConfigError):
            # At the start, where there is no broker yet.
            assert not work.written
        if not disk.struck:
            break
        struck += 1
        failed += any(len(one.acknowledged) < 9 for one in work.written.values())
        for left in ("everything", *(["nothing"] if always else [])):
            judge = Judge(work, disk.after_power_cut(left, at))
            judge.check()
            assert 0 == judge.lost

    with capsys.disabled():
        mode = "always" if always else "os"
        print(f"\n{kind}, flush={mode}: {struck} faults, {failed} runs with refused batches")
    assert struck
