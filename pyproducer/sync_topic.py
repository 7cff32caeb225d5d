"""A topic of a blocking producer: the producer's methods without ``topic``."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any, Generic

from pyproducer.core.appender import Delivery, TopicAppender
from pyproducer.errors import ProducerError
from pyproducer.generics import K, V
from pyproducer.model import Headers, RecordMetadata

if TYPE_CHECKING:
    from pyproducer.assembly import Entry
    from pyproducer.bulk import DeliveryGroup
    from pyproducer.sync import SyncProducer

__all__ = ["SyncTopic"]


class SyncTopic(Generic[K, V]):
    """A topic's handle, made by :meth:`SyncProducer.topic`.

    Its methods are the producer's, less the topic, with this topic's serializers.
    """

    def __init__(self, producer: SyncProducer[Any, Any], entry: Entry) -> None:
        self._producer = producer
        self._entry = entry
        self._shorten()

    def __repr__(self) -> str:
        return f"<SyncTopic {self.name}>"

    @property
    def name(self) -> str:
        """The topic's name."""
        name: str = self._entry.topic.name
        return name

    def send(
        self,
        value: V | None,
        *,
        key: K | None = None,
        headers: Headers | None = None,
        partition: int | None = None,
        timestamp_ms: int | None = None,
    ) -> RecordMetadata:
        """Queue a record and wait until it is acknowledged; see :meth:`SyncProducer.send`."""
        self._producer._background.check_thread()
        made = self._taker().accept(value, key, headers, partition, timestamp_ms, None, True)
        if not isinstance(made, Delivery):
            made = self._producer._room(made)
        return made.result()

    def enqueue(
        self,
        value: V | None,
        *,
        key: K | None = None,
        headers: Headers | None = None,
        partition: int | None = None,
        timestamp_ms: int | None = None,
        on_delivery: Callable[[Delivery], object] | None = None,
    ) -> Delivery:
        """Queue a record, waiting for buffer room only; see :meth:`SyncProducer.enqueue`."""
        made = self._taker().accept(
            value, key, headers, partition, timestamp_ms, on_delivery, False
        )
        return made if isinstance(made, Delivery) else self._producer._room(made)

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
        """Queue a record at once, or not at all; see :meth:`SyncProducer.enqueue_nowait`."""
        made = self._taker().accept(
            value, key, headers, partition, timestamp_ms, on_delivery, False
        )
        if not isinstance(made, Delivery):
            raise self._producer._inner._full(made)
        return made

    def send_many(
        self,
        values: Iterable[V | None],
        *,
        keys: Sequence[K | None] | None = None,
        partitions: Sequence[int | None] | None = None,
        timestamps_ms: Sequence[int | None] | None = None,
        headers_each: Sequence[Headers | None] | None = None,
        headers: Headers | None = None,
    ) -> list[RecordMetadata]:
        """Queue many records and wait for all; see :meth:`SyncProducer.send_many`."""
        self._producer._background.check_thread()
        group = self.enqueue_many(
            values,
            keys=keys,
            partitions=partitions,
            timestamps_ms=timestamps_ms,
            headers_each=headers_each,
            headers=headers,
        )
        group.expect()
        return group.settled()

    def enqueue_many(
        self,
        values: Iterable[V | None],
        *,
        keys: Sequence[K | None] | None = None,
        partitions: Sequence[int | None] | None = None,
        timestamps_ms: Sequence[int | None] | None = None,
        headers_each: Sequence[Headers | None] | None = None,
        headers: Headers | None = None,
    ) -> DeliveryGroup:
        """Queue many records in one call; see :meth:`SyncProducer.enqueue_many`."""
        # Late: few programs have records in columns.
        from pyproducer.bulk import columns, fill

        rows = columns(values, keys, partitions, timestamps_ms, headers_each, headers)
        producer, entry = self._producer, self._taker()
        appender = producer._appender
        steps = fill(
            entry,
            lambda error: producer._inner._reject(entry.topic.name, error),
            # No turn is given here, but as much is appended in one go as between two of them.
            lambda: appender.turn_due,
            rows,
        )
        answer: Delivery | ProducerError | None = None
        while True:
            try:
                made = steps.send(answer)
            except StopIteration as end:
                group: DeliveryGroup = end.value
                return group
            answer = None
            if made is not None:
                try:
                    answer = producer._room(made)
                except ProducerError as error:
                    answer = error

    def _taker(self) -> Entry:
        """What takes the records, once the producer runs."""
        if not self._producer._parts.started:
            self._producer.start()
            self._shorten()
        return self._entry

    def _shorten(self) -> None:
        entry = self._entry
        if self._producer._parts.started and isinstance(entry, TopicAppender):
            # Straight into the appender: nothing stands between the caller and the batch.
            self.enqueue = entry.enqueue_blocking  # type: ignore[method-assign]
            self.enqueue_nowait = entry.enqueue_nowait  # type: ignore[method-assign]
