"""What users of clients without serializers make bytes of dicts with."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from typing import Any

from tests.bench.drivers.common import AVRO_SCHEMA, Job


def serializer(job: Job) -> Callable[[Any], bytes] | None:
    """The function for the job's values; None where they are bytes."""
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
