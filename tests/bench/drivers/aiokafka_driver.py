"""aiokafka: ``await send`` gives a future for each record; all are kept, and read after the flush."""

from __future__ import annotations

import asyncio
from typing import Any

from aiokafka import AIOKafkaProducer

from tests.bench.drivers.common import Answer, Job, Span, is_plain, rows, values, work


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
    if is_plain(job):
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


async def throughput(job: Job) -> Answer:
    values(job)
    producer = AIOKafkaProducer(**options(job))
    await producer.start()
    try:
        await producer.send_and_wait(job.topic, b"first")
        with Span() as span:
            acknowledged = await enqueue(producer, job)
    finally:
        await producer.stop()
    return span.answer(acknowledged, extra=1)


if __name__ == "__main__":
    work({"throughput": lambda job: asyncio.run(throughput(job))})
