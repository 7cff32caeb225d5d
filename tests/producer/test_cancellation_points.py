"""Every call, cancelled at every single one of its waits: nothing lost, doubled or out of order."""

from __future__ import annotations

import asyncio

import pytest

from pyproducer import AsyncProducer, BufferFull, DeliveryTimeout, UndeliveredError
from tests.helpers.cancelling import MOMENTS, cancelled_at
from tests.helpers.leftovers import Leftovers, other_tasks

SMALL = {"buffer_memory": 20_000, "max_request_size": 10_000, "batch_size": 4_000}
#: More waits than any of the calls has; one that reaches it never ends.
MOST = 200


async def send(producer, mark):
    await producer.send("one", f"{mark} 0" + "." * 900)


async def enqueue(producer, mark):
    return await producer.enqueue("one", f"{mark} 0" + "." * 900)


async def enqueue_many(producer, mark):
    return await producer.enqueue_many("one", [f"{mark} {n}" + "." * 900 for n in range(4)])


async def send_many(producer, mark):
    await producer.send_many("one", [f"{mark} {n}" + "." * 900 for n in range(4)])


async def delivery(producer, mark):
    await (await producer.enqueue("one", f"{mark} 0" + "." * 900))


async def group(producer, mark):
    await (await producer.enqueue_many("one", [f"{mark} {n}" + "." * 900 for n in range(4)]))


async def flush(producer, mark):
    await producer.enqueue("one", f"{mark} 0" + "." * 900)
    await producer.flush()


async def topic_send(producer, mark):
    await producer.topic("one").send(f"{mark} 0" + "." * 900)


CALLS = [send, enqueue, enqueue_many, send_many, delivery, group, flush, topic_send]
MANY = {enqueue_many, send_many, group}


async def after_much(producer, coroutine):
    """Make a call in a turn in which much was queued already."""
    producer.enqueue_nowait("t", b"x" * 300_000, on_delivery=lambda _: None)
    return await coroutine


async def one_time(producer, call, name, wait, moment, *, much):
    """Call once, cancelled at a wait, between records of others; what came of it."""
    first = producer.enqueue_nowait("one", f"{name} first")
    coroutine = call(producer, f"{name} own")
    if much:
        coroutine = after_much(producer, coroutine)
    outcome = await cancelled_at(coroutine, wait, moment)
    last = await producer.enqueue("one", f"{name} last")
    await producer.flush()
    assert first.exception() is None
    assert last.exception() is None
    return outcome


async def one_time_full(producer, call, name, wait, moment, broker):
    """The same where the buffer is full, and others stand in line before and behind the call."""
    await asyncio.to_thread(broker.faults.pause)
    filled = []
    while True:
        try:
            filled.append(producer.enqueue_nowait("one", f"{name} first" + "." * 900))
        except BufferFull:
            break
    before = asyncio.create_task(producer.enqueue("one", f"{name} before" + "." * 2000))
    await asyncio.sleep(0)
    calling = asyncio.create_task(cancelled_at(call(producer, f"{name} own"), wait, moment))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    behind = asyncio.create_task(producer.enqueue("one", f"{name} last" + "." * 2000))
    await asyncio.sleep(0)
    await asyncio.to_thread(broker.faults.resume)
    handles = [*filled, await before, await behind]
    outcome = await calling
    await producer.flush()
    assert [None] * len(handles) == [handle.exception() for handle in handles]
    return outcome


def judge(call, outcome, found):
    """Whether what is in the log fits what the call was told. ``found``: its own records."""
    offered = [f"own {n}" for n in range(4 if call in MANY else 1)]
    # In their order, from the first on, each once.
    assert found == offered[: len(found)]
    if outcome.error is None:
        assert found == offered
    else:
        assert isinstance(outcome.error, asyncio.CancelledError), outcome.error


def own_records(broker, name):
    """The names of one round's records, in the log's order, those of one kind in a row once."""
    return [
        value.removeprefix(f"{name} ")
        for record in broker.records("one")
        if (value := record.value.rstrip(b".").decode()).startswith(f"{name} ")
    ]


def idle(producer):
    metrics = producer.metrics()
    return (metrics.records_queued, metrics.buffer_bytes, metrics.callers_waiting) == (0, 0, 0)


@pytest.mark.parametrize("moment", MOMENTS)
@pytest.mark.parametrize("call", CALLS, ids=lambda call: call.__name__)
@pytest.mark.parametrize("state", ["known", "no metadata", "owes a turn"])
async def test_at_every_wait(shared_broker, call, moment, state):
    """
    Cancelled at any wait, with metadata, before it, and where a call gives the event loop a turn:
    what was queued is there once and in its place, a call that returned has all of its records
    there, and the producer is as before.
    """
    for wait in range(1, MOST):
        name = f"{call.__name__}-{moment}-{state}-{wait}"
        async with AsyncProducer(shared_broker.bootstrap_servers) as producer:
            if state != "no metadata":
                await producer.partitions_for("one")
            much = state == "owes a turn"
            outcome = await one_time(producer, call, name, wait, moment, much=much)
            assert idle(producer)
        found = own_records(shared_broker, name)
        assert (found[0], found[-1]) == ("first", "last")
        judge(call, outcome, found[1:-1])
        if not outcome.struck:
            break
    else:
        pytest.fail("it never ends")
    # Where there is room, queueing alone waits for nothing but for a turn that is owed.
    assert wait > 1 or (call in {enqueue, enqueue_many} and state != "owes a turn")


@pytest.mark.parametrize("moment", MOMENTS)
@pytest.mark.parametrize("call", CALLS, ids=lambda call: call.__name__)
async def test_at_every_wait_for_room(broker, call, moment):
    """
    Cancelled at any wait with a full buffer: those in line before and behind it are served once
    and in order, and its own records are sent once or not at all.
    """
    for wait in range(1, MOST):
        name = f"{wait}"
        async with AsyncProducer(broker.bootstrap_servers, **SMALL) as producer:
            await producer.partitions_for("one")
            outcome = await one_time_full(producer, call, name, wait, moment, broker)
            assert idle(producer)
        found = own_records(broker, name)
        others = [one for one in found if not one.startswith("own")]
        assert others == ["first"] * (len(others) - 2) + ["before", "last"]
        assert found.index("before") < min(
            (found.index(one) for one in found if one.startswith("own")), default=len(found)
        )
        judge(call, outcome, [one for one in found if one.startswith("own")])
        if not outcome.struck:
            break
    else:
        pytest.fail("it never ends")
    assert wait > 1


@pytest.mark.parametrize("moment", MOMENTS)
async def test_start_at_every_wait(shared_broker, moment):
    """
    A start that is cancelled at any wait leaves nothing, and the next one works.
    """
    before = Leftovers()
    for wait in range(1, MOST):
        producer = AsyncProducer(shared_broker.bootstrap_servers)
        outcome = await cancelled_at(producer.start(), wait, moment)
        if outcome.error is not None:
            assert isinstance(outcome.error, asyncio.CancelledError)
            assert other_tasks() == []
            assert before.found() == []
        async with asyncio.timeout(5), producer:
            await producer.send("t", b"x")
        assert other_tasks() == []
        if not outcome.struck:
            break
    assert 1 < wait < MOST - 1
    assert before.found() == []


@pytest.mark.parametrize("moment", MOMENTS)
@pytest.mark.parametrize("paused", [False, True], ids=["alive", "paused"])
async def test_close_at_every_wait(broker, moment, paused):
    """
    A close that is cancelled at any wait has ended all the same: every record has its outcome, in
    agreement with the log, and nothing is left.
    """
    before = Leftovers()
    for wait in range(1, MOST):
        producer = AsyncProducer(
            broker.bootstrap_servers, compression_type="zstd", close_timeout_ms=100
        )
        await producer.start()
        await producer.partitions_for("one")
        if paused:
            await asyncio.to_thread(broker.faults.pause)
        handles = [
            producer.enqueue_nowait("one", f"{wait} {n}" + "." * 900, on_delivery=lambda _: None)
            for n in range(30)
        ]
        outcome = await cancelled_at(producer.close(), wait, moment)
        settled = [handle.exception() for handle in handles]
        await producer.close()
        await asyncio.to_thread(broker.faults.resume)
        assert all(error is None or isinstance(error, DeliveryTimeout) for error in settled)
        assert outcome.error is None or isinstance(
            outcome.error, asyncio.CancelledError | UndeliveredError | TimeoutError
        ), outcome.error
        stored = own_records(broker, str(wait))
        assert len(stored) == len(set(stored))
        for number, error in enumerate(settled):
            if error is None:
                assert str(number) in stored
            elif not error.maybe_written:
                assert str(number) not in stored
        assert other_tasks() == []
        if not outcome.struck:
            break
    assert 1 < wait < MOST - 1
    assert before.found() == []


@pytest.mark.parametrize("moment", MOMENTS)
async def test_failures_are_counted_exactly(broker, moment):
    """
    Of failed records those count as unseen whose callers were cancelled, and no others.
    """
    for wait in range(1, MOST):
        producer = AsyncProducer(broker.bootstrap_servers)
        await producer.start()
        await producer.partitions_for("t")
        outcome = await cancelled_at(producer.send("t", "x", partition=0), wait, moment)
        accepted = producer.metrics().records_accepted
        await producer.flush()
        wrong = await cancelled_at(fails(producer), wait, moment)
        unseen = int(wrong.struck and isinstance(wrong.error, asyncio.CancelledError))
        failed = producer.metrics().records_failed
        if unseen and failed:
            with pytest.raises(UndeliveredError) as caught:
                await producer.close()
            assert caught.value.count == 1
        else:
            await producer.close()
        assert accepted <= 1
        if not (outcome.struck or wrong.struck):
            break
    assert 1 < wait < MOST - 1


async def fails(producer):
    """A record that is accepted, and fails while it is waited for."""
    made = await producer.enqueue_many("t", ["x"], partitions=[7])
    await producer.flush()
    await asyncio.sleep(0)
    return await made
