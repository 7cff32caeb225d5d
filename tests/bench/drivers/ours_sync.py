"""pyproducer's SyncProducer, called from one thread."""

from __future__ import annotations

import itertools
from time import perf_counter
from typing import Any

from pyproducer import SyncProducer
from tests.bench.drivers.common import Answer, Job, Span, is_plain, rows, values, work
from tests.bench.drivers.ours_words import first, options, serializer


def enqueue(producer: SyncProducer[Any, Any], job: Job) -> int:
    """One call for each record; all handles are kept, and read after the flush."""
    enqueue = producer.topic(job.topic, value_serializer=serializer(job)).enqueue
    if is_plain(job):
        kept = [enqueue(value) for value in values(job)]
    else:
        kept = [
            enqueue(value, key=key, headers=headers, partition=partition)
            for value, key, headers, partition in rows(job)
        ]
    producer.flush()
    total = sum(delivery.result().offset for delivery in kept)
    assert total >= -len(kept)
    return len(kept)


def throughput(job: Job) -> Answer:
    """Send everything and read every outcome; connecting and the first record are not timed."""
    values(job)
    with SyncProducer(job.bootstrap_servers, **options(job)) as producer:
        producer.topic(job.topic, value_serializer=serializer(job)).send(first(job))
        with Span() as span:
            acknowledged = enqueue(producer, job)
    return span.answer(acknowledged, extra=1)


def latency(job: Job) -> Answer:
    """One blocking ``send`` after the other."""
    samples = []
    with SyncProducer(job.bootstrap_servers, **options(job)) as producer:
        send = producer.topic(job.topic).send
        for value in itertools.islice(values(job), job.warm_up):
            send(value)
        for value in values(job):
            began = perf_counter()
            send(value)
            samples.append(perf_counter() - began)
    return {"samples": samples}


if __name__ == "__main__":
    work({"throughput": throughput, "latency": latency})
