"""Cancelling whoever waits: no record is lost, doubled or left without an outcome."""

from __future__ import annotations

import asyncio
import random
from collections import Counter

import pytest

from pyproducer import AsyncProducer, UndeliveredError
from pyproducer.protocol.api import ApiKey
from tests.helpers.scripted_broker import ScriptedBroker, Silence

SMALL = {"buffer_memory": 20_000, "max_request_size": 10_000, "batch_size": 4_000}


@pytest.mark.parametrize("turns", range(7))
async def test_send_cancelled_at_any_point(producer, broker, turns):
    """
    A send that is cancelled at any moment may be delivered, once; what follows is in order.
    """
    sending = asyncio.create_task(producer.send("one", b"cancelled"))
    for _ in range(turns):
        await asyncio.sleep(0)
    sending.cancel()
    await asyncio.wait([sending])
    await producer.send("one", b"after")

    found = [record.value for record in broker.records("one")]
    assert found in ([b"after"], [b"cancelled", b"after"])
    # Not even begun: then it was never queued.
    assert turns > 0 or found == [b"after"]


async def test_timeout_around_send():
    """
    asyncio.timeout around a send ends it in time; the record stays queued and is delivered.
    """
    silent = True
    with ScriptedBroker() as broker:
        broker.script[ApiKey.PRODUCE] = lambda r: Silence() if silent else broker.ack(r)
        async with AsyncProducer(
            broker.bootstrap_servers, request_timeout_ms=200, retry_backoff_ms=10
        ) as producer:
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.05):
                    await producer.send("t", b"x")
            silent = False
            report = await producer.flush()

    assert (report.delivered, report.failed) == (1, 0)


async def test_awaiter_of_a_delivery(producer):
    """
    Cancelling one who awaits a delivery cancels neither it nor the others who await it.
    """
    delivery = producer.enqueue_nowait("one", b"x")

    async def wait():
        return await delivery

    tasks = [asyncio.create_task(wait()) for _ in range(5)]
    await asyncio.sleep(0)
    for task in tasks[1::2]:
        task.cancel()
    await asyncio.wait(tasks)

    assert [False, True, False, True, False] == [task.cancelled() for task in tasks]
    assert tasks[0].result() == delivery.result()


async def test_awaiter_of_a_group(producer, broker):
    """
    Cancelling one who awaits a group changes nothing for its records.
    """
    group = await producer.enqueue_many("one", [str(n) for n in range(100)])

    async def wait():
        return await group

    waiting = asyncio.create_task(wait())
    await asyncio.sleep(0)
    waiting.cancel()
    await asyncio.wait([waiting])
    metas = await group

    assert [meta.offset for meta in metas] == list(range(100))
    assert len(broker.records("one")) == 100


async def test_cancelled_send_that_fails_is_not_forgotten():
    """
    A record whose send was cancelled, and which fails then, is raised at the close.
    """
    with ScriptedBroker(script={ApiKey.PRODUCE: lambda _: Silence()}) as broker:
        producer = AsyncProducer(broker.bootstrap_servers)
        await producer.start()
        sending = asyncio.create_task(producer.send("t", b"x"))
        await asyncio.sleep(0.05)
        sending.cancel()
        await asyncio.wait([sending])
        with pytest.raises(UndeliveredError) as caught:
            await producer.close(0.1)

    assert caught.value.count == 1


async def test_room_that_comes_with_the_timeout(broker):
    """
    Where the room comes in the turn in which the time runs out, the record is queued once and
    the caller told so: never a BufferFull for a record that is sent.
    """
    async with AsyncProducer(broker.bootstrap_servers, max_block_ms=1, **SMALL) as producer:
        await producer.send("one", b"first")
        outcomes = Counter()
        for number in range(300):
            while True:
                try:
                    producer.enqueue_nowait("one", b"filler" * 100)
                except BufferError:
                    break
            try:
                await producer.enqueue("one", f"mark-{number}" + "x" * 500)
            except BufferError:
                outcomes["refused"] += 1
            else:
                outcomes["queued"] += 1
        await producer.flush()

    marks = [r.value for r in broker.records("one") if r.value.startswith(b"mark-")]
    assert len(marks) == len(set(marks)) == outcomes["queued"]


@pytest.mark.parametrize("seed", range(3))
async def test_storm(broker, seed):
    """
    Hundreds of tasks that send in every way, cancelled at random through a small buffer: what
    was acknowledged is in the log once, and nothing is there twice or unasked.
    """
    chance = random.Random(seed)
    acknowledged, offered = set(), set()

    async def sender(name):
        for number in range(5):
            value = f"{name}-{number}"
            offered.add(value)
            way = chance.randrange(3)
            if way == 0:
                await producer.send("t", value + "." * 300)
                acknowledged.add(value)
            elif way == 1:
                delivery = await producer.enqueue("t", value + "." * 300)
                await delivery
                acknowledged.add(value)
            else:
                group = await producer.enqueue_many("t", [value + "." * 300], keys=[value])
                await group
                acknowledged.add(value)

    async with AsyncProducer(broker.bootstrap_servers, **SMALL) as producer:
        tasks = [asyncio.create_task(sender(name)) for name in range(150)]
        while not all(task.done() for task in tasks):
            chance.choice(tasks).cancel()
            for _ in range(chance.randrange(20)):
                await asyncio.sleep(0)
        await asyncio.gather(*tasks, return_exceptions=True)
        await producer.flush()
        assert producer.metrics().records_queued == 0
        assert producer.metrics().buffer_bytes == 0
        assert producer.metrics().callers_waiting == 0

    found = Counter(record.value.rstrip(b".").decode() for record in broker.records("t"))
    assert set(found.values()) <= {1}
    assert acknowledged <= found.keys() <= offered
    assert len(acknowledged) > 10
