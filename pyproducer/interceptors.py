"""Hooks around every record, in the manner of Kafka's producer interceptors (KIP-42)."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from pyproducer.core.appender import Delivery, Prepared, TopicAppender
from pyproducer.errors import ProducerError
from pyproducer.model import Headers, RecordMetadata

__all__ = ["InterceptedAppender", "Interceptor", "ProducerRecord"]

logger = logging.getLogger("pyproducer.interceptors")


@dataclass(frozen=True, slots=True)
class ProducerRecord:
    """A record as its caller gave it, before it is serialized."""

    topic: str
    value: Any
    key: Any = None
    headers: Headers | None = None
    partition: int | None = None
    timestamp_ms: int | None = None


class Interceptor:
    """Base of interceptors: override what you need.

    What an interceptor raises is logged and otherwise ignored: a hook for tracing must not lose
    records. Both hooks are plain functions and must not block.
    """

    def on_send(self, record: ProducerRecord) -> ProducerRecord:
        """See a record before it is serialized, and return it or another for the same topic."""
        return record

    def on_acknowledgement(
        self,
        record: ProducerRecord,
        metadata: RecordMetadata | None,
        error: BaseException | None,
    ) -> None:
        """See what became of a record: one of ``metadata`` and ``error`` is None."""


class InterceptedAppender:
    """A :class:`TopicAppender` behind interceptors."""

    def __init__(self, inner: TopicAppender, interceptors: Sequence[Interceptor]) -> None:
        self._inner = inner
        self._interceptors = tuple(interceptors)

    @property
    def topic(self) -> Any:
        """The topic's state."""
        return self._inner.topic

    def accept(
        self,
        value: Any,
        key: Any,
        headers: Any,
        partition: int | None,
        timestamp_ms: int | None,
        on_delivery: Callable[[Delivery], object] | None,
        urgent: bool,
    ) -> Delivery | Prepared:
        """Queue a record, or return it prepared where it has to wait for room."""
        topic = self._inner.topic.name
        record = ProducerRecord(topic, value, key, headers, partition, timestamp_ms)
        for one in self._interceptors:
            try:
                record = one.on_send(record)
            except Exception:
                logger.exception("%r.on_send failed", one)

        def report(delivery: Delivery) -> None:
            error = delivery.exception()
            self._report(record, None if error else delivery.result(), error)
            if on_delivery is not None:
                on_delivery(delivery)

        try:
            return self._inner.accept(
                record.value,
                record.key,
                record.headers,
                record.partition,
                record.timestamp_ms,
                report,
                urgent,
            )
        except ProducerError as error:
            self._report(record, None, error)
            raise

    def _report(
        self,
        record: ProducerRecord,
        metadata: RecordMetadata | None,
        error: BaseException | None,
    ) -> None:
        for one in self._interceptors:
            try:
                one.on_acknowledgement(record, metadata, error)
            except Exception:
                logger.exception("%r.on_acknowledgement failed", one)
