"""A topic's append end, and the calls that check and serialize a record, in pure Python.

The twin of the classes of the same names in ``_appender.pyx``.
"""

from __future__ import annotations

import types
from collections.abc import Callable, Generator
from typing import TYPE_CHECKING, Any

from pyproducer.core._packing_py import NO_HEADERS, pack_headers
from pyproducer.core.appender_rules import (
    BATCH_OVERHEAD,
    RECORD_OVERHEAD,
    callback_error,
    not_bytes,
    partition_error,
    record_too_large,
    refused_by_serializer,
    timestamp_error,
    wrong_thread,
)
from pyproducer.partitioner import PartitionFunction

if TYPE_CHECKING:
    from pyproducer.core._appender_py import Appender
    from pyproducer.core._handle_py import Batch, Delivery

__all__ = ["PartitionState", "Prepared", "TopicAppender", "TopicState", "one_turn"]


@types.coroutine
def one_turn() -> Generator[None, None, None]:
    """Let the event loop run everything else that is ready, once."""
    yield


class PartitionState:
    """The append end of one partition."""

    __slots__ = ("number", "open", "pending", "queue", "topic")

    def __init__(self, topic: TopicState, number: int) -> None:
        self.topic = topic
        self.number = number
        self.open: Batch | None = None
        #: The engine's own object for this partition.
        self.queue: Any = None
        #: Bytes of its closed batches that have no outcome.
        self.pending = 0


class TopicState:
    """What the appender knows of one topic."""

    __slots__ = (
        "appender",
        "available",
        "codec",
        "default",
        "function",
        "name",
        "partitions",
        "shelf",
        "sticky",
    )

    def __init__(self, appender: Appender, name: str) -> None:
        self.appender = appender
        self.name = name
        #: None until metadata came.
        self.partitions: list[PartitionState] | None = None
        #: Numbers of the partitions that have a leader; all, where none has.
        self.available: list[int] = []
        #: The partition that records with nothing to hash go to until its batch closes.
        self.sticky = -1
        self.function: PartitionFunction = appender.partitioner.for_topic()
        self.shelf: Batch | None = None
        #: How its batches are compressed; None for the producer's own way.
        self.codec: Any = None
        self.default: TopicAppender | None = None


class Prepared:
    """A record that is serialized and checked, and still needs room or a partition."""

    __slots__ = (
        "delivery",
        "headers",
        "key",
        "on_delivery",
        "partition",
        "source",
        "timestamp_ms",
        "urgent",
        "value",
    )

    def __init__(
        self,
        source: TopicAppender,
        key: bytes | None,
        value: bytes | None,
        headers: bytes,
        partition: int,
        timestamp_ms: int,
        on_delivery: Callable[[Delivery], object] | None,
        urgent: bool,
    ) -> None:
        self.source = source
        self.key = key
        self.value = value
        self.headers = headers
        self.partition = partition
        self.timestamp_ms = timestamp_ms
        self.on_delivery = on_delivery
        self.urgent = urgent
        self.delivery: Delivery | None = None

    @property
    def size_bound(self) -> int:
        """At most this many bytes in a batch."""
        key = 0 if self.key is None else len(self.key)
        value = 0 if self.value is None else len(self.value)
        return key + value + len(self.headers) + RECORD_OVERHEAD


class TopicAppender:
    """One topic with its serializers: what a topic handle calls for every record."""

    __slots__ = (
        "_appender",
        "_bind",
        "_key_arity",
        "_key_context",
        "_key_serializer",
        "_topic",
        "_value_arity",
        "_value_context",
        "_value_serializer",
    )

    def __init__(
        self,
        topic: TopicState,
        key_serializer: Callable[..., bytes] | None,
        key_arity: int,
        value_serializer: Callable[..., bytes] | None,
        value_arity: int,
        context: Callable[[str, str, Any], Any],
        bind: Callable[[], None] | None,
    ) -> None:
        self._topic = topic
        self._appender = topic.appender
        self._key_serializer = key_serializer
        self._key_arity = key_arity
        self._value_serializer = value_serializer
        self._value_arity = value_arity
        self._key_context = (context, context(topic.name, "key", None))
        self._value_context = (context, context(topic.name, "value", None))
        self._bind = bind

    @property
    def topic(self) -> TopicState:
        """The topic's state, shared by all its handles."""
        return self._topic

    def enqueue_nowait(
        self,
        value: Any,
        *,
        key: Any = None,
        headers: Any = None,
        partition: int | None = None,
        timestamp_ms: int | None = None,
        on_delivery: Callable[[Delivery], object] | None = None,
    ) -> Delivery:
        """Queue a record at once, or raise :class:`~pyproducer.errors.BufferFull`."""
        made = self.accept(value, key, headers, partition, timestamp_ms, on_delivery, False)
        if isinstance(made, Prepared):
            raise self._appender.full(made)
        return made

    async def enqueue(
        self,
        value: Any,
        *,
        key: Any = None,
        headers: Any = None,
        partition: int | None = None,
        timestamp_ms: int | None = None,
        on_delivery: Callable[[Delivery], object] | None = None,
    ) -> Delivery:
        """Queue a record, waiting only for room."""
        made = self.accept(value, key, headers, partition, timestamp_ms, on_delivery, False)
        appender = self._appender
        if isinstance(made, Prepared):
            return await appender.room(made)
        if appender.turn_due:
            await one_turn()
        return made

    def enqueue_blocking(
        self,
        value: Any,
        *,
        key: Any = None,
        headers: Any = None,
        partition: int | None = None,
        timestamp_ms: int | None = None,
        on_delivery: Callable[[Delivery], object] | None = None,
    ) -> Delivery:
        """Queue a record; where there is no room for it, this thread waits."""
        made = self.accept(value, key, headers, partition, timestamp_ms, on_delivery, False)
        return self._appender.block_for_room(made) if isinstance(made, Prepared) else made

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
        appender = self._appender
        topic = self._topic
        if appender.refusal is not None:
            raise appender.refusal()
        if appender.owner and appender.owner != appender.thread_ident():
            raise wrong_thread()
        if self._bind is not None:
            self._bind()
            self._bind = None
        if on_delivery is not None and (
            not callable(on_delivery) or appender.is_coroutine_function(on_delivery)
        ):
            raise callback_error(topic.name, on_delivery)
        if timestamp_ms is None:
            now = appender.wall_ns() // 1_000_000
            if now != appender.last_ms:
                appender.last_ms = now
            # The records of one millisecond share one int.
            timestamp_ms = appender.last_ms
            if not appender.turn_ms:
                appender.turn_ms = timestamp_ms
        elif type(timestamp_ms) is not int or not 0 <= timestamp_ms < 1 << 63:
            raise timestamp_error(topic.name, timestamp_ms)
        if partition is None:
            number = -1
        elif type(partition) is not int or not 0 <= partition < 1 << 31:
            raise partition_error(topic.name, partition)
        else:
            number = partition
        # Bytes that no serializer has to see are the rule, and cost no call.
        if key is not None and (type(key) is not bytes or self._key_serializer is not None):
            key = self._serialize(
                "key", key, headers, self._key_serializer, self._key_arity, self._key_context
            )
        if value is not None and (type(value) is not bytes or self._value_serializer is not None):
            value = self._serialize(
                "value",
                value,
                headers,
                self._value_serializer,
                self._value_arity,
                self._value_context,
            )
        packed = NO_HEADERS if headers is None else pack_headers(topic.name, headers)
        bound = RECORD_OVERHEAD + BATCH_OVERHEAD + len(packed)
        if key is not None:
            bound += len(key)
        if value is not None:
            bound += len(value)
        if bound > appender.largest_record:
            raise record_too_large(
                topic.name, bound, appender.largest_record, appender.largest_record_name
            )
        if topic.partitions is not None and (number >= 0 or not appender.custom):
            delivery = appender.append_now(
                topic, number, key, value, packed, timestamp_ms, on_delivery, urgent
            )
            if delivery is not None:
                return delivery
        made = Prepared(self, key, value, packed, number, timestamp_ms, on_delivery, urgent)
        return appender.admit(made, False) or made

    def _serialize(
        self,
        field: str,
        value: Any,
        headers: Any,
        serializer: Callable[..., bytes] | None,
        arity: int,
        context: tuple[Callable[[str, str, Any], Any], Any],
    ) -> bytes:
        topic = self._topic.name
        if serializer is not None:
            try:
                if arity == 1:
                    made: Any = serializer(value)
                elif headers is None:
                    made = serializer(value, context[1])
                else:
                    made = serializer(value, context[0](topic, field, headers))
            except Exception as cause:
                raise refused_by_serializer(topic, field, value, cause) from cause
        else:
            made = value
        if type(made) is bytes:
            return made
        if isinstance(made, str):
            try:
                return made.encode()
            except UnicodeEncodeError as cause:
                raise refused_by_serializer(topic, field, value, cause) from cause
        if isinstance(made, (bytes, bytearray, memoryview)):
            return bytes(made)
        raise not_bytes(topic, field, value, made, serializer is not None)
