"""The buffer: bounded in bytes, waited for in order, given back to the last byte."""

from __future__ import annotations

import asyncio
import time

import pytest

from pyproducer import AsyncProducer, BufferFull, Delivery, ProducerClosed
from pyproducer.protocol.api import ApiKey
from tests.helpers.scripted_broker import ScriptedBroker, Silence

SMALL = {"buffer_memory": 20_000, "max_request_size": 10_000, "batch_size": 4_000}


@pytest.fixture
def stuck():
    """A broker that answers no Produce request until ``let_go()``; then it takes all again."""
    with ScriptedBroker() as broker:
        broker.held = True
        broker.script[ApiKey.PRODUCE] = lambda r: Silence() if broker.held else broker.ack(r)

        def let_go():
            broker.held = False
            broker.hang_up()

        broker.let_go = let_go
        yield broker


async def fill(producer):
    """Queue records until the buffer is full; their deliveries."""
    deliveries = []
    while True:
        try:
            deliveries.append(producer.enqueue_nowait("t", b"x" * 1000))
        except BufferFull:
            return deliveries


async def test_enqueue_nowait_raises_at_once(stuck):
    """
    With a full buffer enqueue_nowait raises BufferFull with the numbers, and queues nothing.
    """
    async with AsyncProducer(stuck.bootstrap_servers, retry_backoff_ms=10, **SMALL) as producer:
        deliveries = await fill(producer)
        assert 10 <= len(deliveries) <= 20
        with pytest.raises(BufferFull, match="buffer_memory=20000") as caught:
            producer.topic("t").enqueue_nowait(b"x" * 1000)
        error = caught.value
        assert error.limit == 20_000
        assert error.used + error.needed > error.limit
        assert error.retriable
        assert isinstance(error, BufferError)
        assert producer.metrics().buffer_bytes <= 20_000
        await asyncio.sleep(0)
        stuck.let_go()
        await producer.flush()

        assert [one.result().offset for one in deliveries] == list(range(len(deliveries)))
        assert producer.metrics().buffer_bytes == 0


async def test_waiting_is_bounded(stuck):
    """
    With a full buffer enqueue and send wait for max_block_ms, then raise BufferFull.
    """
    async with AsyncProducer(
        stuck.bootstrap_servers, max_block_ms=100, retry_backoff_ms=10, **SMALL
    ) as producer:
        await fill(producer)
        for call in (producer.send, producer.enqueue):
            start = time.monotonic()
            with pytest.raises(BufferFull):
                await call("t", b"x" * 1000)
            assert 0.09 < time.monotonic() - start < 3
        accepted = producer.metrics().records_accepted
        assert producer.metrics().callers_waiting == 0
        stuck.let_go()
        report = await producer.flush()

        assert report.delivered == accepted


async def test_no_waiting(stuck):
    """
    With max_block_ms=0 a full buffer is a BufferFull at once.
    """
    async with AsyncProducer(
        stuck.bootstrap_servers, max_block_ms=0, retry_backoff_ms=10, **SMALL
    ) as producer:
        await fill(producer)
        async with asyncio.timeout(2):
            with pytest.raises(BufferFull):
                await producer.send("t", b"x" * 1000)
        stuck.let_go()


async def test_first_come_first_served(stuck):
    """
    Those who wait get room in the order in which they came, small records no sooner.
    """
    order = []

    async def wait(number):
        delivery = await producer.enqueue("t", b"%d" % number * (2000 if number % 2 else 900))
        order.append((number, delivery))

    async with AsyncProducer(stuck.bootstrap_servers, retry_backoff_ms=10, **SMALL) as producer:
        first = await fill(producer)
        waiting = [asyncio.create_task(wait(number)) for number in range(10)]
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        assert producer.metrics().callers_waiting == 10
        with pytest.raises(BufferFull):
            # However small: nobody overtakes.
            producer.enqueue_nowait("t", b"")
        stuck.let_go()
        await asyncio.gather(*waiting)
        await producer.flush()

    assert [number for number, _ in order] == list(range(10))
    offsets = [delivery.result().offset for _, delivery in order]
    assert offsets == list(range(len(first), len(first) + 10))


async def test_cancelled_waiter_leaves_its_place(stuck):
    """
    A waiter that is cancelled is not sent, and holds up none of the others.
    """
    async with AsyncProducer(stuck.bootstrap_servers, retry_backoff_ms=10, **SMALL) as producer:
        first = await fill(producer)
        waiting = [asyncio.create_task(producer.enqueue("t", b"%04d" % n * 200)) for n in range(6)]
        await asyncio.sleep(0)
        for number in (0, 3, 5):
            waiting[number].cancel()
        await asyncio.sleep(0)
        assert producer.metrics().callers_waiting == 3
        stuck.let_go()
        done = [await waiting[number] for number in (1, 2, 4)]
        report = await producer.flush()

        assert all(isinstance(one, Delivery) for one in done)
        assert producer.metrics().records_delivered == len(first) + 3
        assert report.failed == 0


async def test_close_dismisses_waiters(stuck):
    """
    Who waits for room when the producer closes is refused at once.
    """
    producer = AsyncProducer(stuck.bootstrap_servers, **SMALL)
    await producer.start()
    deliveries = await fill(producer)
    waiting = asyncio.create_task(producer.send("t", b"x" * 1000))
    await asyncio.sleep(0)
    closing = asyncio.create_task(producer.close(0.3))
    async with asyncio.timeout(0.2):
        with pytest.raises(ProducerClosed):
            await waiting
    await asyncio.gather(closing, return_exceptions=True)
    assert all(delivery.done() for delivery in deliveries)


async def test_lingering_batches_make_room(broker):
    """
    A full buffer ends the lingering: the caller does not wait for linger_ms.
    """
    async with AsyncProducer(broker.bootstrap_servers, linger_ms=60_000, **SMALL) as producer:
        async with asyncio.timeout(10):
            for _ in range(100):
                await producer.enqueue("t", b"x" * 1000)
            await producer.flush()

        assert producer.metrics().records_delivered == 100


async def test_bounded_while_metadata_is_missing():
    """
    Records that wait for metadata are charged to the buffer too, and give it back.
    """
    with ScriptedBroker(script={ApiKey.METADATA: lambda _: Silence()}) as broker:
        producer = AsyncProducer(broker.bootstrap_servers, max_block_ms=50, **SMALL)
        await producer.start()
        deliveries = await fill(producer)
        assert 10 <= len(deliveries) <= 20
        with pytest.raises(BufferFull):
            await producer.enqueue("t", b"x" * 1000)
        await asyncio.gather(producer.close(0), return_exceptions=True)

    assert all(delivery.done() for delivery in deliveries)
    assert producer.metrics().buffer_bytes == 0


async def test_many_callers_at_once(broker):
    """
    Thousands of callers through a tiny buffer: each is delivered once.
    """
    async with AsyncProducer(broker.bootstrap_servers, **SMALL) as producer:
        metas = await asyncio.gather(
            *(producer.send("one", f"{number:0100}") for number in range(1000))
        )

        assert producer.metrics().buffer_bytes == 0
    assert sorted(meta.offset for meta in metas) == list(range(1000))
    values = {r.offset: r.value for r in broker.records("one")}
    assert [values[meta.offset] for meta in metas] == [f"{n:0100}".encode() for n in range(1000)]


async def test_dead_broker_then_alive(tmp_path):
    """
    With the broker stopped the buffer fills, and all of it is delivered once it is back.
    """
    from pyproducer.broker import Broker

    with Broker({"t": 1}, data_dir=tmp_path) as broker:
        port = broker.port
        producer = AsyncProducer(broker.bootstrap_servers, retry_backoff_ms=10, **SMALL)
        await producer.start()
        await producer.send("t", b"first")
    deliveries = await fill(producer)
    with Broker({"t": 1}, data_dir=tmp_path, port=port) as broker:
        await producer.close()
        assert len(broker.records("t")) == len(deliveries) + 1
    assert [d.result().offset for d in deliveries] == list(range(1, len(deliveries) + 1))
