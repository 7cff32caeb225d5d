"""pyproducer from asyncio, each way of calling it; the pure twin too (PYPRODUCER_PURE=1)."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

from pyproducer import AsyncProducer
from pyproducer.topic import Topic
from tests.bench.drivers import ours_timed
from tests.bench.drivers.common import Answer, Job, Span, is_plain, rows, values, work
from tests.bench.drivers.ours_words import first, on_a_loop, options, serializer


async def enqueue(topic: Topic[Any, Any], producer: AsyncProducer[Any, Any], job: Job) -> int:
    """One ``await enqueue`` for each record; all handles are kept, and read after the flush."""
    enqueue = topic.enqueue
    if is_plain(job):
        kept = [await enqueue(value) for value in values(job)]
    else:
        kept = [
            await enqueue(value, key=key, headers=headers, partition=partition)
            for value, key, headers, partition in rows(job)
        ]
    await producer.flush()
    return read(kept)


def read(kept: list[Any]) -> int:
    """The number of records acknowledged: every handle is asked for its offset."""
    total = sum(delivery.result().offset for delivery in kept)
    assert total >= -len(kept)
    return len(kept)


async def nowait(topic: Topic[Any, Any], producer: AsyncProducer[Any, Any], job: Job) -> int:
    """One plain call for each record, and a callback for each outcome."""
    enqueue = topic.enqueue_nowait
    done = total = 0

    def report(delivery: Any) -> None:
        nonlocal done, total
        total += delivery.result().offset
        done += 1

    if is_plain(job):
        for value in values(job):
            enqueue(value, on_delivery=report)
    else:
        for value, key, headers, partition in rows(job):
            enqueue(value, key=key, headers=headers, partition=partition, on_delivery=report)
    await producer.flush()
    assert total >= -done
    return done


async def many(topic: Topic[Any, Any], producer: AsyncProducer[Any, Any], job: Job) -> int:
    """Columns of records, 10,000 in a call; every outcome is read."""
    source = values(job)
    made = list(source)
    kept = [
        await topic.enqueue_many(made[start : start + 10_000])
        for start in range(0, len(made), 10_000)
    ]
    done = total = 0
    for group in kept:
        for metadata in await group:
            total += metadata.offset
            done += 1
    assert total >= -done
    return done


async def send(topic: Topic[Any, Any], producer: AsyncProducer[Any, Any], job: Job) -> int:
    """So many tasks as the job has senders, each waiting for the outcome of each of its records."""
    source = values(job)
    send = topic.send
    done = total = 0

    async def sender() -> None:
        nonlocal done, total
        for value in source:
            metadata = await send(value)
            total += metadata.offset
            done += 1

    if job.senders <= 1:
        await sender()
    else:
        await asyncio.gather(*(sender() for _ in range(job.senders)))
    assert total >= -done
    return done


Way = Callable[[Topic[Any, Any], AsyncProducer[Any, Any], Job], Awaitable[int]]
WAYS: dict[str, Way] = {"enqueue": enqueue, "nowait": nowait, "many": many, "send": send}


async def throughput(job: Job) -> Answer:
    """Send everything and read every outcome; connecting and the first record are not timed."""
    values(job)
    async with AsyncProducer(job.bootstrap_servers, **options(job)) as producer:
        topic: Topic[Any, Any] = producer.topic(job.topic, value_serializer=serializer(job))
        await topic.send(first(job))
        with Span() as span:
            acknowledged = await WAYS[job.how](topic, producer, job)
    return span.answer(acknowledged, extra=1)


if __name__ == "__main__":
    work({"throughput": on_a_loop(throughput), **ours_timed.OPERATIONS})
