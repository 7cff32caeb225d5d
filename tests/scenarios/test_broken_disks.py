"""A broker whose disk is full, or breaks: what was acknowledged is there, and the rest says why."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from pyproducer import DeliveryTimeout
from pyproducer.broker import Broker
from tests.helpers.faulty_disk import FaultyFileSystem
from tests.helpers.processes import free_ports
from tests.helpers.scenario import Scenario, until
from tests.scenarios.conftest import count

SMALL = {"batch_max_records": 2}


@pytest.fixture
def fs() -> FaultyFileSystem:
    return FaultyFileSystem()


@pytest.fixture
async def faulty(
    fs: FaultyFileSystem, tmp_path, request: pytest.FixtureRequest
) -> AsyncIterator[Scenario]:
    """A rig on a broker with a disk that breaks when told to."""
    with Broker({"t": 3, "one": 1}, data_dir=tmp_path, fs=fs) as broker:
        made = Scenario(broker, ["t", "one"])
        async with made.pulse():
            yield made
        fs.space = fs.largest_write = None
        fs.broken.clear()
    count(request, made)


async def test_full_for_a_while(rig: Scenario):
    """
    KAFKA_STORAGE_ERROR is waited out: when there is room again everything is delivered.
    """
    async with rig.producer(**SMALL) as producer, rig.load(producer) as load:
        for _ in range(4):
            await load.acknowledged(20)
            with rig.faults.disk_full() as fault:
                await rig.struck(fault, 5)
        await load.acknowledged(40)

    assert rig.errors() == []
    rig.check()


async def test_full_for_longer_than_the_delivery_timeout(rig: Scenario):
    """
    The error of what ran out of time names the broker's complaint.
    """
    options = {**SMALL, "delivery_timeout_ms": 500}
    async with rig.producer(**options) as producer, rig.load(producer) as load:
        await load.acknowledged(20)
        with rig.faults.disk_full():
            await until(lambda: len(rig.history.errors) >= 30)
        await load.acknowledged(40)

    sent = [error for error in rig.errors() if error.attempts]
    assert sent
    for error in sent:
        assert isinstance(error, DeliveryTimeout)
        # Those behind the first one are told that it is missing, or are still unanswered.
        assert error.broker_error in {"KAFKA_STORAGE_ERROR", "OUT_OF_ORDER_SEQUENCE_NUMBER", None}
        assert (error.broker_error or "unanswered") in str(error)
        # A broker may have written before it complains of its disk.
        assert error.maybe_written or error.broker_error == "OUT_OF_ORDER_SEQUENCE_NUMBER"
    assert any(error.broker_error == "KAFKA_STORAGE_ERROR" for error in sent)
    rig.check()


@pytest.mark.parametrize("space", [0, 1, 60, 61, 100, 1000, 5000])
async def test_disk_fills_in_the_middle_of_a_batch(
    faulty: Scenario, fs: FaultyFileSystem, space: int
):
    """
    Wherever the room ends, no half batch stays, and the batch is there once when there is room.
    """
    async with faulty.producer(**SMALL) as producer, faulty.load(producer, size=200) as load:
        for _ in range(3):
            await load.acknowledged(15)
            fs.space = space
            await until(lambda: fs.space == 0)
            faulty.injected += 1
            await asyncio.sleep(0.05)
            fs.space = None
        await load.acknowledged(20)

    assert faulty.errors() == []
    faulty.check()


async def test_short_writes(faulty: Scenario, fs: FaultyFileSystem):
    """
    A disk that takes seven bytes at a time holds the same in the end.
    """
    async with faulty.producer(**SMALL) as producer, faulty.load(producer) as load:
        await load.acknowledged(20)
        fs.largest_write = 7
        faulty.injected += 1
        await load.acknowledged(60)
        fs.largest_write = None

    assert faulty.errors() == []
    faulty.check()


@pytest.mark.parametrize("operation", ["fsync", "open", "rename"])
async def test_disk_that_breaks_while_it_is_full(
    faulty: Scenario, fs: FaultyFileSystem, operation: str
):
    """
    Where more fails than the write, nothing is acknowledged that is not there.
    """
    options = {**SMALL, "delivery_timeout_ms": 800}
    async with faulty.producer(**options) as producer, faulty.load(producer) as load:
        await load.acknowledged(20)
        fs.broken.add(operation)
        fs.space = 150
        faulty.injected += 1
        await asyncio.sleep(0.2)
        fs.space = None
        fs.broken.clear()
        await load.acknowledged(30)

    assert faulty.errors() == []
    faulty.check()


async def test_partition_that_cannot_be_written_any_more(
    fs: FaultyFileSystem, tmp_path, request: pytest.FixtureRequest
):
    """
    A write that failed and cannot be undone takes the log offline, until the broker is started
    again: by then nothing of it is there, and the producer goes on.
    """
    options = {**SMALL, "delivery_timeout_ms": 500}
    [port] = free_ports(1)
    broker = Broker({"t": 3}, data_dir=tmp_path, fs=fs, port=port)
    rig = Scenario(broker, ["t"])
    try:
        await asyncio.to_thread(broker.start)
        async with rig.pulse(), rig.producer(**options) as producer, rig.load(producer) as load:
            await load.acknowledged(20)
            fs.broken.add("truncate")
            fs.space = 150
            rig.injected += 1
            await until(lambda: len(rig.history.errors) >= 30)
            fs.broken.clear()
            fs.space = None
            before = rig.history.acknowledged
            await asyncio.sleep(0.2)
            assert before == rig.history.acknowledged
            await asyncio.to_thread(broker.stop)
            rig.broker = Broker(data_dir=tmp_path, port=port)
            await asyncio.to_thread(rig.broker.start)
            await load.acknowledged(40)
        rig.check()
    finally:
        rig.broker.stop()
    count(request, rig)
