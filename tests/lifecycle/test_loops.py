"""Event loops of every kind and order: one after the other, closed, debugged, uvloop, eager tasks."""

from __future__ import annotations

import asyncio
import gc
import importlib.util
import sys
import textwrap
import warnings

import pytest

from pyproducer import (
    AsyncProducer,
    ProducerClosed,
    SyncProducer,
    UndeliveredError,
    UnknownTopic,
    WrongLoop,
)
from tests.helpers.leftovers import Leftovers, other_tasks
from tests.helpers.programs import run

STRICT = ("-X", "dev", "-W", "error")


async def whole_life(servers):
    """Start, send in every way, flush, fail, close."""
    async with AsyncProducer(servers, compression_type="zstd") as producer:
        metas = await asyncio.gather(*(producer.send("one", str(n)) for n in range(200)))
        assert sorted(meta.offset for meta in metas) == list(range(200))
        await (await producer.enqueue_many("t", ["x" * 1000] * 500))
        producer.enqueue_nowait("t", b"y" * 100_000)
        report = await producer.flush()
        assert report.failed == 0
        waiting = [asyncio.create_task(producer.send("one", str(n))) for n in range(10)]
        await asyncio.sleep(0)
        for task in waiting[::2]:
            task.cancel()
        await asyncio.gather(*waiting, return_exceptions=True)
    assert other_tasks() == []


def loops():
    """Each kind of loop that there is here."""
    yield pytest.param(asyncio.new_event_loop, id="asyncio")

    def debugged():
        loop = asyncio.new_event_loop()
        loop.set_debug(True)
        return loop

    yield pytest.param(debugged, id="debug")
    if importlib.util.find_spec("uvloop") is not None:
        import uvloop

        yield pytest.param(uvloop.new_event_loop, id="uvloop")
    if sys.version_info >= (3, 12):

        def eager():
            loop = asyncio.new_event_loop()
            loop.set_task_factory(asyncio.eager_task_factory)
            return loop

        yield pytest.param(eager, id="eager tasks")


LOOPS = list(loops())


@pytest.mark.parametrize("make", LOOPS)
def test_whole_life(broker, make):
    """
    A whole life on each kind of event loop; nothing is left.
    """
    before = Leftovers()
    with asyncio.Runner(loop_factory=make) as runner:
        runner.run(whole_life(broker.bootstrap_servers))
    gc.collect()

    assert before.found() == []
    assert len(broker.records("t")) == 501


@pytest.mark.parametrize("make", LOOPS)
def test_concurrent_starts_and_closes(broker, make):
    """
    On each kind of loop many starts and many closes at a time do it once.
    """

    async def main():
        producer = AsyncProducer(broker.bootstrap_servers)
        await asyncio.gather(*(producer.start() for _ in range(5)))
        await producer.send("one", "x")
        producer.enqueue_nowait("one", "y")
        await asyncio.gather(*(producer.close() for _ in range(5)))
        with pytest.raises(ProducerClosed):
            await producer.start()
        meeting = AsyncProducer(broker.bootstrap_servers)
        found = await asyncio.gather(
            *(meeting.start() for _ in range(3)),
            meeting.close(),
            *(meeting.start() for _ in range(3)),
            return_exceptions=True,
        )
        assert {type(one) for one in found} <= {type(None), ProducerClosed}
        assert type(found[-1]) is ProducerClosed
        assert other_tasks() == []

    with asyncio.Runner(loop_factory=make) as runner:
        runner.run(main())
    assert [b"x", b"y"] == [record.value for record in broker.records("one")]


def test_one_object_in_two_runs(broker):
    """
    A producer that was closed in one asyncio.run() says so in the next; one that a failed or no
    start has left unused works there.
    """
    producer = AsyncProducer(broker.bootstrap_servers)

    async def main():
        async with producer:
            await producer.send("one", "x")

    asyncio.run(main())
    with pytest.raises(ProducerClosed):
        asyncio.run(main())

    producer = AsyncProducer(broker.bootstrap_servers)

    async def cancelled():
        starting = asyncio.create_task(producer.start())
        await asyncio.sleep(0)
        starting.cancel()
        await asyncio.wait([starting])

    asyncio.run(cancelled())
    asyncio.run(main())
    assert len(broker.records("one")) == 2


def test_left_open_by_one_run_used_in_the_next(broker):
    """
    A producer that a run left open belongs to a loop that is closed: every use of it in the next
    run, its close too, is a WrongLoop, and its records failed when it goes.
    """
    before = Leftovers()
    failures = []
    options = {"linger_ms": 60_000, "on_delivery_failure": failures.append}
    keep = [AsyncProducer(broker.bootstrap_servers, **options)]

    async def first():
        [producer] = keep
        await producer.start()
        await producer.partitions_for("one")
        producer.enqueue_nowait("one", "never sent")

    async def second():
        [producer] = keep
        for call in (producer.start, producer.flush, producer.close):
            with pytest.raises(WrongLoop):
                await call()
        with pytest.raises(WrongLoop):
            async with producer:
                raise AssertionError

    with warnings.catch_warnings():
        # asyncio's own, of the transports that went with the loop.
        warnings.simplefilter("ignore", ResourceWarning)
        asyncio.run(first())
        asyncio.run(second())
        assert failures == []
        keep.clear()
        gc.collect()

    assert [("one", 1)] == [(one.topic, one.count) for one in failures]
    assert before.found() == []


@pytest.mark.parametrize("face", ["asyncio", "blocking"])
def test_strict_program(broker, face):
    """
    With -X dev and every warning an error a program that uses everything says nothing.
    """
    programs = {
        "asyncio": """
            import asyncio, sys
            from pyproducer import AsyncProducer, UndeliveredError

            async def main():
                async with AsyncProducer(sys.argv[1], compression_type="lz4") as producer:
                    await producer.send_many("t", [str(n) for n in range(100)])
                    await producer.topic("one").send("x")
                    await producer.flush()
                    await producer.partitions_for("t")
                try:
                    async with AsyncProducer(sys.argv[1]) as producer:
                        producer.enqueue_nowait("t", "x", partition=9)
                except UndeliveredError as error:
                    assert error.count == 1

            asyncio.run(main(), debug=True)
        """,
        "blocking": """
            import sys, threading
            from pyproducer import SyncProducer, UndeliveredError

            with SyncProducer(sys.argv[1], compression_type="lz4") as producer:
                producer.send_many("t", [str(n) for n in range(100)])
                producer.topic("one").send("x")
                producer.flush()
                producer.partitions_for("t")
            try:
                with SyncProducer(sys.argv[1]) as producer:
                    producer.enqueue_nowait("t", "x", partition=9)
            except UndeliveredError as error:
                assert error.count == 1
        """,
    }
    # The failed record is logged, where nothing is set up on standard error: that is its place.
    text = "import logging; logging.disable(logging.CRITICAL)\n"
    ended = run(text + textwrap.dedent(programs[face]), broker.bootstrap_servers, options=STRICT)

    assert (ended.code, ended.err) == (0, "")


async def test_undelivered_is_counted_on_any_way_out(broker):
    """
    Failures before a flush and after it, of single records and of entries of a group, are all
    counted; what was refused at the door is not.
    """
    with pytest.raises(UndeliveredError) as caught:
        async with AsyncProducer(broker.bootstrap_servers) as producer:
            producer.enqueue_nowait("t", "x", partition=9)
            await producer.flush()
            with pytest.raises(UnknownTopic):
                producer.enqueue_nowait("t", "refused at the door", partition=7)
            await producer.enqueue_many("t", ["x"] * 3, partitions=[0, 9, 9])
    found = caught.value
    assert (found.count, found.by_topic) == (3, {"t": 3})

    def blocking():
        with SyncProducer(broker.bootstrap_servers) as producer:
            producer.enqueue_many("t", ["x"] * 3, partitions=[0, 9, 9])

    with pytest.raises(UndeliveredError) as caught:
        await asyncio.to_thread(blocking)
    assert caught.value.count == 2
