"""metrics(): numbers that add up."""

from __future__ import annotations

import dataclasses

import pytest

from pyproducer import AsyncProducer, ProducerMetrics
from pyproducer.protocol.api import ApiKey
from tests.helpers.scripted_broker import ScriptedBroker


def test_before_start():
    """
    A producer that has done nothing says so.
    """
    metrics = AsyncProducer("localhost:1").metrics()

    assert isinstance(metrics, ProducerMetrics)
    quiet = dataclasses.asdict(metrics)
    assert quiet.pop("buffer_limit_bytes") == 64 * 1024 * 1024
    assert quiet.pop("compression_ratio") == 1.0
    assert set(quiet.values()) == {0}
    with pytest.raises(AttributeError):
        metrics.records_accepted = 1


async def test_add_up(broker):
    """
    Accepted is delivered, failed and queued; the buffer is empty when nothing is queued.
    """
    async with AsyncProducer(
        broker.bootstrap_servers, compression_type="gzip", linger_ms=None
    ) as producer:
        await producer.partitions_for("t")
        for number in range(100):
            producer.enqueue_nowait("t", b"x" * 100, partition=number % 3)
        before = producer.metrics()
        assert (100, 100, 0, 0) == (
            before.records_accepted,
            before.records_queued,
            before.records_delivered,
            before.records_failed,
        )
        assert before.buffer_bytes >= 10_000
        await producer.flush()
        after = producer.metrics()

    assert (100, 0, 100, 0) == (
        after.records_accepted,
        after.records_queued,
        after.records_delivered,
        after.records_failed,
    )
    assert after.buffer_bytes == after.requests_in_flight == after.retries == 0
    assert after.batches_sent == 3
    assert after.records_per_batch == pytest.approx(100 / 3)
    assert after.compression_ratio > 2
    assert after.round_trip_ms > 0


async def test_failures_before_metadata(producer):
    """
    Records that fail while they wait for metadata are counted as failed.
    """
    deliveries = [producer.enqueue_nowait("t", b"x", partition=n) for n in range(6)]
    await producer.flush()
    metrics = producer.metrics()

    assert all(delivery.done() for delivery in deliveries)
    assert (6, 3, 3, 0) == (
        metrics.records_accepted,
        metrics.records_delivered,
        metrics.records_failed,
        metrics.records_queued,
    )
    assert [bool(delivery.exception()) for delivery in deliveries] == [False] * 3 + [True] * 3


async def test_retries_and_lost_connections():
    """
    Batches written again and connections that broke are counted.
    """
    with ScriptedBroker() as broker:
        answers = iter([6, 7])

        def refuse(request):
            return broker.ack(request, error_code=next(answers, 0))

        broker.script[ApiKey.PRODUCE] = refuse
        async with AsyncProducer(broker.bootstrap_servers, retry_backoff_ms=1) as producer:
            await producer.send("t", b"x")
            metrics = producer.metrics()
            assert (metrics.retries, metrics.batches_sent, metrics.requests_sent) == (2, 3, 3)
            broker.hang_up()
            await producer.send("t", b"x")
            assert producer.metrics().connections_lost >= 1
