"""kafka-python: ``send`` gives a future for each record; all are kept, and read after the flush."""

from __future__ import annotations

import itertools
from time import perf_counter
from typing import Any

from kafka import KafkaProducer

from tests.bench.drivers.common import Answer, Job, Span, is_plain, rows, values, work


def options(job: Job) -> dict[str, Any]:
    """The job's settings in this client's words; it has no choice of level.

    It cannot read the mock's answer to its first request, so there it is told what to expect.
    """
    wanted = job.settings
    return {
        "api_version": (2, 0) if job.sink == "mock" else None,
        "bootstrap_servers": job.bootstrap_servers,
        "acks": wanted.acks,
        "enable_idempotence": wanted.idempotence,
        "linger_ms": wanted.linger_ms,
        "batch_size": wanted.batch_size,
        "max_request_size": wanted.max_request_size,
        "max_in_flight_requests_per_connection": wanted.in_flight or 5,
        "compression_type": None if wanted.codec == "none" else wanted.codec,
    }


def throughput(job: Job) -> Answer:
    """Send everything and read every outcome; connecting and the first record are not timed."""
    values(job)
    producer = KafkaProducer(**options(job))
    try:
        send, topic = producer.send, job.topic
        send(topic, b"first").get(30)
        with Span() as span:
            if is_plain(job):
                kept = [send(topic, value) for value in values(job)]
            else:
                kept = [
                    send(topic, value, key=key, headers=headers or [], partition=partition)
                    for value, key, headers, partition in rows(job)
                ]
            producer.flush()
            total = sum(future.get(30).offset for future in kept)
        assert total >= -len(kept)
    finally:
        producer.close()
    return span.answer(len(kept), extra=1)


def latency(job: Job) -> Answer:
    """``send`` and a blocking ``get``, one after the other."""
    producer = KafkaProducer(**options(job))
    samples = []
    try:
        for value in itertools.chain(itertools.islice(values(job), job.warm_up), values(job)):
            began = perf_counter()
            producer.send(job.topic, value).get(30)
            samples.append(perf_counter() - began)
    finally:
        producer.close()
    return {"samples": samples[job.warm_up :]}


if __name__ == "__main__":
    work({"throughput": throughput, "latency": latency})
