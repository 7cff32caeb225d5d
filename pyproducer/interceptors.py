"""Hooks around every record, in the manner of Kafka's producer interceptors (KIP-42)."""

from __future__ import annotations

import inspect
import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from pyproducer.core.appender import FAILED, Delivery, Prepared, TopicAppender
from pyproducer.core.appender_rules import callback_error
from pyproducer.errors import ConfigError
from pyproducer.model import Headers, RecordMetadata

__all__ = ["InterceptedAppender", "Interceptor", "ProducerRecord", "check_interceptors", "refused"]

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


def check_interceptors(interceptors: Sequence[Interceptor]) -> None:
    """Refuse what has not both hooks of an interceptor.

    Raises:
        ConfigError: one has not, or one of its hooks is a coroutine function.
    """
    for one in interceptors:
        for name in ("on_send", "on_acknowledgement"):
            hook = getattr(one, name, None)
            if isinstance(one, type) or not callable(hook) or inspect.iscoroutinefunction(hook):
                raise ConfigError(
                    f"interceptors: {one!r} is no interceptor; derive from "
                    f"pyproducer.Interceptor, give an instance, and make {name} a plain function",
                    option="interceptors",
                )


class _Report:
    """Tells the interceptors what became of one record, and then the caller's own callback."""

    __slots__ = ("_interceptors", "_record", "on_delivery")

    def __init__(
        self,
        interceptors: tuple[Interceptor, ...],
        record: ProducerRecord,
        on_delivery: Callable[[Delivery], object] | None,
    ) -> None:
        self._interceptors = interceptors
        self._record = record
        self.on_delivery = on_delivery

    def cancelled(self) -> bool:
        """True where no caller is behind it: then nobody counts as having seen a failure."""
        return self.on_delivery is None

    def __call__(self, delivery: Delivery) -> None:
        delivery.done()  # Now the handle points at the batch that has the outcome.
        batch = delivery._batch
        if batch.state == FAILED:
            # Not by exception(): a hook that looks is not a caller who knows.
            error = batch.error
            if batch.record_errors is not None:
                error = batch.record_errors.get(delivery._index, error)
            self.tell(None, error)
        else:
            self.tell(delivery.result(), None)
        if self.on_delivery is not None:
            self.on_delivery(delivery)

    def tell(self, metadata: RecordMetadata | None, error: BaseException | None) -> None:
        """Call every interceptor's second hook."""
        for one in self._interceptors:
            try:
                one.on_acknowledgement(self._record, metadata, error)
            except Exception:
                logger.exception("%r.on_acknowledgement failed", one)


def refused(made: Prepared, error: BaseException) -> None:
    """A record that was prepared is not taken after all; its interceptors hear of it."""
    if isinstance(made.on_delivery, _Report):
        made.on_delivery.tell(None, error)


class InterceptedAppender:
    """A :class:`TopicAppender` behind interceptors."""

    def __init__(self, inner: TopicAppender, interceptors: Sequence[Interceptor]) -> None:
        self._inner = inner
        # A hook that only returns what it gets is not called: the base class has both.
        self._senders = tuple(one for one in interceptors if _overrides(one, "on_send"))
        self._listeners = tuple(
            one for one in interceptors if _overrides(one, "on_acknowledgement")
        )

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
        appender = self._inner.topic.appender
        if appender.refusal is not None:
            # Before any hook: a record of a producer that takes none was never on its way.
            raise appender.refusal()
        topic = self._inner.topic.name
        if on_delivery is not None and (
            not callable(on_delivery) or inspect.iscoroutinefunction(on_delivery)
        ):
            raise callback_error(topic, on_delivery)
        record = ProducerRecord(topic, value, key, headers, partition, timestamp_ms)
        for one in self._senders:
            record = _sent(one, record)
        report = _Report(self._listeners, record, on_delivery) if self._listeners else None
        try:
            return self._inner.accept(
                record.value,
                record.key,
                record.headers,
                record.partition,
                record.timestamp_ms,
                on_delivery if report is None else report,
                urgent,
            )
        except Exception as error:
            if report is not None:
                report.tell(None, error)
            raise


def _overrides(one: Interceptor, name: str) -> bool:
    return getattr(getattr(one, name), "__func__", None) is not getattr(Interceptor, name)


def _sent(one: Interceptor, record: ProducerRecord) -> ProducerRecord:
    try:
        made = one.on_send(record)
        if not isinstance(made, ProducerRecord) or made.topic != record.topic:
            raise TypeError(
                f"on_send must return a ProducerRecord for topic {record.topic!r}, not {made!r}"
            )
    except Exception:
        logger.exception("%r.on_send failed", one)
        return record
    return made
