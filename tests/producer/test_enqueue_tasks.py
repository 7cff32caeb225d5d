"""What asyncio does with coroutines it does with a call of enqueue."""

from __future__ import annotations

import asyncio
import inspect
import io
import sys

import pytest

from pyproducer import AsyncProducer, BufferFull, Delivery, ProducerClosed, SerializationError

SMALL = {"buffer_memory": 20_000, "max_request_size": 10_000, "batch_size": 4_000}


async def queued(producer, broker):
    """What is in the log, once all that was accepted is there."""
    await producer.flush()
    return [record.value for record in broker.records("one")]


@pytest.fixture(params=["producer", "topic"])
async def enqueue(producer, request):
    """
    A callable of values, by the producer and by a topic's handle.
    """
    await producer.partitions_for("one")
    topic = producer.topic("one")
    if request.param == "topic":
        return topic.enqueue
    return lambda value, **options: producer.enqueue("one", value, **options)


async def test_tasks(producer, broker, enqueue):
    """
    Tasks, gather, wait, wait_for, shield and task groups give its Delivery, in order.
    """
    task = asyncio.create_task(enqueue(b"0"), name="mine")
    found = [await task]
    found += await asyncio.gather(enqueue(b"1"), enqueue(b"2"))
    found += [await asyncio.wait_for(enqueue(b"3"), 5)]
    found += [await asyncio.shield(enqueue(b"4"))]
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(enqueue(b"5")), group.create_task(enqueue(b"6"))]
    found += [task.result() for task in tasks]
    [done], _ = await asyncio.wait([asyncio.ensure_future(enqueue(b"7"))])
    found += [done.result()]

    assert {Delivery} == set(map(type, found))
    assert list(range(8)) == [(await delivery).offset for delivery in found]
    assert [b"%d" % n for n in range(8)] == await queued(producer, broker)


async def test_result_is_nobody_elses(enqueue):
    """
    What an await returns is held by its caller alone.
    """

    async def one(value):
        return await enqueue(value)

    found = [await one(b"x") for _ in range(5)]
    loose = await one(b"y")

    assert 2 == sys.getrefcount(loose)
    assert len({id(delivery) for delivery in found}) == 5


async def test_awaited_twice(enqueue):
    """
    A call can be awaited once.
    """
    call = enqueue(b"x")
    await call
    with pytest.raises(RuntimeError, match="already awaited"):
        await call


async def test_errors_come_with_await(producer, enqueue):
    """
    A call raises nothing; what the producer has against the record is raised where it is awaited,
    and comes out of a task as from any other.
    """
    refused = enqueue(5)
    with pytest.raises(SerializationError):
        await refused
    task = asyncio.create_task(enqueue(5))
    await asyncio.wait([task])
    assert isinstance(task.exception(), SerializationError)
    early = enqueue(b"x")
    await producer.close()
    with pytest.raises(ProducerClosed):
        await early


async def test_task_cancelled_before_its_first_step(producer, broker, enqueue):
    """
    A task that is cancelled before it began queues nothing.
    """
    task = asyncio.create_task(enqueue(b"cancelled"))
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await enqueue(b"after")

    assert [b"after"] == await queued(producer, broker)


async def test_cancelled_while_it_gives_a_turn(producer, broker, enqueue):
    """
    One that is cancelled while it lets the loop run has queued its record.
    """
    producer._appender.since_turn = 1 << 20
    task = asyncio.create_task(enqueue(b"queued"))
    await asyncio.sleep(0)
    assert not task.done()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task

    assert [b"queued"] == await queued(producer, broker)


@pytest.mark.parametrize("way", ["task", "wait_for", "coroutine"])
async def test_cancelled_while_it_waits_for_room(broker, way):
    """
    One that is cancelled while it waits for room queues nothing and leaves its place to others.
    """
    async with AsyncProducer(broker.bootstrap_servers, **SMALL) as producer:
        await producer.partitions_for("one")
        with pytest.raises(BufferFull):
            while True:
                producer.enqueue_nowait("one", b"filler" * 100)
        if way == "wait_for":
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(producer.enqueue("one", b"cancelled" * 90), 0)
        else:
            call = producer.enqueue("one", b"cancelled" * 90)

            async def wait():
                return await call

            task = asyncio.create_task(call if way == "task" else wait())
            await asyncio.sleep(0)
            assert (1, True) == (producer.metrics().callers_waiting, call.cr_await is not None)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
        assert 0 == producer.metrics().callers_waiting
        await producer.enqueue("one", b"after")
        found = await queued(producer, broker)

    assert b"after" in found
    assert b"cancelled" * 90 not in found


async def test_closed_while_it_waits_for_room(broker):
    """
    Closing a call that waits leaves its place as well.
    """
    async with AsyncProducer(broker.bootstrap_servers, **SMALL) as producer:
        await producer.partitions_for("one")
        with pytest.raises(BufferFull):
            while True:
                producer.enqueue_nowait("one", b"filler" * 100)
        call = producer.enqueue("one", b"closed" * 150)
        call.send(None)
        assert 1 == producer.metrics().callers_waiting
        call.close()
        assert 0 == producer.metrics().callers_waiting
        found = await queued(producer, broker)

    assert b"closed" * 150 not in found


async def test_told_to_tools(producer, enqueue):
    """
    A task's repr, its stack and the coroutine's state are told, before, during and after.
    """
    producer._appender.since_turn = 1 << 20
    call = enqueue(b"x")
    task = asyncio.create_task(call)
    told = []
    for _ in range(3):
        out = io.StringIO()
        task.print_stack(file=out)
        assert "Task" in out.getvalue()
        told.append(
            (inspect.getcoroutinestate(call), len(task.get_stack()), "enqueue" in repr(task))
        )
        await asyncio.sleep(0)
    await task

    assert [
        ("CORO_CREATED", 1, True), ("CORO_SUSPENDED", 1, True), ("CORO_CLOSED", 0, True),
    ] == told  # fmt: skip


@pytest.mark.skipif(sys.version_info < (3, 12), reason="eager tasks came with Python 3.12")
async def test_eager_tasks(producer, broker, enqueue):
    """
    An eager task has queued its record before create_task() returns.
    """
    loop = asyncio.get_running_loop()
    loop.set_task_factory(asyncio.eager_task_factory)
    try:
        accepted = producer.metrics().records_accepted
        task = asyncio.create_task(enqueue(b"eager"))
        assert (True, accepted + 1) == (task.done(), producer.metrics().records_accepted)
        producer._appender.since_turn = 1 << 20
        slow = asyncio.create_task(enqueue(b"turn"))
        assert not slow.done()
        await asyncio.gather(task.result(), await slow)
    finally:
        loop.set_task_factory(None)

    assert [b"eager", b"turn"] == await queued(producer, broker)


def test_run(broker):
    """
    asyncio.run() and Runner.run() take a call as their main coroutine.
    """
    producer = AsyncProducer(broker.bootstrap_servers)
    with asyncio.Runner() as runner:
        runner.run(producer.start())
        delivery = runner.run(producer.enqueue("one", b"x"))
        assert not delivery.done()
        runner.run(producer.close())
    with pytest.raises(ProducerClosed):
        asyncio.run(producer.enqueue("one", b"x"))

    assert 0 == delivery.result().offset


@pytest.mark.filterwarnings("default")
def test_never_awaited_after_the_loop(broker):
    """
    A call that outlives its loop unawaited says so all the same.
    """

    async def make():
        # What is logged of a slow turn would keep its task, and with it the call.
        asyncio.get_running_loop().slow_callback_duration = 60
        async with AsyncProducer(broker.bootstrap_servers) as producer:
            return producer.enqueue("one", b"x")

    call = asyncio.run(make())
    with pytest.warns(RuntimeWarning, match="never awaited"):
        del call

    assert 0 == len(broker.records("one"))


def test_under_uvloop(broker):
    """
    Under uvloop it is the same.
    """
    uvloop = pytest.importorskip("uvloop")

    async def main():
        async with AsyncProducer(broker.bootstrap_servers, **SMALL) as producer:
            for number in range(300):
                await producer.enqueue("one", b"%d" % number + b"." * 300)
            await asyncio.gather(*(producer.enqueue("one", b"end") for _ in range(100)))

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(main())
    found = [record.value.rstrip(b".") for record in broker.records("one")]

    assert [b"%d" % number for number in range(300)] + [b"end"] * 100 == found
