"""The asyncio producer."""

from __future__ import annotations

import asyncio
import logging
import warnings
from collections.abc import Callable, Collection, Coroutine, Generator, Iterable, Sequence
from types import TracebackType
from typing import TYPE_CHECKING, Any, Generic, Self, overload

from pyproducer.assembly import Assembly
from pyproducer.closing import fail_remaining
from pyproducer.core.appender import Delivery, Prepared, coroutine_method
from pyproducer.errors import ProducerError, UnknownTopic
from pyproducer.generics import TK, TV, K, Serializer, V
from pyproducer.lifecycle import Lifecycle
from pyproducer.model import DeliveryFailure, FlushReport, Headers, RecordMetadata
from pyproducer.topic import Topic
from pyproducer.transaction import Transactional

if TYPE_CHECKING:
    from typing import Unpack

    from pyproducer.bulk import DeliveryGroup
    from pyproducer.clock import Clock
    from pyproducer.config import CompressionType, ProducerConfig, ProducerOptions
    from pyproducer.interceptors import Interceptor
    from pyproducer.metrics import ProducerMetrics

__all__ = ["AsyncProducer"]

logger = logging.getLogger("pyproducer.producer")


class AsyncProducer(Transactional, Generic[K, V]):
    """Writes records to Kafka from asyncio.

    Making one opens nothing and needs no event loop; it belongs to the loop that starts it::

        async with AsyncProducer("localhost:9092") as producer:
            meta = await producer.send("orders", b"tea", key="table-7")

    Leaving the block flushes and closes. A record that failed while nobody looked at its outcome
    (no await, no result(), no callback) is then raised as
    :class:`~pyproducer.errors.UndeliveredError`.

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
        self._build(
            Assembly(
                bootstrap_servers,
                config,
                dict(options),
                key_serializer=key_serializer,
                value_serializer=value_serializer,
                interceptors=interceptors,
                on_delivery_failure=on_delivery_failure,
                clock=clock,
                lock=None,
            ),
            owned=True,
        )

    def _build(self, parts: Assembly, *, owned: bool) -> None:
        """Take the parts; with ``owned`` False a blocking producer stands in front."""
        self._parts = parts
        self._appender = parts.appender
        self._runner = parts.runner
        self._engine = parts.engine
        self._owned = owned
        self._lifecycle = Lifecycle(parts, owned=owned)
        if parts.direct:
            # Straight into the appender: nothing stands between the caller and the batch.
            if type(self).enqueue is _ENQUEUE:
                self.enqueue = coroutine_method(  # type: ignore[method-assign]
                    parts.appender.enqueue, _ENQUEUE
                )
            if type(self).enqueue_nowait is _ENQUEUE_NOWAIT:
                self.enqueue_nowait = parts.appender.enqueue_nowait  # type: ignore[method-assign]

    def __repr__(self) -> str:
        servers = ",".join(f"{host}:{port}" for host, port in self._parts.bootstrap)
        return f"<{type(self).__name__} {servers} {self._lifecycle.state}>"

    @property
    def config(self) -> ProducerConfig:
        """The options in force."""
        return self._parts.config

    # Lifecycle.

    async def start(self) -> None:
        """Connect to the cluster; records can be sent when this returns. Twice does nothing.

        Raises:
            ConnectionFailed: no bootstrap server could be used; nothing is left open. A TlsError
                says that one was there, and no secure connection came about.
            AuthenticationError: the brokers do not believe who we are, or nobody can say it.
            AuthorizationError: the transactional id may not be used.
            ProducerClosed: the producer was closed before.
            ForkedProducer: it was started before a fork, by the parent process.
            WrongLoop: it was started on another event loop.
        """
        await self._lifecycle.start()

    async def close(self, timeout: float | None = None) -> None:
        """Flush, settle every record, and close all connections; a second call does nothing.

        Records that have no outcome after ``timeout`` fail. Whoever waits for buffer room is
        refused at once.

        Args:
            timeout: seconds; None for ``close_timeout_ms``.

        Raises:
            UndeliveredError: records failed, then or before, and nobody looked at their outcome.
            CloseTimeout: records failed by this close, all of them seen by somebody.
            WrongLoop: the producer belongs to another event loop.
        """
        await self._lifecycle.close(timeout)

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        try:
            await self.close()
        except ProducerError as trouble:
            if error is None:
                raise
            # The block's own exception is what the caller must see.
            logger.error("while closing after %s: %s", type(error).__name__, trouble)

    def __del__(self) -> None:
        lifecycle = getattr(self, "_lifecycle", None)
        if lifecycle is None or not self._owned or not lifecycle.open:
            return
        # First of all: with warnings as errors the next statement is the last one.
        lifecycle.drop()
        warnings.warn(
            f"{self!r} was never closed. Use 'async with', or await close().",
            ResourceWarning,
            source=self,
            stacklevel=2,
        )

    # Records.

    async def send(
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
            NotStarted: the producer was not started.
            WrongLoop: the producer belongs to another event loop.
        """
        made = self._parts.entry(topic).accept(
            value, key, headers, partition, timestamp_ms, None, True
        )
        if not isinstance(made, Delivery):
            made = await self._room(made)
        return await made

    async def enqueue(
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
            NotStarted: the producer was not started.
            WrongLoop: the producer belongs to another event loop.
        """
        made = self._parts.entry(topic).accept(
            value, key, headers, partition, timestamp_ms, on_delivery, False
        )
        if isinstance(made, Delivery):
            if self._appender.turn_due:
                await self._turn()
            return made
        return await self._room(made)

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
            NotStarted: the producer was not started.
            WrongLoop: the producer belongs to another event loop.
        """
        made = self._parts.entry(topic).accept(
            value, key, headers, partition, timestamp_ms, on_delivery, False
        )
        if not isinstance(made, Delivery):
            raise self._full(made)
        return made

    async def send_many(
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
            NotStarted: the producer was not started.
            WrongLoop: the producer belongs to another event loop.
        """
        return await self._default(topic).send_many(
            values,
            keys=keys,
            partitions=partitions,
            timestamps_ms=timestamps_ms,
            headers_each=headers_each,
            headers=headers,
        )

    async def enqueue_many(
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
            NotStarted: the producer was not started.
            WrongLoop: the producer belongs to another event loop.
        """
        return await self._default(topic).enqueue_many(
            values,
            keys=keys,
            partitions=partitions,
            timestamps_ms=timestamps_ms,
            headers_each=headers_each,
            headers=headers,
        )

    async def flush(self, timeout: float | None = None) -> FlushReport:
        """Send what is queued now without lingering, and wait until all of it has an outcome.

        Args:
            timeout: seconds; None for as long as the delivery timeout allows.

        Raises:
            FlushTimeout: records accepted before the call have no outcome yet; they stay queued.
            ProducerClosed: the producer was closed.
            ForkedProducer: the producer was started before a fork, by the parent process.
            NotStarted: the producer was not started.
            WrongLoop: the producer belongs to another event loop.
        """
        return await self._lifecycle.flush(timeout)

    @overload
    def topic(
        self,
        name: str,
        *,
        key_serializer: None = None,
        value_serializer: None = None,
        compression_type: CompressionType | None = None,
        allow_formats: Collection[str] = (),
    ) -> Topic[K, V]: ...

    @overload
    def topic(
        self,
        name: str,
        *,
        key_serializer: None = None,
        value_serializer: Serializer[TV],
        compression_type: CompressionType | None = None,
        allow_formats: Collection[str] = (),
    ) -> Topic[K, TV]: ...

    @overload
    def topic(
        self,
        name: str,
        *,
        key_serializer: Serializer[TK],
        value_serializer: None = None,
        compression_type: CompressionType | None = None,
        allow_formats: Collection[str] = (),
    ) -> Topic[TK, V]: ...

    @overload
    def topic(
        self,
        name: str,
        *,
        key_serializer: Serializer[TK],
        value_serializer: Serializer[TV],
        compression_type: CompressionType | None = None,
        allow_formats: Collection[str] = (),
    ) -> Topic[TK, TV]: ...

    def topic(
        self,
        name: str,
        *,
        key_serializer: Serializer[Any] | None = None,
        value_serializer: Serializer[Any] | None = None,
        compression_type: CompressionType | None = None,
        allow_formats: Collection[str] = (),
    ) -> Topic[Any, Any]:
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
        return Topic(
            self,
            self._parts.topic_entry(
                name,
                key_serializer=key_serializer,
                value_serializer=value_serializer,
                compression_type=compression_type,
                allow_formats=allow_formats,
            ),
        )

    async def partitions_for(self, topic: str) -> int:
        """How many partitions the topic has; asks the cluster if it is not known yet.

        Raises:
            UnknownTopic: there is no such topic, or nothing was heard of it for ``max_block_ms``.
            ProducerClosed: the producer was closed.
            ForkedProducer: the producer was started before a fork, by the parent process.
            NotStarted: the producer was not started.
            WrongLoop: the producer belongs to another event loop.
        """
        refusal = self._engine.gate.refusal
        if refusal is not None:
            raise refusal()
        state = self._appender.topic(topic)
        engine = self._engine
        engine.want(topic, self._runner.now)
        try:
            await self._runner.until(
                lambda: state.partitions is not None or engine.is_unknown(topic),
                self.config.max_block_ms / 1000,
            )
        except TimeoutError:
            missing = topic in engine.cluster.unknown_since
            raise UnknownTopic(
                f"the cluster knows no topic {topic!r} (asked for max_block_ms="
                f"{self.config.max_block_ms}); create it"
                if missing
                else f"nothing was heard of topic {topic!r} for max_block_ms="
                f"{self.config.max_block_ms}; is the cluster reachable?",
                topic=topic,
            ) from None
        if state.partitions is None:
            refusal = self._engine.gate.refusal
            if refusal is not None:
                raise refusal()
            raise UnknownTopic(f"topic {topic!r} does not exist", topic=topic)
        return len(state.partitions)

    def metrics(self) -> ProducerMetrics:
        """The producer's numbers at this moment."""
        from pyproducer.metrics import snapshot

        return snapshot(self._engine, self._appender)

    # Shared with topic handles.

    def _default(self, topic: str) -> Topic[K, V]:
        return Topic(self, self._parts.entry(topic))

    async def _turn(self) -> None:
        """Let the event loop do everything else once."""
        await asyncio.sleep(0)

    def _room(self, made: Prepared) -> Coroutine[Any, Any, Delivery]:
        """Wait for room for a record."""
        return self._parts.room(made)

    def _full(self, made: Prepared) -> BaseException:
        """The error for a record that finds no room and does not wait."""
        error: BaseException = self._appender.full(made)
        self._parts.refused(made, error)
        return error

    def _reject(self, topic: str, error: ProducerError) -> Delivery:
        """The handle of a record of a bulk call that was refused."""
        delivery = self._appender.reject(self._appender.topic(topic), error)
        if not self._runner.running:
            # The producer was closed during the call: nobody else will settle it any more.
            fail_remaining(self._engine, self._runner.now)
        return delivery

    async def _drive(
        self, steps: Generator[Prepared | None, Delivery | ProducerError | None, DeliveryGroup]
    ) -> DeliveryGroup:
        """Run a bulk call, waiting where it has to."""
        answer: Delivery | ProducerError | None = None
        while True:
            try:
                made = steps.send(answer)
            except StopIteration as end:
                group: DeliveryGroup = end.value
                return group
            answer = None
            if made is None:
                await self._turn()
                continue
            try:
                answer = await self._room(made)
            except ProducerError as error:
                answer = error


#: What an instance may do without; not so where a subclass, or somebody's patch of the class, has
#: put another in its place.
_ENQUEUE = AsyncProducer.enqueue
_ENQUEUE_NOWAIT = AsyncProducer.enqueue_nowait
