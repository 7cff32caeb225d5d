"""The job's words in this project's: options, serializers, and the loop that a job runs on."""

from __future__ import annotations

import asyncio
import functools
from collections.abc import Awaitable, Callable
from typing import Any

from tests.bench.drivers.common import AVRO_SCHEMA, Answer, Job, values


def options(job: Job) -> dict[str, Any]:
    """The job's settings in this client's words."""
    wanted = job.settings
    return {
        "acks": {-1: "all"}.get(wanted.acks, wanted.acks),
        "enable_idempotence": wanted.idempotence,
        "linger_ms": wanted.linger_ms,
        "batch_size": wanted.batch_size,
        "batch_max_records": wanted.batch_max_records,
        "max_request_size": wanted.max_request_size,
        "max_in_flight_requests_per_connection": wanted.in_flight,
        "compression_type": wanted.codec,
        "compression_level": wanted.level,
        "buffer_memory": wanted.buffer_bytes,
    }


def serializer(job: Job) -> Any:
    """What makes bytes of the job's values; None where they are bytes."""
    if job.form == "json":
        from serializers import JsonSerializer

        return JsonSerializer()
    if job.form == "avro":
        from serializers import AvroSerializer

        return AvroSerializer(AVRO_SCHEMA)
    return None


def first(job: Job) -> Any:
    """A value to warm up with."""
    return next(values(Job(**{**vars(job), "count": 1})))


def on_a_loop(operation: Callable[[Job], Awaitable[Answer]]) -> Callable[[Job], Answer]:
    """The operation as a plain function, each time on an event loop of its own."""

    @functools.wraps(operation)
    def run(job: Job) -> Answer:
        return asyncio.run(operation(job))  # type: ignore[arg-type]

    return run
