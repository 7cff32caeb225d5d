"""enqueue and enqueue_nowait: queued, with a handle to the outcome."""

from __future__ import annotations

import asyncio

import pytest

from pyproducer import AsyncProducer, Delivery, RecordMetadata


async def test_delivery(producer, broker):
    """
    A handle tells topic, partition and state, and is awaited for the metadata.
    """
    delivery = await producer.enqueue("t", b"x", partition=1)
    assert isinstance(delivery, Delivery)
    assert (delivery.topic, delivery.done()) == ("t", False)
    meta = await delivery

    assert isinstance(meta, RecordMetadata)
    assert (delivery.partition, delivery.done(), delivery.exception()) == (1, True, None)
    assert delivery.result() == meta == await delivery
    assert "delivered" in repr(delivery)


async def test_partition_unknown_until_metadata(producer):
    """
    Before metadata a delivery has no partition; the order of the calls is kept.
    """
    deliveries = [producer.enqueue_nowait("one", str(n)) for n in range(100)]
    assert {None} == {delivery.partition for delivery in deliveries}
    metas = [await delivery for delivery in deliveries]

    assert {0} == {delivery.partition for delivery in deliveries}
    assert [meta.offset for meta in metas] == list(range(100))


async def test_order_across_metadata(producer, broker):
    """
    Records from before and after metadata keep the order of their calls.
    """
    for number in range(300):
        producer.enqueue_nowait("one", str(number))
        if number % 10 == 0:
            await asyncio.sleep(0)
    await producer.flush()

    assert [str(n).encode() for n in range(300)] == [r.value for r in broker.records("one")]


async def test_lingers(broker):
    """
    Enqueued records share a batch for linger_ms.
    """
    async with AsyncProducer(broker.bootstrap_servers, linger_ms=100) as producer:
        await producer.partitions_for("one")
        deliveries = []
        for number in range(20):
            deliveries.append(await producer.enqueue("one", str(number)))
            await asyncio.sleep(0.001)
        for delivery in deliveries:
            await delivery

        assert producer.metrics().batches_sent == 1


async def test_full_batches_leave_at_once(broker):
    """
    A batch that is full by count or size does not linger.
    """
    for options in ({"batch_max_records": 10}, {"batch_size": 1000}):
        async with AsyncProducer(broker.bootstrap_servers, linger_ms=60_000, **options) as producer:
            await producer.partitions_for("one")
            first = producer.enqueue_nowait("one", b"x" * 100)
            for _ in range(9):
                producer.enqueue_nowait("one", b"x" * 100)
            async with asyncio.timeout(5):
                await first


async def test_tight_loop_leaves_turns(producer):
    """
    A tight loop of enqueue() lets other tasks run, though it never has to wait.
    """
    ticks = 0

    async def ticker():
        nonlocal ticks
        while True:
            ticks += 1
            await asyncio.sleep(0)

    ticking = asyncio.create_task(ticker())
    await asyncio.sleep(0)
    for _ in range(30_000):
        await producer.enqueue("one", b"x" * 100)
    during = ticks
    ticking.cancel()

    # 3 MB at 256 KiB a turn.
    assert during >= 10


async def test_slow_tight_loop_leaves_turns(producer):
    """
    So does a slow one, though it queues little.
    """
    ticks = 0

    async def ticker():
        nonlocal ticks
        while True:
            ticks += 1
            await asyncio.sleep(0)

    ticking = asyncio.create_task(ticker())
    await asyncio.sleep(0)
    for _ in range(100):
        sum(range(20_000))
        await producer.enqueue("one", b"x")
    during = ticks
    ticking.cancel()

    assert during >= 5


async def test_dropped_handles(producer, broker):
    """
    A record whose handle is dropped is delivered all the same.
    """
    for number in range(1000):
        producer.enqueue_nowait("one", str(number))
    report = await producer.flush()

    assert (report.delivered, report.failed) == (1000, 0)
    assert len(broker.records("one")) == 1000


@pytest.mark.parametrize("idempotence", [None, False])
@pytest.mark.parametrize("acks", [1, "all"])
async def test_order_with_many_in_flight(broker, idempotence, acks):
    """
    Order holds with many small batches, with and without idempotence.
    """
    async with AsyncProducer(
        broker.bootstrap_servers, acks=acks, enable_idempotence=idempotence, batch_max_records=3
    ) as producer:
        for number in range(500):
            await producer.enqueue("one", str(number))

    assert [str(n).encode() for n in range(500)] == [r.value for r in broker.records("one")]


async def test_gathered_deliveries(producer):
    """
    Deliveries may be gathered, waited for with a timeout, and awaited by several tasks.
    """
    deliveries = [producer.enqueue_nowait("one", b"x") for _ in range(10)]
    metas = await asyncio.gather(*deliveries)
    async with asyncio.timeout(5):
        again = [await delivery for delivery in deliveries]

    assert metas == again
