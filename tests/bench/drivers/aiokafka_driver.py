"""aiokafka: ``await send`` gives a future for each record; all are kept, and read after the flush."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
from collections.abc import AsyncIterator
from time import perf_counter
from typing import Any

from aiokafka import AIOKafkaProducer

from tests.bench.drivers.common import Answer, Job, Span, is_plain, pool, rows, values, work
from tests.bench.drivers.peer_serializers import serializer
from tests.bench.drivers.ticker import Ticker


def options(job: Job) -> dict[str, Any]:
    """The job's settings in this client's words.

    It has one request in flight for each broker, no choice of level, and holds one batch for each
    partition, so there is no buffer to be made large.
    """
    wanted = job.settings
    return {
        "bootstrap_servers": job.bootstrap_servers,
        "acks": {-1: "all"}.get(wanted.acks, wanted.acks),
        "enable_idempotence": wanted.idempotence,
        "linger_ms": wanted.linger_ms,
        "max_batch_size": wanted.batch_size,
        "max_request_size": wanted.max_request_size,
        "compression_type": None if wanted.codec == "none" else wanted.codec,
    }


async def enqueue(producer: AIOKafkaProducer, job: Job) -> int:
    send, topic = producer.send, job.topic
    dump = serializer(job)
    if dump is not None:
        kept = [await send(topic, dump(value)) for value in values(job)]
    elif is_plain(job):
        kept = [await send(topic, value) for value in values(job)]
    else:
        kept = [
            await send(topic, value, key=key, headers=headers, partition=partition)
            for value, key, headers, partition in rows(job)
        ]
    await producer.flush()
    if job.settings.acks == 0:
        return sum(future.done() for future in kept)
    total = sum(future.result().offset for future in kept)
    assert total >= 0
    return len(kept)


async def send(producer: AIOKafkaProducer, job: Job) -> int:
    """So many tasks as the job has senders, each waiting for the outcome of each of its records."""
    source = values(job)
    done = 0

    async def sender() -> None:
        nonlocal done
        for value in source:
            await producer.send_and_wait(job.topic, value)
            done += 1

    await asyncio.gather(*(sender() for _ in range(max(1, job.senders))))
    return done


@contextlib.asynccontextmanager
async def connected(job: Job) -> AsyncIterator[AIOKafkaProducer]:
    """A producer that has sent its first record."""
    producer = AIOKafkaProducer(**options(job))
    await producer.start()
    try:
        await producer.send_and_wait(job.topic, b"first")
        yield producer
    finally:
        await producer.stop()


WAYS = {"enqueue": enqueue, "send": send}


async def throughput(job: Job) -> Answer:
    """Send everything and read every outcome; connecting and the first record are not timed."""
    values(job)
    async with connected(job) as producer:
        with Span() as span:
            acknowledged = await WAYS[job.how](producer, job)
    return span.answer(acknowledged, extra=1)


async def latency(job: Job) -> Answer:
    """One ``await send_and_wait`` after the other."""
    samples = []
    async with connected(job) as producer:
        send = producer.send_and_wait
        for value in itertools.islice(values(job), job.warm_up):
            await send(job.topic, value)
        for value in values(job):
            began = perf_counter()
            await send(job.topic, value)
            samples.append(perf_counter() - began)
    return {"samples": samples}


async def trickle(job: Job) -> Answer:
    """``await send`` at a steady rate; a sample is from the call to its future's callback."""
    samples: list[float] = []
    async with connected(job) as producer:
        due = perf_counter()
        for value in values(job):
            due += 1 / job.rate
            await asyncio.sleep(due - perf_counter())
            began = perf_counter()

            def report(future: Any, began: float = began) -> None:
                future.result()
                samples.append(perf_counter() - began)

            (await producer.send(job.topic, value)).add_done_callback(report)
        await producer.flush()
        await asyncio.sleep(0)
    assert len(samples) == job.count
    return {"samples": samples}


async def stall(job: Job) -> Answer:
    """A ticker beside a loop of ``await send`` that never sleeps."""
    sent = 0
    async with connected(job) as producer:
        source = itertools.cycle(pool(job.size))
        async with Ticker(job.seconds) as ticker:
            while not ticker.over:
                await producer.send(job.topic, next(source))
                sent += 1
        await producer.flush()
    return {"samples": ticker.stalls, "held": ticker.held, "records": sent}


if __name__ == "__main__":
    work(
        {
            "throughput": lambda job: asyncio.run(throughput(job)),
            "latency": lambda job: asyncio.run(latency(job)),
            "trickle": lambda job: asyncio.run(trickle(job)),
            "stall": lambda job: asyncio.run(stall(job)),
        }
    )
