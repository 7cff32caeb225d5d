"""A producer's numbers at one moment."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pyproducer.core.appender import Appender
    from pyproducer.core.engine import Engine

__all__ = ["ProducerMetrics", "snapshot"]


@dataclass(frozen=True, slots=True)
class ProducerMetrics:
    """What a producer has done since it was made, and holds now.

    Attributes:
        records_accepted: records taken in, delivered or not.
        records_delivered: records acknowledged.
        records_failed: records that ended in an error.
        records_queued: records without an outcome.
        buffer_bytes: bytes of the buffer in use.
        buffer_limit_bytes: ``buffer_memory``.
        callers_waiting: calls that wait for room in the buffer.
        requests_in_flight: Produce requests without an answer.
        requests_sent: Produce requests written.
        batches_sent: batches written, retries included.
        records_per_batch: their average size in records; 0.0 before the first.
        bytes_sent: bytes of batches written.
        compression_ratio: bytes before compression to bytes written; 1.0 before the first.
        retries: batches written once more.
        splits: batches that a broker found too large and that were halved.
        epoch_bumps: times that a partition's sequence was begun anew.
        connections_lost: connections that broke after they had been up.
        round_trip_ms: moving average from writing a request to its answer.
        throttled_ms: time for which brokers asked to be left alone.
    """

    records_accepted: int
    records_delivered: int
    records_failed: int
    records_queued: int
    buffer_bytes: int
    buffer_limit_bytes: int
    callers_waiting: int
    requests_in_flight: int
    requests_sent: int
    batches_sent: int
    records_per_batch: float
    bytes_sent: int
    compression_ratio: float
    retries: int
    splits: int
    epoch_bumps: int
    connections_lost: int
    round_trip_ms: float
    throttled_ms: float


def snapshot(engine: Engine, appender: Appender) -> ProducerMetrics:
    """The numbers as they are now."""
    stats = engine.stats
    return ProducerMetrics(
        records_accepted=appender.records,
        records_delivered=stats.delivered,
        records_failed=stats.failed,
        records_queued=appender.records - stats.delivered - stats.failed,
        buffer_bytes=appender.used,
        buffer_limit_bytes=appender.limit,
        callers_waiting=appender.waiting,
        requests_in_flight=engine.in_flight,
        requests_sent=stats.requests,
        batches_sent=stats.batches,
        records_per_batch=stats.batch_records / stats.batches if stats.batches else 0.0,
        bytes_sent=stats.bytes_sent,
        compression_ratio=stats.bytes_plain / stats.bytes_sent if stats.bytes_sent else 1.0,
        retries=stats.retries,
        splits=stats.splits,
        epoch_bumps=stats.epoch_bumps,
        connections_lost=stats.connections_lost,
        round_trip_ms=stats.round_trip_s * 1000,
        throttled_ms=stats.throttled_s * 1000,
    )
