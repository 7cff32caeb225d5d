"""A topic of one producer, with its own serializers: the producer's methods without ``topic``."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any, Generic

from pyproducer.core.appender import Delivery, TopicAppender, coroutine_method
from pyproducer.generics import K, V
from pyproducer.model import Headers, RecordMetadata

if TYPE_CHECKING:
    from pyproducer.assembly import Entry
    from pyproducer.bulk import DeliveryGroup
    from pyproducer.producer import AsyncProducer

__all__ = ["Topic"]


class Topic(Generic[K, V]):
    """A topic's handle, made by :meth:`AsyncProducer.topic`.

    Its methods are the producer's, less the topic, with this topic's serializers.
    """

    def __init__(self, producer: AsyncProducer[Any, Any], entry: Entry) -> None:
        self._producer = producer
        self._entry = entry
        if isinstance(entry, TopicAppender):
            # Straight into the appender: nothing stands between the caller and the batch.
            self.enqueue_nowait = entry.enqueue_nowait  # type: ignore[method-assign]
            self.enqueue = coroutine_method(  # type: ignore[method-assign]
                entry.enqueue, Topic.enqueue
            )

    def __repr__(self) -> str:
        return f"<Topic {self.name}>"

    @property
    def name(self) -> str:
        """The topic's name."""
        name: str = self._entry.topic.name
        return name

    async def send(
        self,
        value: V | None,
        *,
        key: K | None = None,
        headers: Headers | None = None,
        partition: int | None = None,
        timestamp_ms: int | None = None,
    ) -> RecordMetadata:
        """Queue a record and wait until it is acknowledged; see :meth:`AsyncProducer.send`."""
        made = self._entry.accept(value, key, headers, partition, timestamp_ms, None, True)
        if not isinstance(made, Delivery):
            made = await self._producer._room(made)
        return await made

    async def enqueue(
        self,
        value: V | None,
        *,
        key: K | None = None,
        headers: Headers | None = None,
        partition: int | None = None,
        timestamp_ms: int | None = None,
        on_delivery: Callable[[Delivery], object] | None = None,
    ) -> Delivery:
        """Queue a record, waiting for buffer room only; see :meth:`AsyncProducer.enqueue`."""
        made = self._entry.accept(value, key, headers, partition, timestamp_ms, on_delivery, False)
        producer = self._producer
        if isinstance(made, Delivery):
            if producer._appender.turn_due:
                await producer._turn()
            return made
        return await producer._room(made)

    def enqueue_nowait(
        self,
        value: V | None,
        *,
        key: K | None = None,
        headers: Headers | None = None,
        partition: int | None = None,
        timestamp_ms: int | None = None,
        on_delivery: Callable[[Delivery], object] | None = None,
    ) -> Delivery:
        """Queue a record at once, or not at all; see :meth:`AsyncProducer.enqueue_nowait`."""
        made = self._entry.accept(value, key, headers, partition, timestamp_ms, on_delivery, False)
        if not isinstance(made, Delivery):
            raise self._producer._full(made)
        return made

    async def send_many(
        self,
        values: Iterable[V | None],
        *,
        keys: Sequence[K | None] | None = None,
        partitions: Sequence[int | None] | None = None,
        timestamps_ms: Sequence[int | None] | None = None,
        headers_each: Sequence[Headers | None] | None = None,
        headers: Headers | None = None,
    ) -> list[RecordMetadata]:
        """Queue many records and wait for all; see :meth:`AsyncProducer.send_many`."""
        return await (
            await self.enqueue_many(
                values,
                keys=keys,
                partitions=partitions,
                timestamps_ms=timestamps_ms,
                headers_each=headers_each,
                headers=headers,
            )
        )

    async def enqueue_many(
        self,
        values: Iterable[V | None],
        *,
        keys: Sequence[K | None] | None = None,
        partitions: Sequence[int | None] | None = None,
        timestamps_ms: Sequence[int | None] | None = None,
        headers_each: Sequence[Headers | None] | None = None,
        headers: Headers | None = None,
    ) -> DeliveryGroup:
        """Queue many records in one call; see :meth:`AsyncProducer.enqueue_many`."""
        # Late: few programs have records in columns.
        from pyproducer.bulk import columns, fill

        rows = columns(values, keys, partitions, timestamps_ms, headers_each, headers)
        producer, entry = self._producer, self._entry
        appender = producer._appender
        steps = fill(
            entry,
            lambda error: producer._reject(entry.topic.name, error),
            lambda: appender.turn_due,
            rows,
        )
        return await producer._drive(steps)
