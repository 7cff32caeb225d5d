"""confluent-kafka's AIOProducer: ``await produce`` gives a future; all are awaited at the end."""

from __future__ import annotations

import asyncio

from confluent_kafka.aio import AIOProducer

from tests.bench.drivers.common import Answer, Job, Span, values, work
from tests.bench.drivers.confluent_words import options


async def throughput(job: Job) -> Answer:
    """Send everything and read every outcome; connecting and the first record are not timed."""
    values(job)
    producer = AIOProducer(options(job))
    try:
        first = await producer.produce(job.topic, b"first")
        await producer.flush()
        await first
        with Span() as span:
            kept = [await producer.produce(job.topic, value) for value in values(job)]
            await producer.flush()
            total = sum(message.offset() for message in await asyncio.gather(*kept))
        assert total >= 0
    finally:
        await producer.close()
    return span.answer(len(kept), extra=1)


if __name__ == "__main__":
    work({"throughput": lambda job: asyncio.run(throughput(job))})
