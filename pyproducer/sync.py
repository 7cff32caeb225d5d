"""The blocking producer: the asyncio producer on a background loop, callable from any thread."""

from __future__ import annotations

import logging
import threading
import warnings
from collections.abc import Callable, Collection, Iterable, Sequence
from types import TracebackType
from typing import TYPE_CHECKING, Any, Generic, Self, overload

from pyproducer.assembly import Assembly
from pyproducer.background import Background
from pyproducer.core.appender import Delivery, Prepared
from pyproducer.errors import ProducerError
from pyproducer.generics import TK, TV, K, Serializer, V
from pyproducer.model import DeliveryFailure, FlushReport, Headers, RecordMetadata
from pyproducer.producer import AsyncProducer
from pyproducer.sync_topic import SyncTopic
from pyproducer.sync_transaction import SyncTransactional

if TYPE_CHECKING:
    from typing import Unpack

    from pyproducer.assembly import Entry
    from pyproducer.bulk import DeliveryGroup
    from pyproducer.clock import Clock
    from pyproducer.config import CompressionType, ProducerConfig, ProducerOptions
    from pyproducer.interceptors import Interceptor
    from pyproducer.metrics import ProducerMetrics

__all__ = ["SyncProducer"]

logger = logging.getLogger("pyproducer.producer")


class SyncProducer(SyncTransactional, Generic[K, V]):
    """Writes records to Kafka from blocking code; any number of threads may share one.

    It has :class:`~pyproducer.AsyncProducer`'s methods without ``await``. Its first use starts a
    background thread, so that one made at import time survives gunicorn's preload and Celery's
    prefork; one that was started before a fork raises ForkedProducer in the child::

        with SyncProducer("localhost:9092") as producer:
            producer.send("orders", b"tea", key="table-7")

    ``on_delivery`` callbacks run on the background thread. A program that ends without close()
    is warned, and the producer closed within ``close_timeout_ms``.

    Args:
        bootstrap_servers: brokers to ask first, ``"host:port,host:port"`` or a sequence.
        config: the options as one object; ``options`` are applied on top of it.
        key_serializer: makes bytes of keys, called with (value) or (value, context); None takes
            bytes and str.
        value_serializer: the same for values.
        interceptors: see every record before it is serialized and after its outcome.
        on_delivery_failure: is told of failed records that nobody waits for; without it they
            are logged, and counted for the error at closing.
        clock: where time comes from; None for the machine's.
        options: see :class:`~pyproducer.ProducerConfig`.

    Raises:
        ConfigError: an option or an address cannot be used.
    """

    def __init__(
        self,
        bootstrap_servers: str | Sequence[str] | None = None,
        *,
        config: ProducerConfig | None = None,
        key_serializer: Serializer[K] | None = None,
        value_serializer: Serializer[V] | None = None,
        interceptors: Sequence[Interceptor] = (),
        on_delivery_failure: Callable[[DeliveryFailure], object] | None = None,
        clock: Clock | None = None,
        **options: Unpack[ProducerOptions],
    ) -> None:
        self._parts = Assembly(
            bootstrap_servers,
            config,
            dict(options),
            key_serializer=key_serializer,
            value_serializer=value_serializer,
            interceptors=interceptors,
            on_delivery_failure=on_delivery_failure,
            clock=clock,
            lock=threading.RLock(),
        )
        self._appender = self._parts.appender
        self._inner: AsyncProducer[K, V] = AsyncProducer.__new__(AsyncProducer)
        self._inner._build(self._parts, owned=False)
        self._background = Background(self._parts, self._inner)
        self._appender.block_for_room = self._background.room

    def __repr__(self) -> str:
        return repr(self._inner).replace("AsyncProducer", "SyncProducer", 1)

    @property
    def config(self) -> ProducerConfig:
        """The options in force."""
        return self._parts.config

    # Lifecycle.

    def start(self) -> None:
        """Connect to the cluster; records can be sent when this returns. Twice does nothing.

        Raises:
            ConnectionFailed: no bootstrap server could be used; nothing is left open. A TlsError
                says that one was there, and no secure connection came about.
            AuthenticationError: the brokers do not believe who we are, or nobody can say it.
            AuthorizationError: the transactional id may not be used.
            ProducerClosed: the producer was closed before.
            ForkedProducer: it was started before a fork, by the parent process.
            WouldDeadlock: it would wait in a callback, on the thread that has to go on.
        """
        self._background.start()
        if self._parts.direct:
            # Straight into the appender: nothing stands between the caller and the batch.
            for name, direct in (
                ("enqueue", self._appender.enqueue_blocking),
                ("enqueue_nowait", self._appender.enqueue_nowait),
            ):
                if getattr(type(self), name) is _REPLACED[name]:
                    setattr(self, name, direct)

    def close(self, timeout: float | None = None) -> None:
        """Flush, settle every record, and close all connections; a second call does nothing.

        Records that have no outcome after ``timeout`` fail. Whoever waits for buffer room is
        refused at once.

        Args:
            timeout: seconds; None for ``close_timeout_ms``.

        Raises:
            UndeliveredError: records failed, then or before, and nobody looked at their outcome.
            CloseTimeout: records failed by this close, all of them seen by somebody.
            WouldDeadlock: it would wait in a callback, on the thread that has to go on.
        """
        self._background.close(timeout)

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        try:
            self.close()
        except ProducerError as trouble:
            if error is None:
                raise
            # The block's own exception is what the caller must see.
            logger.error("while closing after %s: %s", type(error).__name__, trouble)

    def __del__(self) -> None:
        background = getattr(self, "_background", None)
        if background is not None and background.open:
            warnings.warn(
                f"{self!r} was never closed; it is closed in the background. "
                "Use 'with', or call close().",
                ResourceWarning,
                source=self,
                stacklevel=2,
            )
            background.close_soon()

    # Records.

    def send(
        self,
        topic: str,
        value: V | None,
        *,
        key: K | None = None,
        headers: Headers | None = None,
        partition: int | None = None,
        timestamp_ms: int | None = None,
    ) -> RecordMetadata:
        """Queue a record and wait until it is acknowledged.

        It leaves at the end of this turn of the loop if nothing of its partition is under way,
        and lingers with others otherwise. A send that is cancelled may still be delivered.

        Args:
            topic: where to.
            value: for the value serializer; None is a tombstone (a null value).
            key: for the key serializer; None for no key.
            headers: a mapping, or pairs where a name may come twice.
            partition: where exactly; None leaves it to the partitioner.
            timestamp_ms: milliseconds since the epoch; None for now.

        Raises:
            SerializationError: key, value or headers cannot be written as bytes.
            RecordTooLarge: the record alone exceeds a limit.
            UnknownTopic: the topic, or the partition named, does not exist.
            FormatConflict: the topic is bound to another serialization format.
            BufferFull: there was no room in the buffer for ``max_block_ms``.
            DeliveryError: it was queued, and not acknowledged.
            ProducerClosed: the producer was closed.
            ForkedProducer: the producer was started before a fork, by the parent process.
            WouldDeadlock: it would wait in a callback, on the thread that has to go on.
        """
        self._background.check_thread()
        made = self._entry(topic).accept(value, key, headers, partition, timestamp_ms, None, True)
        if not isinstance(made, Delivery):
            made = self._room(made)
        return made.result()

    def enqueue(
        self,
        topic: str,
        value: V | None,
        *,
        key: K | None = None,
        headers: Headers | None = None,
        partition: int | None = None,
        timestamp_ms: int | None = None,
        on_delivery: Callable[[Delivery], object] | None = None,
    ) -> Delivery:
        """Queue a record, and wait only where the buffer has no room for it.

        Args:
            topic: where to.
            value: for the value serializer; None is a tombstone.
            key: for the key serializer; None for no key.
            headers: a mapping, or pairs where a name may come twice.
            partition: where exactly; None leaves it to the partitioner.
            timestamp_ms: milliseconds since the epoch; None for now.
            on_delivery: called with the Delivery once its outcome is known, on the producer's
                thread, in the order of the partition's records.

        Returns:
            A handle: await it, ask it later, or drop it.

        Raises:
            SerializationError: key, value or headers cannot be written as bytes.
            RecordTooLarge: the record alone exceeds a limit.
            UnknownTopic: the topic, or the partition named, does not exist.
            FormatConflict: the topic is bound to another serialization format.
            BufferFull: there was no room in the buffer for ``max_block_ms``.
            ProducerClosed: the producer was closed.
            ForkedProducer: the producer was started before a fork, by the parent process.
            WouldDeadlock: it would wait in a callback, on the thread that has to go on.
        """
        made = self._entry(topic).accept(
            value, key, headers, partition, timestamp_ms, on_delivery, False
        )
        return made if isinstance(made, Delivery) else self._room(made)

    def enqueue_nowait(
        self,
        topic: str,
        value: V | None,
        *,
        key: K | None = None,
        headers: Headers | None = None,
        partition: int | None = None,
        timestamp_ms: int | None = None,
        on_delivery: Callable[[Delivery], object] | None = None,
    ) -> Delivery:
        """Queue a record at once, or not at all; parameters as for :meth:`enqueue`.

        Raises:
            BufferFull: the buffer has no room, or others wait for it already.
            SerializationError: key, value or headers cannot be written as bytes.
            RecordTooLarge: the record alone exceeds a limit.
            UnknownTopic: the topic, or the partition named, does not exist.
            FormatConflict: the topic is bound to another serialization format.
            ProducerClosed: the producer was closed.
            ForkedProducer: the producer was started before a fork, by the parent process.
        """
        made = self._entry(topic).accept(
            value, key, headers, partition, timestamp_ms, on_delivery, False
        )
        if not isinstance(made, Delivery):
            raise self._inner._full(made)
        return made

    def send_many(
        self,
        topic: str,
        values: Iterable[V | None],
        *,
        keys: Sequence[K | None] | None = None,
        partitions: Sequence[int | None] | None = None,
        timestamps_ms: Sequence[int | None] | None = None,
        headers_each: Sequence[Headers | None] | None = None,
        headers: Headers | None = None,
    ) -> list[RecordMetadata]:
        """Queue many records and wait for all; parameters as for :meth:`enqueue_many`.

        Raises:
            BulkError: some records failed; it has the results of all.
            UsageError: the columns do not fit together.
            ProducerClosed: the producer was closed.
            ForkedProducer: the producer was started before a fork, by the parent process.
            WouldDeadlock: it would wait in a callback, on the thread that has to go on.
        """
        return self._default(topic).send_many(
            values,
            keys=keys,
            partitions=partitions,
            timestamps_ms=timestamps_ms,
            headers_each=headers_each,
            headers=headers,
        )

    def enqueue_many(
        self,
        topic: str,
        values: Iterable[V | None],
        *,
        keys: Sequence[K | None] | None = None,
        partitions: Sequence[int | None] | None = None,
        timestamps_ms: Sequence[int | None] | None = None,
        headers_each: Sequence[Headers | None] | None = None,
        headers: Headers | None = None,
    ) -> DeliveryGroup:
        """Queue many records in one call.

        A record that is refused becomes a failed entry of the group and stops none of the
        others.

        Args:
            topic: where to.
            values: one for each record.
            keys: one for each record, or None for no keys.
            partitions: one for each record, or None for the partitioner's choice.
            timestamps_ms: one for each record, or None for now.
            headers_each: headers of each record.
            headers: one set of headers for all records.

        Raises:
            UsageError: the columns do not fit together; nothing was queued.
            ProducerClosed: the producer was closed.
            ForkedProducer: the producer was started before a fork, by the parent process.
            WouldDeadlock: it would wait in a callback, on the thread that has to go on.
        """
        return self._default(topic).enqueue_many(
            values,
            keys=keys,
            partitions=partitions,
            timestamps_ms=timestamps_ms,
            headers_each=headers_each,
            headers=headers,
        )

    def flush(self, timeout: float | None = None) -> FlushReport:
        """Send what is queued now without lingering, and wait until all of it has an outcome.

        Args:
            timeout: seconds; None for as long as the delivery timeout allows.

        Raises:
            FlushTimeout: records accepted before the call have no outcome yet; they stay queued.
            ProducerClosed: the producer was closed.
            ForkedProducer: the producer was started before a fork, by the parent process.
            WouldDeadlock: it would wait in a callback, on the thread that has to go on.
        """
        self._ready()
        return self._background.call(lambda: self._inner.flush(timeout))

    @overload
    def topic(
        self,
        name: str,
        *,
        key_serializer: None = None,
        value_serializer: None = None,
        compression_type: CompressionType | None = None,
        allow_formats: Collection[str] = (),
    ) -> SyncTopic[K, V]: ...

    @overload
    def topic(
        self,
        name: str,
        *,
        key_serializer: None = None,
        value_serializer: Serializer[TV],
        compression_type: CompressionType | None = None,
        allow_formats: Collection[str] = (),
    ) -> SyncTopic[K, TV]: ...

    @overload
    def topic(
        self,
        name: str,
        *,
        key_serializer: Serializer[TK],
        value_serializer: None = None,
        compression_type: CompressionType | None = None,
        allow_formats: Collection[str] = (),
    ) -> SyncTopic[TK, V]: ...

    @overload
    def topic(
        self,
        name: str,
        *,
        key_serializer: Serializer[TK],
        value_serializer: Serializer[TV],
        compression_type: CompressionType | None = None,
        allow_formats: Collection[str] = (),
    ) -> SyncTopic[TK, TV]: ...

    def topic(
        self,
        name: str,
        *,
        key_serializer: Serializer[Any] | None = None,
        value_serializer: Serializer[Any] | None = None,
        compression_type: CompressionType | None = None,
        allow_formats: Collection[str] = (),
    ) -> SyncTopic[Any, Any]:
        """A topic's handle, with serializers and a codec of its own.

        The first record binds the topic to its serializer's format, for this producer.

        Args:
            name: the topic.
            key_serializer: None for the producer's.
            value_serializer: None for the producer's.
            compression_type: None for the producer's.
            allow_formats: names of formats that the topic's values may have side by side.

        Raises:
            ConfigError: a serializer or the codec cannot be used, or the topic has another codec.
            UnknownTopic: no cluster can have a topic of this name.
        """
        return SyncTopic(
            self,
            self._parts.topic_entry(
                name,
                key_serializer=key_serializer,
                value_serializer=value_serializer,
                compression_type=compression_type,
                allow_formats=allow_formats,
            ),
        )

    def partitions_for(self, topic: str) -> int:
        """How many partitions the topic has; asks the cluster if it is not known yet.

        Raises:
            UnknownTopic: there is no such topic, or nothing was heard of it for ``max_block_ms``.
            ProducerClosed: the producer was closed.
            ForkedProducer: the producer was started before a fork, by the parent process.
            WouldDeadlock: it would wait in a callback, on the thread that has to go on.
        """
        self._ready()
        return self._background.call(lambda: self._inner.partitions_for(topic))

    def metrics(self) -> ProducerMetrics:
        """The producer's numbers at this moment."""
        return self._inner.metrics()

    # Shared with topic handles.

    def _ready(self) -> None:
        """Start at the first use; refuse what cannot be started."""
        if not self._parts.started:
            self.start()
        refusal = self._parts.engine.gate.refusal
        if refusal is not None:
            raise refusal()

    def _entry(self, topic: str) -> Entry:
        if not self._parts.started:
            self.start()
        return self._parts.entry(topic)

    def _default(self, topic: str) -> SyncTopic[K, V]:
        return SyncTopic(self, self._entry(topic))

    def _room(self, made: Prepared) -> Delivery:
        """Wait for room for a record."""
        return self._background.room(made)


#: What an instance may do without; not so where a subclass, or somebody's patch of the class, has
#: put another in its place.
_REPLACED = {name: getattr(SyncProducer, name) for name in ("enqueue", "enqueue_nowait")}
