"""on_delivery and add_done_callback: once, in order, and harmless whatever they do."""

from __future__ import annotations

import asyncio
import logging
import random
import threading

import pytest

from pyproducer import (
    AsyncProducer,
    DeliveryTimeout,
    ProducerClosed,
    SyncProducer,
    UnknownTopic,
    WouldDeadlock,
)


@pytest.mark.parametrize("codec", ["none", "gzip"])
async def test_order_in_a_partition(broker, codec):
    """
    Each record's callback is called once, in the order of its partition's records.
    """
    told = []
    async with AsyncProducer(
        broker.bootstrap_servers, batch_max_records=7, compression_type=codec
    ) as producer:
        for number in range(500):
            producer.enqueue_nowait(
                "t",
                str(number),
                partition=random.randrange(3),
                on_delivery=lambda delivery, number=number: told.append((delivery, number)),
            )
            if number % 50 == 0:
                await asyncio.sleep(0)

    assert len(told) == 500
    for partition in range(3):
        mine = [(d.result().offset, n) for d, n in told if d.partition == partition]
        assert mine == sorted(mine)


async def test_flush_returns_after_the_callbacks(producer):
    """
    When flush() returns the callbacks of its records have run.
    """
    told = []
    for number in range(5000):
        producer.enqueue_nowait("t", str(number), on_delivery=told.append)
    await producer.flush()

    assert len(told) == 5000


async def test_close_returns_after_the_callbacks(broker):
    """
    When the block is left all callbacks have run, those of records that closing failed too.
    """
    told = []
    async with AsyncProducer(broker.bootstrap_servers) as producer:
        for number in range(3000):
            producer.enqueue_nowait("t", str(number), on_delivery=told.append)

    assert len(told) == 3000


async def test_raising_callback(producer, caplog):
    """
    A callback that raises is logged, and hurts neither its record nor others.
    """
    told = []

    def bad(delivery):
        raise ZeroDivisionError("in a callback")

    deliveries = [
        producer.enqueue_nowait("one", b"x", on_delivery=bad if n % 2 else told.append)
        for n in range(10)
    ]
    await producer.flush()

    assert len(told) == 5
    assert caplog.text.count("ZeroDivisionError: in a callback") == 5
    assert [d.result().offset for d in deliveries] == list(range(10))


async def test_callback_that_sends(producer, broker):
    """
    A callback may enqueue further records: a chain of them comes through.
    """
    done = asyncio.Event()

    def again(delivery):
        number = delivery.result().offset + 1
        if number == 10:
            done.set()
        else:
            producer.enqueue_nowait("one", str(number), on_delivery=again)

    producer.enqueue_nowait("one", "0", on_delivery=again)
    async with asyncio.timeout(10):
        await done.wait()

    assert [r.value for r in broker.records("one")] == [str(n).encode() for n in range(10)]


async def test_callback_that_starts_tasks(producer):
    """
    A callback runs on the loop's thread: it may start tasks that enqueue.
    """
    tasks = []

    def follow(delivery):
        assert threading.current_thread() is threading.main_thread()
        tasks.append(asyncio.ensure_future(producer.enqueue("one", b"second")))

    producer.enqueue_nowait("one", b"first", on_delivery=follow)
    await producer.flush()
    delivery = await tasks[0]

    assert (await delivery).offset == 1


async def test_callback_after_close_is_refused(broker, caplog):
    """
    A callback that enqueues while the producer closes gets ProducerClosed, and closing ends.
    """
    found = []

    def again(delivery):
        try:
            producer.enqueue_nowait("one", b"again")
        except ProducerClosed as error:
            found.append(error)

    async with asyncio.timeout(10), AsyncProducer(broker.bootstrap_servers) as producer:
        producer.enqueue_nowait("one", b"x", on_delivery=again)

    assert len(found) == 1


async def test_failed_record_is_told(producer):
    """
    The callback of a record that fails gets a delivery with the error.
    """
    told = []
    producer.enqueue_nowait("t", b"x", partition=8, on_delivery=told.append)
    await producer.flush()

    [delivery] = told
    assert isinstance(delivery.exception(), UnknownTopic)
    with pytest.raises(UnknownTopic):
        delivery.result()


async def test_done_callbacks(producer):
    """
    add_done_callback calls each, before and after the outcome, never within the call itself.
    """
    told = []
    delivery = producer.enqueue_nowait("one", b"x")
    delivery.add_done_callback(lambda d: told.append(("early", d)))
    await delivery
    await producer.flush()
    delivery.add_done_callback(lambda d: told.append(("late", d)))
    assert [("early", delivery)] == told
    await asyncio.sleep(0)

    assert [("early", delivery), ("late", delivery)] == told


async def test_done_callback_after_close(broker):
    """
    After the close a new callback is still called.
    """
    told = []
    async with AsyncProducer(broker.bootstrap_servers) as producer:
        delivery = producer.enqueue_nowait("one", b"x")
    delivery.add_done_callback(told.append)
    await asyncio.sleep(0)

    assert told == [delivery]


async def test_slow_callbacks_leave_turns(producer):
    """
    Thousands of callbacks run in slices: other tasks have turns in between.
    """
    turns = []

    async def ticker():
        while True:
            turns.append(len(told))
            await asyncio.sleep(0)

    told = []
    for _ in range(100_000):
        producer.enqueue_nowait("one", b"x", on_delivery=lambda d: told.append(d.result()))
    ticking = asyncio.create_task(ticker())
    await producer.flush()
    ticking.cancel()

    assert len(told) == 100_000
    assert len({count for count in turns if 0 < count < 100_000}) > 3


async def test_awaiters_and_callbacks_mixed(producer):
    """
    Any number of tasks may await one delivery, beside its callbacks.
    """
    told = []
    delivery = producer.enqueue_nowait("one", b"x", on_delivery=told.append)
    found = await asyncio.gather(*(wait(delivery) for _ in range(10)))

    assert len(set(found)) == 1
    assert told == [delivery]


async def wait(delivery):
    return await delivery


def test_blocking_in_a_callback(shared_broker, caplog):
    """
    Every blocking call of a SyncProducer in a callback raises WouldDeadlock, queues nothing,
    and leaves the producer sound; plain calls work there.
    """
    found = {}
    with SyncProducer(shared_broker.bootstrap_servers) as producer:
        topic = producer.topic("t")
        pending = producer.enqueue_nowait("t", b"x", partition=0)
        pending.result(10)

        def blocks(delivery):
            accepted = producer.metrics().records_accepted
            fresh = producer.enqueue_nowait("t", b"from a callback", partition=0)
            calls = {
                "send": lambda: producer.send("t", b"x"),
                "send_many": lambda: producer.send_many("t", [b"x"]),
                "topic.send": lambda: topic.send(b"x"),
                "topic.send_many": lambda: topic.send_many([b"x"]),
                "flush": producer.flush,
                "close": producer.close,
                "partitions_for": lambda: producer.partitions_for("t"),
                "result": fresh.result,
                "exception": fresh.exception,
            }
            for name, call in calls.items():
                try:
                    call()
                except WouldDeadlock:
                    found[name] = True
            found["accepted"] = producer.metrics().records_accepted - accepted
            found["own"] = delivery.result().offset >= 0

        producer.enqueue_nowait("t", b"x", partition=0, on_delivery=blocks).result(10)
        producer.flush(10)

    assert {
        **dict.fromkeys(
            (
                "send",
                "send_many",
                "topic.send",
                "topic.send_many",
                "flush",
                "close",
                "partitions_for",
                "result",
                "exception",
                "own",
            ),
            True,
        ),
        "accepted": 1,
    } == found


async def test_result_on_the_loop_never_blocks(producer):
    """
    On the loop's thread result() is the outcome or NotDone.
    """
    from pyproducer import NotDone

    delivery = producer.enqueue_nowait("one", b"x")
    for ask in (delivery.result, delivery.exception, lambda: delivery.result(5)):
        with pytest.raises(NotDone):
            ask()
    assert not delivery.done()
    meta = await delivery

    assert delivery.done()
    assert (delivery.result(), delivery.exception()) == (meta, None)


async def test_result_on_another_thread_waits(broker):
    """
    On another thread than the loop's result() waits for the outcome, at most the timeout.
    """
    async with AsyncProducer(broker.bootstrap_servers, linger_ms=None) as producer:
        await producer.partitions_for("one")
        delivery = producer.enqueue_nowait("one", b"x")
        with pytest.raises(TimeoutError):
            await asyncio.to_thread(delivery.result, 0.05)
        waiting = asyncio.create_task(asyncio.to_thread(delivery.result, 10))
        await asyncio.sleep(0.05)
        await producer.flush()

        assert (await waiting).offset == 0


async def test_no_reference_cycle_keeps_the_log_quiet(producer, caplog):
    """
    Deliveries that are dropped unread say nothing when they succeed.
    """
    with caplog.at_level(logging.WARNING):
        for _ in range(100):
            producer.enqueue_nowait("one", b"x")
        await producer.flush()

    assert caplog.records == []


async def test_closing_tells_callbacks(broker):
    """
    Records that closing gives up are told to their callbacks, with a typed error.
    """
    from pyproducer import CloseTimeout

    told = []
    producer = AsyncProducer(broker.bootstrap_servers, linger_ms=None)
    await producer.start()
    await producer.send("one", b"x")
    await asyncio.to_thread(broker.stop)
    for _ in range(3):
        producer.enqueue_nowait("one", b"x", on_delivery=told.append)
    with pytest.raises(CloseTimeout) as caught:
        await producer.close(0.2)

    assert caught.value.remaining == 3
    assert [DeliveryTimeout] * 3 == [type(d.exception()) for d in told]
