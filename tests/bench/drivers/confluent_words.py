"""The job's words in librdkafka's."""

from __future__ import annotations

from typing import Any

from confluent_kafka import Producer

from tests.bench.drivers.common import Job


def options(job: Job) -> dict[str, Any]:
    """The job's settings in librdkafka's words."""
    wanted = job.settings
    found = {
        "bootstrap.servers": job.bootstrap_servers,
        "acks": wanted.acks,
        "enable.idempotence": wanted.idempotence,
        "linger.ms": wanted.linger_ms,
        "batch.size": wanted.batch_size,
        "batch.num.messages": wanted.batch_max_records,
        "message.max.bytes": wanted.max_request_size,
        "compression.type": wanted.codec,
        "queue.buffering.max.messages": 10_000_000,
        "queue.buffering.max.kbytes": wanted.buffer_bytes // 1024,
    }
    if wanted.in_flight is not None:
        found["max.in.flight.requests.per.connection"] = wanted.in_flight
    if wanted.level is not None:
        found["compression.level"] = wanted.level
    return found


def warm_up(producer: Producer, job: Job) -> None:
    """Connected, with metadata: one record was acknowledged."""
    producer.produce(job.topic, b"first")
    assert producer.flush(30) == 0
