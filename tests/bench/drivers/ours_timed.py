"""pyproducer from asyncio: round trips, a trickle, stalls of the loop, memory, waiting callers."""

from __future__ import annotations

import asyncio
import itertools
from time import perf_counter
from typing import Any

from pyproducer import AsyncProducer
from tests.bench.drivers.common import Answer, Job, Memory, Span, checkpoint, pool, values
from tests.bench.drivers.ours_words import on_a_loop, options
from tests.bench.drivers.ticker import Ticker


async def latency(job: Job) -> Answer:
    """One ``await send`` after the other."""
    samples = []
    async with AsyncProducer(job.bootstrap_servers, **options(job)) as producer:
        send = producer.topic(job.topic).send
        for value in itertools.islice(values(job), job.warm_up):
            await send(value)
        for value in values(job):
            began = perf_counter()
            await send(value)
            samples.append(perf_counter() - began)
    return {"samples": samples}


async def trickle(job: Job) -> Answer:
    """``await enqueue`` at a steady rate; a sample is from the call to its callback."""
    samples: list[float] = []
    async with AsyncProducer(job.bootstrap_servers, **options(job)) as producer:
        topic = producer.topic(job.topic)
        await topic.send(b"first")
        due = perf_counter()
        for value in values(job):
            due += 1 / job.rate
            await asyncio.sleep(due - perf_counter())
            began = perf_counter()

            def report(delivery: Any, began: float = began) -> None:
                delivery.result()
                samples.append(perf_counter() - began)

            await topic.enqueue(value, on_delivery=report)
        await producer.flush()
    assert len(samples) == job.count
    return {"samples": samples}


async def stall(job: Job) -> Answer:
    """A ticker beside a loop of ``await enqueue`` that never sleeps, with the default buffer."""
    words = {**options(job), "buffer_memory": 64 << 20}
    sent = 0
    async with AsyncProducer(job.bootstrap_servers, **words) as producer:
        enqueue = producer.topic(job.topic).enqueue
        source = itertools.cycle(pool(job.size))
        async with Ticker(job.seconds) as ticker:
            while not ticker.over:
                await enqueue(next(source))
                sent += 1
        await producer.flush()
    return {"samples": ticker.stalls, "held": ticker.held, "records": sent}


async def memory(job: Job) -> Answer:
    """What the process grows by while records are queued for a broker that has gone."""
    async with AsyncProducer(job.bootstrap_servers, **options(job)) as producer:
        topic = producer.topic(job.topic)
        enqueue = topic.enqueue
        await topic.send(b"first")
        value = pool(job.size)[0]
        checkpoint("stop the broker")
        grown = Memory()
        if job.keep:
            kept = [await enqueue(value) for _ in range(job.count)]
            assert len(kept) == job.count
        else:
            for _ in range(job.count):
                await enqueue(value)
        grown.leave(job.count)


async def room(job: Job) -> Answer:
    """Many tasks in ``await enqueue`` with a buffer that is full most of the time."""
    words = {**options(job), "buffer_memory": 4 << 20}
    source = values(job)
    async with AsyncProducer(job.bootstrap_servers, **words) as producer:
        enqueue = producer.topic(job.topic).enqueue
        await producer.send(job.topic, b"first")

        async def sender() -> None:
            for value in source:
                await enqueue(value)

        with Span() as span:
            await asyncio.gather(*(sender() for _ in range(job.senders)))
            await producer.flush()
        delivered = producer.metrics().records_delivered - 1
    return span.answer(delivered, extra=1)


OPERATIONS = {
    "latency": on_a_loop(latency),
    "trickle": on_a_loop(trickle),
    "stall": on_a_loop(stall),
    "memory": on_a_loop(memory),
    "room": on_a_loop(room),
}
