"""Tasks that await outcomes: woken where the answer is read, and what they send next leaves there."""

from __future__ import annotations

import asyncio
import contextvars
import selectors
from collections import Counter

import pytest

from pyproducer import AsyncProducer, DeliveryTimeout
from pyproducer.core.appender import ACCELERATED, OutcomeWait

compiled = pytest.mark.skipif(not ACCELERATED, reason="the pure twin waits on asyncio's futures")


class CountingSelector(selectors.DefaultSelector):
    """Counts the turns of its loop."""

    turns = 0

    def select(self, timeout=None):
        self.turns += 1
        return super().select(timeout)


@compiled
def test_one_turn_for_each_send(shared_broker):
    """
    Whoever sends one record after the other needs one turn of the event loop for each: the answer
    is read, its task goes on, and the next request is written.
    """
    selector = CountingSelector()

    async def main():
        async with AsyncProducer(shared_broker.bootstrap_servers, linger_ms=0) as producer:
            for _ in range(10):
                await producer.send("one", b"x")
            before = selector.turns
            for _ in range(200):
                await producer.send("one", b"x")
            return selector.turns - before

    with asyncio.Runner(loop_factory=lambda: asyncio.SelectorEventLoop(selector)) as runner:
        turns = runner.run(main())

    # A few more, where an answer comes in two pieces.
    assert 200 <= turns <= 240


async def test_tasks_of_a_turn_share_a_batch(producer, broker):
    """
    Where others have something to do in the same turn, what those send leaves together with it.
    """
    await producer.send("one", b"first")
    before = producer.metrics().requests_sent

    async def sender():
        for _ in range(5):
            await asyncio.sleep(0)
            await producer.send("one", b"x")

    await asyncio.gather(*(sender() for _ in range(20)))

    assert 101 == len(broker.records("one"))
    assert producer.metrics().requests_sent - before <= 10


async def test_each_in_its_own_context(producer):
    """
    A task that goes on is in its own context, is the current one, and knows its own record.
    """
    name = contextvars.ContextVar("name", default=None)
    seen = Counter()

    async def sender(number):
        name.set(number)
        for _ in range(10):
            made = await producer.enqueue("t", b"%d" % number, partition=number % 3)
            metadata = await made
            assert metadata.partition == number % 3
            assert asyncio.current_task().get_name() == str(number)
            seen[name.get()] += 1

    async with asyncio.TaskGroup() as group:
        for number in range(9):
            group.create_task(sender(number), name=str(number))

    assert dict.fromkeys(range(9), 10) == seen
    assert name.get() is None


async def test_cancelled_while_it_waits(broker, producer):
    """
    A task that is cancelled gets the message it was cancelled with; its record is delivered, and
    others who await the same handle are told.
    """
    broker.faults.delay("Produce", seconds=0.1)
    made = await producer.enqueue("one", b"x")

    async def wait():
        return await made

    given_up, patient = asyncio.create_task(wait()), asyncio.create_task(wait())
    await asyncio.sleep(0)
    given_up.cancel("enough")
    with pytest.raises(asyncio.CancelledError, match="enough"):
        await given_up

    assert "one" == (await patient).topic
    assert await patient == await made


async def test_failure_that_only_a_cancelled_task_awaited(broker):
    """
    One who was cancelled has seen no failure: it is told of elsewhere. One who waits has.
    """
    failures = []
    async with AsyncProducer(
        broker.bootstrap_servers,
        request_timeout_ms=200,
        delivery_timeout_ms=400,
        on_delivery_failure=failures.append,
    ) as producer:
        await producer.send("one", b"first")
        await asyncio.to_thread(broker.stop)

        async def wait(made):
            await made

        gone = asyncio.create_task(wait(await producer.enqueue("one", b"a")))
        there = asyncio.create_task(wait(await producer.enqueue("one", b"b")))
        await asyncio.sleep(0)
        gone.cancel()
        with pytest.raises(DeliveryTimeout):
            await there

    assert [1] == [failure.count for failure in failures]


async def test_time_limit(broker, producer):
    """
    asyncio's own time limits work on deliveries.
    """
    broker.faults.delay("Produce", seconds=0.3)
    made = await producer.enqueue("one", b"x")
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(made, 0.01)

    assert 0 == (await asyncio.wait_for(made, 30)).offset


async def test_interpreter_errors_reach_the_loop(producer):
    """
    What a task raises on the way is its own: it does not reach the connection.
    """

    async def raises():
        await producer.send("one", b"x")
        raise ArithmeticError("mine")

    with pytest.raises(ArithmeticError, match="mine"):
        await asyncio.create_task(raises())

    assert 1 == (await producer.send("one", b"y")).offset


@compiled
async def test_as_a_future():
    """
    To a task it is a future of asyncio's: known, once; cancelled, once; callbacks in order.
    """
    loop = asyncio.get_running_loop()
    host = type("Host", (), {"cancelled": staticmethod(asyncio.CancelledError)})()
    seen = []
    wait = OutcomeWait(host, loop)
    assert asyncio.isfuture(wait)
    assert wait.get_loop() is loop
    assert not wait.done()
    with pytest.raises(RuntimeError):
        wait.result()
    for name in "ab":
        wait.add_done_callback(lambda _, name=name: seen.append(name))
    wait.add_done_callback(seen.append)
    assert 1 == wait.remove_done_callback(seen.append)
    wait.set_result(None)
    wait.set_result(None)
    assert wait.done()
    assert not wait.cancel()
    assert not wait.cancelled()
    assert wait.result() is None
    assert not seen
    await asyncio.sleep(0)
    assert ["a", "b"] == seen

    other = OutcomeWait(host, loop)
    assert other.cancel("enough")
    assert other.cancelled()
    with pytest.raises(asyncio.CancelledError, match="enough"):
        other.result()


async def test_await_by_hand(producer):
    """
    What a delivery is awaited by takes whatever a coroutine takes, and leaves the record alone.
    """
    made = await producer.enqueue("one", b"x")
    left, thrown, kept = (made.__await__() for _ in range(3))
    for steps in (left, thrown, kept):
        assert asyncio.isfuture(steps.send(None))
    left.close()
    with pytest.raises(KeyError, match="mine"):
        thrown.throw(KeyError("mine"))
    assert 0 == (await made).offset
    await asyncio.sleep(0)
    with pytest.raises(StopIteration) as ended:
        kept.send(None)
    assert made.result() == ended.value.value

    # Known already: nothing to wait for, each time.
    for _ in range(2):
        with pytest.raises(StopIteration) as ended:
            next(made.__await__())
        assert made.result() == ended.value.value


async def test_await_of_what_failed(broker):
    """
    An outcome that is an error is raised by each who awaits it, at once where it is known.
    """
    async with AsyncProducer(
        broker.bootstrap_servers, request_timeout_ms=200, delivery_timeout_ms=400
    ) as producer:
        await producer.send("one", b"first")
        await asyncio.to_thread(broker.stop)
        made = await producer.enqueue("one", b"x")
        for _ in range(2):
            with pytest.raises(DeliveryTimeout):
                await made
        with pytest.raises(DeliveryTimeout):
            next(made.__await__())
