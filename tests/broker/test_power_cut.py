"""A loss of power while a broker with flush=always serves (case B1 at the level of requests)."""

from __future__ import annotations

import asyncio
import logging

import pytest

from tests.helpers.broker_workload import TURNS, BrokerWorkload
from tests.helpers.compaction_workload import ROUNDS, CompactionWorkload
from tests.helpers.memory_disk import LEFT, MemoryDisk, PowerCutError
from tests.helpers.transaction_workload import COMMITS, TransactionWorkload

#: Every so many calls of the disk there is a cut; a number that has no rhythm with the script's.
STRIDE = 7


async def run(disk: MemoryDisk) -> BrokerWorkload:
    """The script as far as it came."""
    work = BrokerWorkload(disk)
    try:
        await work.run()
    except PowerCutError:
        assert disk.cut_at is not None
    return work


@pytest.mark.parametrize("left", LEFT)
def test_b1_broker_keeps_what_it_answered(
    left: str, caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str]
):
    """
    Topics, settings, records of all partitions, committed offsets and producer ids that were
    answered are there after a loss of power at any moment, and what was deleted is not.
    """
    caplog.set_level(logging.CRITICAL)
    disk = MemoryDisk()
    whole = asyncio.run(run(disk))
    assert whole.records["a", 0] == list(range(TURNS))
    assert whole.committed == (TURNS - 1, TURNS - 1)
    asyncio.run(whole.judge(disk.after_power_cut("nothing", 0)))
    cuts = 0
    for at in range(LEFT.index(left), disk.calls, STRIDE):
        again = MemoryDisk()
        again.cut_at = at
        work = asyncio.run(run(again))
        asyncio.run(work.judge(again.after_power_cut(left, at)))
        cuts += 1

    with capsys.disabled():
        print(f"\nbroker, {left} left: {cuts} cuts in {disk.calls} calls")


def transact(disk: MemoryDisk, loop: asyncio.AbstractEventLoop) -> TransactionWorkload:
    """The script of transactions as far as it came."""
    work = TransactionWorkload(disk)
    try:
        work.run(loop)
    except PowerCutError:
        assert disk.is_off
    return work


@pytest.mark.parametrize("left", LEFT)
def test_x1_transactions_are_whole_after_a_power_cut(
    left: str, caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str]
):
    """
    X1: a transaction that was answered to have ended has ended that way on all partitions and for
    its offsets, one that was not is whole or not there, and none holds back readers for ever.
    """
    caplog.set_level(logging.CRITICAL)
    cuts = 0
    with asyncio.Runner() as runner:
        loop = runner.get_loop()
        disk = MemoryDisk()
        whole = transact(disk, loop)
        assert whole.ended == len(COMMITS)
        whole.judge(disk.after_power_cut("nothing", 0), loop)
        for at in range(LEFT.index(left), disk.calls, STRIDE):
            again = MemoryDisk()
            again.cut_at = at
            work = transact(again, loop)
            work.judge(again.after_power_cut(left, at), loop)
            cuts += 1

    with capsys.disabled():
        print(f"\ntransactions, {left} left: {cuts} cuts in {disk.calls} calls")


def compact(disk: MemoryDisk, loop: asyncio.AbstractEventLoop) -> CompactionWorkload:
    """The script of keyed records as far as it came."""
    work = CompactionWorkload(disk)
    try:
        work.run(loop)
    except PowerCutError:
        assert disk.is_off
    return work


@pytest.mark.parametrize("left", LEFT)
def test_m6_compaction_keeps_the_newest_of_each_key_after_a_power_cut(
    left: str, caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str]
):
    """
    M6: whenever the power goes while a broker cleans, the last record of each key that was
    acknowledged is there, and so it is after the cleanings that follow.
    """
    caplog.set_level(logging.CRITICAL)
    cuts = 0
    with asyncio.Runner() as runner:
        loop = runner.get_loop()
        disk = MemoryDisk()
        whole = compact(disk, loop)
        # Nothing is proven by cleanings that take nothing.
        assert ROUNDS == len(whole.left)
        assert len(whole.acknowledged) <= whole.left[-1] < whole.sent
        whole.judge(disk.after_power_cut("nothing", 0), loop)
        for at in range(whole.begun + LEFT.index(left), disk.calls, STRIDE):
            again = MemoryDisk()
            again.cut_at = at
            work = compact(again, loop)
            work.judge(again.after_power_cut(left, at), loop)
            cuts += 1

    with capsys.disabled():
        print(f"\ncompaction, {left} left: {cuts} cuts from call {whole.begun} to {disk.calls}")
