"""flush() and close(): what they wait for, and what they tell when it does not come."""

from __future__ import annotations

import asyncio
import time

import pytest

from pyproducer import (
    AsyncProducer,
    CloseTimeout,
    DeliveryTimeout,
    FlushReport,
    FlushTimeout,
    ProducerClosed,
    UndeliveredError,
)
from pyproducer.broker import Broker
from pyproducer.protocol.api import ApiKey
from tests.helpers.leftovers import other_tasks
from tests.helpers.scripted_broker import ScriptedBroker, Silence


async def test_flush_sends_without_lingering(broker):
    """
    A flush closes the open batches: nothing waits for linger_ms any more.
    """
    async with AsyncProducer(broker.bootstrap_servers, linger_ms=60_000) as producer:
        await producer.partitions_for("t")
        deliveries = [producer.enqueue_nowait("t", b"x", partition=n % 3) for n in range(30)]
        async with asyncio.timeout(10):
            report = await producer.flush()

        assert FlushReport(30, 0) == report
        assert all(delivery.done() for delivery in deliveries)


async def test_flush_of_nothing(producer):
    """
    A flush with nothing queued returns at once.
    """
    assert await producer.flush(timeout=0) == FlushReport(0, 0)
    await producer.send("one", b"x")
    assert await producer.flush() == FlushReport(0, 0)


async def test_flush_counts_failures(producer):
    """
    The report counts what failed beside what was delivered.
    """
    good = producer.enqueue_nowait("t", b"x", partition=0)
    bad = producer.enqueue_nowait("t", b"x", partition=9)
    report = await producer.flush()

    assert FlushReport(1, 1) == report
    assert good.exception() is None
    assert bad.exception() is not None


async def test_flush_covers_what_was_before(broker):
    """
    A flush waits for what was accepted before the call, and not for what comes after it.
    """
    async with AsyncProducer(broker.bootstrap_servers, linger_ms=60_000) as producer:
        await producer.partitions_for("one")
        before = producer.enqueue_nowait("one", b"before")
        flushing = asyncio.create_task(producer.flush())
        await asyncio.sleep(0)
        after = producer.enqueue_nowait("one", b"after")
        report = await flushing

        assert FlushReport(1, 0) == report
        assert before.done()
        assert not after.done()
        await producer.flush()


async def test_many_flushes_at_once(producer):
    """
    Flushes at the same time all return.
    """
    for number in range(100):
        producer.enqueue_nowait("one", str(number))
    reports = await asyncio.gather(*(producer.flush() for _ in range(10)))

    assert [FlushReport(100, 0)] * 10 == reports


async def test_flush_timeout_keeps_the_records():
    """
    FlushTimeout tells how many have no outcome; they stay queued and are delivered later.
    """
    silent = True
    with ScriptedBroker() as broker:
        broker.script[ApiKey.PRODUCE] = lambda r: Silence() if silent else broker.ack(r)
        async with AsyncProducer(
            broker.bootstrap_servers, request_timeout_ms=400, retry_backoff_ms=10
        ) as producer:
            deliveries = [producer.enqueue_nowait("t", str(n)) for n in range(7)]
            with pytest.raises(FlushTimeout, match="7 records") as caught:
                await producer.flush(timeout=0.1)
            assert caught.value.remaining == 7
            assert isinstance(caught.value, TimeoutError)
            with pytest.raises(FlushTimeout):
                await producer.flush(timeout=0)
            silent = False
            assert (await producer.flush()).delivered == 7

    assert [delivery.result().offset for delivery in deliveries] == list(range(7))


async def test_cancelled_flush(broker):
    """
    A cancelled flush drops nothing.
    """
    async with AsyncProducer(broker.bootstrap_servers) as producer:
        delivery = producer.enqueue_nowait("one", b"x")
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0):
                await producer.flush()
        assert (await delivery).offset == 0


async def test_close_flushes(broker):
    """
    Leaving the block delivers what lingers.
    """
    async with AsyncProducer(broker.bootstrap_servers, linger_ms=None) as producer:
        deliveries = [producer.enqueue_nowait("t", str(n), key=str(n)) for n in range(500)]

    assert all(delivery.exception() is None for delivery in deliveries)
    assert len(broker.records("t")) == 500


SILENT = {
    "produce": {ApiKey.PRODUCE: lambda _: Silence()},
    "metadata": {ApiKey.METADATA: lambda _: Silence()},
    "producer id": {ApiKey.INIT_PRODUCER_ID: lambda _: Silence()},
}


@pytest.mark.parametrize("script", SILENT.values(), ids=SILENT.keys())
async def test_close_is_bounded_where_the_broker_is_silent(script):
    """
    With a broker that never answers close(timeout) returns in time; every record has a typed
    outcome then, and nothing is left.
    """
    with ScriptedBroker(script=script) as broker:
        producer = AsyncProducer(broker.bootstrap_servers)
        await producer.start()
        deliveries = [producer.enqueue_nowait("t", b"x") for _ in range(5)]
        await asyncio.sleep(0.05)
        start = time.monotonic()
        with pytest.raises(UndeliveredError) as caught:
            await producer.close(0.2)
        assert time.monotonic() - start < 3

    assert (caught.value.count, caught.value.by_topic) == (5, {"t": 5})
    assert isinstance(caught.value.__cause__, CloseTimeout)
    error = deliveries[0].exception()
    assert isinstance(error, DeliveryTimeout)
    # Only what was written may be in the log.
    assert error.maybe_written == (ApiKey.PRODUCE in script)
    assert error.retriable
    assert other_tasks() == []


async def test_close_is_bounded_where_the_broker_is_gone(broker):
    """
    The same with a broker that is gone.
    """
    producer = AsyncProducer(broker.bootstrap_servers)
    await producer.start()
    await producer.send("one", b"x")
    await asyncio.to_thread(broker.stop)
    sending = asyncio.create_task(producer.send("one", b"y"))
    await asyncio.sleep(0.05)
    start = time.monotonic()
    with pytest.raises(CloseTimeout) as caught:
        await producer.close(0.2)

    assert time.monotonic() - start < 3
    assert caught.value.remaining == 1
    with pytest.raises(DeliveryTimeout, match="closed"):
        await sending


async def test_close_timeout_option(broker):
    """
    Leaving the block waits for close_timeout_ms at most.
    """
    with ScriptedBroker(script=SILENT["produce"]) as broker:
        start = time.monotonic()
        with pytest.raises(CloseTimeout):
            async with AsyncProducer(broker.bootstrap_servers, close_timeout_ms=100) as producer:
                sending = asyncio.create_task(producer.send("t", b"x"))
                await asyncio.sleep(0.05)
        assert time.monotonic() - start < 3
        with pytest.raises(DeliveryTimeout):
            await sending


async def test_close_with_zero(broker):
    """
    close(0) gives everything up at once, and still settles it.
    """
    producer = AsyncProducer(broker.bootstrap_servers, linger_ms=None)
    await producer.start()
    delivery = producer.enqueue_nowait("one", b"x")
    with pytest.raises(UndeliveredError):
        await producer.close(0)

    assert isinstance(delivery.exception(), DeliveryTimeout)
    assert not delivery.exception().maybe_written


async def test_send_during_close():
    """
    While a close waits, new records are refused; those before keep their outcome.
    """
    with ScriptedBroker(script=SILENT["produce"]) as broker:
        producer = AsyncProducer(broker.bootstrap_servers)
        await producer.start()
        before = asyncio.create_task(producer.send("t", b"x"))
        await asyncio.sleep(0.05)
        closing = asyncio.create_task(producer.close(0.2))
        await asyncio.sleep(0)
        assert "closing" in repr(producer)
        with pytest.raises(ProducerClosed):
            await producer.send("t", b"y")
        with pytest.raises(ProducerClosed):
            await producer.flush()
        with pytest.raises(CloseTimeout):
            await closing
        with pytest.raises(DeliveryTimeout):
            await before


async def test_cancelled_close_settles_everything():
    """
    A close that is cancelled ends all the same: each record has its outcome, nothing is left.
    """
    with ScriptedBroker(script=SILENT["produce"]) as broker:
        producer = AsyncProducer(broker.bootstrap_servers)
        await producer.start()
        delivery = producer.enqueue_nowait("t", b"x")
        await asyncio.sleep(0.05)
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.05):
                await producer.close()

        assert isinstance(delivery.exception(), DeliveryTimeout)
        assert other_tasks() == []
        await producer.close()


async def test_flush_that_meets_a_close():
    """
    A flush under way when the producer closes returns with the outcome of its records.
    """
    with ScriptedBroker(script=SILENT["produce"]) as broker:
        producer = AsyncProducer(broker.bootstrap_servers)
        await producer.start()
        delivery = producer.enqueue_nowait("t", b"x")
        flushing = asyncio.create_task(producer.flush())
        await asyncio.sleep(0.05)
        with pytest.raises(UndeliveredError):
            await producer.close(0.05)
        async with asyncio.timeout(2):
            report = await flushing

    assert FlushReport(0, 1) == report
    assert delivery.exception() is not None


async def test_partitions_for_that_meets_a_close():
    """
    A question under way when the producer closes ends with ProducerClosed.
    """
    with ScriptedBroker(script=SILENT["metadata"]) as broker:
        producer = AsyncProducer(broker.bootstrap_servers)
        await producer.start()
        asking = asyncio.create_task(producer.partitions_for("t"))
        await asyncio.sleep(0.05)
        await producer.close()
        async with asyncio.timeout(2):
            with pytest.raises(ProducerClosed):
                await asking


@pytest.mark.parametrize("codec", ["none", "zstd"])
async def test_close_with_much_on_the_way(codec):
    """
    Closing right after much was queued delivers all of it.
    """
    with Broker({"t": 3}) as broker:
        async with AsyncProducer(broker.bootstrap_servers, compression_type=codec) as producer:
            for number in range(2000):
                await producer.enqueue("t", f"{number:01000}")

        assert len(broker.records("t")) == 2000
