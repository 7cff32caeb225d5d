"""confluent-kafka's Producer, as its documentation advises for speed.

``produce`` for each record and ``poll(0)`` once for each thousand: a poll for each record is slower,
and none at all would leave the delivery reports to the end.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from confluent_kafka import Producer

from tests.bench.drivers import confluent_timed
from tests.bench.drivers.common import (
    Answer,
    Job,
    Outcomes,
    Span,
    groups,
    is_plain,
    rows,
    values,
    work,
)
from tests.bench.drivers.confluent_words import options, warm_up
from tests.bench.drivers.peer_serializers import serializer


def reporter(outcomes: Outcomes, job: Job) -> Callable[[Any, Any], None]:
    """A delivery callback that looks at the error and the offset of each record."""
    if job.settings.acks == 0:

        def count(error: Any, message: Any) -> None:
            outcomes.error = outcomes.error or error
            outcomes.count += 1

        return count  # Without an acknowledgement there is no offset.

    def report(error: Any, message: Any) -> None:
        if error is not None:
            outcomes.error = outcomes.error or error
            return
        outcomes.offsets += message.offset()
        outcomes.count += 1

    return report


def callback(producer: Producer, job: Job) -> int:
    """A callback for each record."""
    outcomes = Outcomes()
    produce_all(producer, job, reporter(outcomes, job))
    assert producer.flush(120) == 0
    assert outcomes.error is None, outcomes.error
    return outcomes.count


def plain(producer: Producer, job: Job) -> int:
    """No callback: the outcome of a record is known only from the queue being empty."""
    produce_all(producer, job, None)
    assert producer.flush(120) == 0
    return job.count


def produce_all(producer: Producer, job: Job, report: Callable[..., None] | None) -> None:
    """Hand all records over."""
    produce, poll, topic = producer.produce, producer.poll, job.topic
    dump = serializer(job)
    if dump is not None:
        for group in groups(values(job)):
            for value in group:
                produce(topic, dump(value), on_delivery=report)
            poll(0)
    elif is_plain(job) and report is None:
        for value in values(job):
            produce(topic, value)
    elif is_plain(job):
        for group in groups(values(job)):
            for value in group:
                produce(topic, value, on_delivery=report)
            poll(0)
    else:
        for group in groups(rows(job)):
            for value, key, headers, partition in group:
                produce(
                    topic,
                    value,
                    key=key,
                    headers=headers,
                    partition=-1 if partition is None else partition,
                    on_delivery=report,
                )
            poll(0)


WAYS = {"callback": callback, "plain": plain}


def throughput(job: Job) -> Answer:
    """Send everything and take every report; connecting and the first record are not timed."""
    values(job)
    producer = Producer(options(job))
    warm_up(producer, job)
    with Span() as span:
        acknowledged = WAYS[job.how](producer, job)
    return span.answer(acknowledged, extra=1)


if __name__ == "__main__":
    work({"throughput": throughput, **confluent_timed.OPERATIONS})
