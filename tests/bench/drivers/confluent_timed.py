"""confluent-kafka's Producer: round trips, a trickle, memory."""

from __future__ import annotations

import itertools
from time import perf_counter
from typing import Any

from confluent_kafka import Producer

from tests.bench.drivers.common import Answer, Job, Memory, checkpoint, pool, values
from tests.bench.drivers.confluent_words import options, warm_up


def latency(job: Job) -> Answer:
    """``produce`` and a blocking ``poll`` until its callback has run, one after the other."""
    producer = Producer(options(job))
    warm_up(producer, job)
    produce, poll, topic = producer.produce, producer.poll, job.topic
    offset = -1

    def report(error: Any, message: Any) -> None:
        nonlocal offset
        assert error is None, error
        offset = message.offset()

    samples = []
    for value in itertools.chain(itertools.islice(values(job), job.warm_up), values(job)):
        offset = -1
        began = perf_counter()
        produce(topic, value, on_delivery=report)
        while offset < 0:
            poll(1)
        samples.append(perf_counter() - began)
    return {"samples": samples[job.warm_up :]}


def trickle(job: Job) -> Answer:
    """``produce`` at a steady rate, polling between; a sample is from the call to its callback."""
    samples: list[float] = []
    producer = Producer(options(job))
    warm_up(producer, job)
    due = perf_counter()
    for value in values(job):
        due += 1 / job.rate
        while (left := due - perf_counter()) > 0:
            producer.poll(left)
        began = perf_counter()

        def report(error: Any, message: Any, began: float = began) -> None:
            assert error is None, error
            samples.append(perf_counter() - began)

        producer.produce(job.topic, value, on_delivery=report)
    assert producer.flush(30) == 0
    assert len(samples) == job.count
    return {"samples": samples}


def memory(job: Job) -> Answer:
    """What the process grows by while records are queued for a broker that has gone."""
    # Without logs: that the broker is gone is the point.
    producer = Producer({**options(job), "log_level": 0})
    warm_up(producer, job)
    produce, topic, value = producer.produce, job.topic, pool(job.size)[0]

    def report(error: Any, message: Any) -> None:
        raise AssertionError("nothing can be delivered")

    checkpoint("stop the broker")
    grown = Memory()
    if job.how == "callback":
        for _ in range(job.count):
            produce(topic, value, on_delivery=report)
    else:
        for _ in range(job.count):
            produce(topic, value)
    grown.leave(job.count)


OPERATIONS = {"latency": latency, "trickle": trickle, "memory": memory}
