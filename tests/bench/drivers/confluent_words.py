"""The job's words in librdkafka's."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from typing import Any

from confluent_kafka import Producer

from tests.bench.drivers.common import AVRO_SCHEMA, Job


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
        "max.in.flight.requests.per.connection": wanted.in_flight,
        "compression.type": wanted.codec,
        "queue.buffering.max.messages": 10_000_000,
        "queue.buffering.max.kbytes": wanted.buffer_bytes // 1024,
    }
    if wanted.level is not None:
        found["compression.level"] = wanted.level
    return found


def serializer(job: Job) -> Callable[[Any], bytes] | None:
    """What a user of this client would make bytes of dicts with."""
    if job.form == "json":
        dumps = json.dumps
        return lambda value: dumps(value).encode()
    if job.form == "avro":
        import fastavro

        schema = fastavro.parse_schema(AVRO_SCHEMA)
        write = fastavro.schemaless_writer

        def as_avro(value: Any) -> bytes:
            buffer = io.BytesIO()
            write(buffer, schema, value)
            return buffer.getvalue()

        return as_avro
    return None


def warm_up(producer: Producer, job: Job) -> None:
    """Connected, with metadata: one record was acknowledged."""
    producer.produce(job.topic, b"first")
    assert producer.flush(30) == 0
