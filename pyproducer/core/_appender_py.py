"""The appender in pure Python: from a call's arguments to record bytes in an open batch.

With ``_topic_py``, ``_handle_py`` and ``_packing_py`` it is the twin of ``_appender.pyx``: same
classes, same bytes, same errors, held together by ``tests/core``, which runs every
test against both. See ``appender.py`` for what is promised to the rest of the engine.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from contextlib import AbstractContextManager, nullcontext
from typing import Any, Final

from pyproducer.core._group_py import Handles
from pyproducer.core._handle_py import (
    ACKED,
    CLOSED,
    FAILED,
    OPEN,
    SPLIT,
    Batch,
    Delivery,
    run_watchers,
)
from pyproducer.core._packing_py import VARINTS, pack_record
from pyproducer.core._topic_py import PartitionState, Prepared, TopicAppender, TopicState, one_turn
from pyproducer.core.appender_rules import (
    BATCH_HELD,
    BATCH_OVERHEAD,
    CALLBACK_HELD,
    FIRST_SEGMENT,
    LARGEST_STEP,
    LOOKED_AT,
    RECORD_HELD,
    SHELVED_HELD,
    TURN_BYTES,
    TURN_MS,
    buffer_full,
    check_topic_name,
    pairs,
    topic_error,
    wrong_partition,
)
from pyproducer.partitioner import Partitioner, ask_partitioner

__all__ = [
    "ACKED",
    "CLOSED",
    "FAILED",
    "OPEN",
    "SPLIT",
    "Appender",
    "Batch",
    "Delivery",
    "Handles",
    "PartitionState",
    "Prepared",
    "TopicAppender",
    "TopicState",
    "run_watchers",
]

_NO_LOCK: Final = nullcontext()


class Appender:
    """All topics of one producer, and the bytes they hold."""

    __slots__ = (
        "_choose",
        "_closed",
        "_hurried",
        "_opened",
        "_serial",
        "_sticky_null",
        "asleep",
        "batch_max_records",
        "batch_size",
        "block_for_room",
        "custom",
        "host",
        "is_coroutine_function",
        "largest_record",
        "largest_record_name",
        "last_ms",
        "limit",
        "lock",
        "make_entry",
        "owner",
        "partitioner",
        "records",
        "refusal",
        "room",
        "since_turn",
        "starved",
        "thread_ident",
        "topics",
        "turn_ms",
        "used",
        "waiting",
        "wall_ns",
    )

    def __init__(
        self,
        *,
        batch_size: int,
        batch_max_records: int,
        largest_record: int,
        largest_record_name: str,
        buffer_memory: int,
        partitioner: Partitioner,
        choose: Callable[[int], int],
        wall_ns: Callable[[], int],
        is_coroutine_function: Callable[[Any], bool],
        thread_ident: Callable[[], int],
        make_entry: Callable[[TopicState], TopicAppender],
        host: Any,
        lock: AbstractContextManager[Any] | None = None,
        machine_clock: bool = False,
    ) -> None:
        self.batch_size = batch_size
        self.batch_max_records = batch_max_records
        self.largest_record = largest_record
        self.largest_record_name = largest_record_name
        self.limit = buffer_memory
        self.used = 0
        self.waiting = 0
        #: Bytes appended since the loop last had a turn.
        self.since_turn = 0
        #: Wall clock in milliseconds at the first append since then (0 for none) and the last.
        self.turn_ms = 0
        self.last_ms = 0
        self.records = 0
        self.asleep = True
        #: A record found no room; the engine takes this back.
        self.starved = False
        #: The thread that may call; 0 where a lock makes all of them welcome.
        self.owner = 0
        #: A callable that makes the error every call gets, once the producer takes no more.
        self.refusal: Callable[[], BaseException] | None = None
        self.wall_ns = wall_ns
        self.is_coroutine_function = is_coroutine_function
        self.thread_ident = thread_ident
        self.make_entry = make_entry
        self.host = host
        #: Waits for room for a prepared record.
        self.room: Callable[[Prepared], Awaitable[Delivery]]
        #: The same on the caller's thread.
        self.block_for_room: Callable[[Prepared], Delivery]
        self.lock: AbstractContextManager[Any] = _NO_LOCK if lock is None else lock
        self.partitioner = partitioner
        self.custom = partitioner.custom
        self._sticky_null = partitioner.sticky_null
        self.topics: dict[str, TopicState] = {}
        self._choose = choose
        self._opened: list[Batch] = []
        self._closed: list[Batch] = []
        self._hurried: list[Batch] = []
        self._serial = 0

    # Called for every record.

    def enqueue_nowait(
        self,
        topic: str,
        value: Any,
        *,
        key: Any = None,
        headers: Any = None,
        partition: int | None = None,
        timestamp_ms: int | None = None,
        on_delivery: Callable[[Delivery], object] | None = None,
    ) -> Delivery:
        """Queue a record at once, or raise :class:`~pyproducer.errors.BufferFull`."""
        made = self.entry(topic).accept(
            value, key, headers, partition, timestamp_ms, on_delivery, False
        )
        if isinstance(made, Prepared):
            raise self.full(made)
        return made

    async def enqueue(
        self,
        topic: str,
        value: Any,
        *,
        key: Any = None,
        headers: Any = None,
        partition: int | None = None,
        timestamp_ms: int | None = None,
        on_delivery: Callable[[Delivery], object] | None = None,
    ) -> Delivery:
        """Queue a record, waiting only for room."""
        made = self.entry(topic).accept(
            value, key, headers, partition, timestamp_ms, on_delivery, False
        )
        if isinstance(made, Prepared):
            return await self.room(made)
        if self.turn_due:
            await one_turn()
        return made

    def enqueue_blocking(
        self,
        topic: str,
        value: Any,
        *,
        key: Any = None,
        headers: Any = None,
        partition: int | None = None,
        timestamp_ms: int | None = None,
        on_delivery: Callable[[Delivery], object] | None = None,
    ) -> Delivery:
        """Queue a record; where there is no room for it, this thread waits."""
        made = self.entry(topic).accept(
            value, key, headers, partition, timestamp_ms, on_delivery, False
        )
        return self.block_for_room(made) if isinstance(made, Prepared) else made

    def entry(self, name: str) -> TopicAppender:
        """The topic with the producer's own serializers."""
        try:
            state = self.topics.get(name)
        except TypeError:
            raise topic_error(name) from None
        if state is None:
            state = self.topic(name)
        entry = state.default
        if entry is None:
            entry = state.default = self.make_entry(state)
        return entry

    @property
    def turn_due(self) -> bool:
        """True where a caller that never sleeps should let the event loop run."""
        if self.since_turn < TURN_BYTES and (
            not self.turn_ms or self.last_ms - self.turn_ms < TURN_MS
        ):
            return False
        self.since_turn = 0
        self.turn_ms = 0
        return True

    def admit(self, made: Prepared, in_line: bool) -> Delivery | None:
        """Append a prepared record, or return None where there is no room.

        Args:
            made: the record.
            in_line: True for a waiter whose turn it is; others stand behind those who wait.
        """
        topic = made.source._topic
        if topic.partitions is None:
            return self._admit_to_shelf(topic, made, in_line)
        number = made.partition
        if number < 0 and self.custom:
            # The user's function runs outside the lock.
            number = self._route(topic, made.key)
        with self.lock:
            if self.refusal is not None:
                raise self.refusal()
            if self.waiting and not in_line:
                return None
            return self._append_prepared(topic, number, made, True)

    def append_now(
        self,
        topic: TopicState,
        number: int,
        key: bytes | None,
        value: bytes | None,
        headers: bytes,
        timestamp: int,
        on_delivery: Callable[[Delivery], object] | None,
        urgent: bool,
    ) -> Delivery | None:
        """Append a record to a topic that is known, or return None where there is no room."""
        if self.lock is _NO_LOCK:
            if self.waiting:
                return None
            return self._append(
                topic, number, number < 0, key, value, headers, timestamp, on_delivery, urgent
            )
        with self.lock:
            if self.refusal is not None:
                # Closed by another thread while this one was serializing.
                raise self.refusal()
            if self.waiting:
                return None
            return self._append(
                topic, number, number < 0, key, value, headers, timestamp, on_delivery, urgent
            )

    def reject(self, topic: TopicState, error: BaseException) -> Delivery:
        """The handle of a record that was refused, for a caller that must not be stopped by it."""
        with self.lock:
            alone = self._failed_alone(topic, -1, error)
            # Whoever gets the handle looks at it.
            alone.expected = True
            self.records += 1
            return Delivery(alone, 0, 0)

    def _failed_alone(self, topic: TopicState, number: int, error: BaseException) -> Batch:
        self._serial += 1
        alone = Batch(PartitionState(topic, number), self._serial)
        alone.count = 1
        alone.state = CLOSED
        alone.error = error
        self._closed.append(alone)
        self._wake()
        return alone

    def full(self, made: Prepared) -> BaseException:
        """The error for a record that found no room."""
        topic = made.source._topic
        needed = made.size_bound + _held_for(made.on_delivery) + BATCH_HELD
        if topic.partitions is None:
            needed += SHELVED_HELD
        return buffer_full(topic.name, needed, self.used, self.limit)

    def _append_prepared(
        self, topic: TopicState, number: int, made: Prepared, charge: bool
    ) -> Delivery | None:
        return self._append(
            topic,
            number,
            made.partition < 0,
            made.key,
            made.value,
            made.headers,
            made.timestamp_ms,
            made.on_delivery,
            made.urgent,
            made.delivery,
            charge,
        )

    def _append(
        self,
        topic: TopicState,
        number: int,
        free: bool,
        key: bytes | None,
        value: bytes | None,
        headers: bytes,
        timestamp: int,
        on_delivery: Callable[[Delivery], object] | None,
        urgent: bool,
        delivery: Delivery | None = None,
        charge: bool = True,
    ) -> Delivery | None:
        partitions = topic.partitions
        assert partitions is not None
        if number < 0:
            # A null key is the rule, and is placed here without another call.
            number = topic.sticky if key is None and self._sticky_null else -1
            if number < 0:
                number = self._route(topic, key)
        if number >= len(partitions):
            raise wrong_partition(topic.name, number, len(partitions))
        state = partitions[number]
        batch = state.open
        if batch is not None:
            index = batch.count
            record = pack_record(key, value, headers, timestamp - batch.base_timestamp, index)
            size = batch.size + len(record)
            if BATCH_OVERHEAD + size > self.batch_size:
                if state.open is batch:
                    self._close(state, batch)
                batch = None
                if free and self.partitioner.keeps_together(key):
                    # What has nothing to hash moves on with the sticky partition.
                    return self._append(
                        topic, self._route(topic, key), free, key, value, headers, timestamp,
                        on_delivery, urgent, delivery, charge,
                    )  # fmt: skip
        beside = RECORD_HELD if on_delivery is None else RECORD_HELD + CALLBACK_HELD
        if batch is None:
            record = pack_record(key, value, headers, 0, 0)
            size = len(record)
            held = 0
            beside += BATCH_HELD
        else:
            held = batch.charged - batch.beside
        step = 0
        if size > held:
            step = max(size - held, FIRST_SEGMENT if held == 0 else min(held, LARGEST_STEP))
        if charge and self.used + step + beside > self.limit:
            step = max(size - held, 0)
            # An empty buffer takes any record that is not too large by itself.
            if self.used and self.used + step + beside > self.limit:
                self._starve()
                return None
        opens = batch is None
        if batch is None:
            # Before anything else: it may raise, and there must be no record then.
            self._wake()
            batch = Batch(state, 0)
            batch.base_timestamp = timestamp
            index = 0
        if delivery is None:
            delivery = Delivery(batch, index, timestamp)
        news, chunk = [batch], [record]
        watched = None if on_delivery is None else [delivery, on_delivery]
        if batch.count != index or state.open is not (None if opens else batch):
            # A signal's handler, or what the collector ran, has queued something meanwhile.
            return self._append(
                topic, number, free, key, value, headers, timestamp,
                on_delivery, urgent, delivery, charge,
            )  # fmt: skip
        # From here to the end of the paragraph there is no call, and nothing is made that the
        # collector would run by: the record is in the batch with its callback, or it is not there
        # at all, wherever Ctrl-C strikes.
        delivery._batch = batch
        delivery._index = index
        if opens:
            self._serial += 1
            batch.serial = self._serial
            state.open = batch
            self._opened += news
        self.used += step + beside
        batch.charged += step + beside
        batch.beside += beside
        batch._chunks += chunk
        batch.count = index + 1
        batch.size = size
        if watched is not None:
            if batch.watchers is None:
                batch.watchers = watched
            else:
                batch.watchers += watched
        if timestamp > batch.max_timestamp:  # noqa: PLR1730 - max() would be a call
            batch.max_timestamp = timestamp

        self.since_turn += len(record)
        self.records += 1
        if urgent and not batch.urgent:
            batch.urgent = True
            self._hurried.append(batch)
            self._wake()
        full = index + 1 >= self.batch_max_records or size + BATCH_OVERHEAD >= self.batch_size
        if full and state.open is batch:
            self._close(state, batch)
        return delivery

    def _admit_to_shelf(self, topic: TopicState, made: Prepared, in_line: bool) -> Delivery | None:
        with self.lock:
            if self.refusal is not None:
                raise self.refusal()
            if topic.partitions is None:
                return self._put_on_shelf(topic, made, in_line)
        # Metadata came while this thread waited for the lock. On a new shelf the record would
        # stay: nobody looks at the shelf of a topic that is known.
        return self.admit(made, in_line=in_line)

    def _put_on_shelf(self, topic: TopicState, made: Prepared, in_line: bool) -> Delivery | None:
        if self.waiting and not in_line:
            return None
        shelf = fresh = topic.shelf
        charge = made.size_bound + _held_for(made.on_delivery) + SHELVED_HELD
        if shelf is None:
            charge += BATCH_HELD
        if self.used and self.used + charge > self.limit:
            self._starve()
            return None
        if fresh is None:
            self._wake()
            fresh = Batch(PartitionState(topic, -1), 0)
            fresh.shelved = []
        delivery = Delivery(fresh, 0, made.timestamp_ms)
        news, row = [fresh], [made]
        watched = None if made.on_delivery is None else [delivery, made.on_delivery]
        # As in _append(): no call from here on, and nothing is made. Another shelf may be there,
        # with other records on it, than when this began.
        shelf = topic.shelf
        if shelf is None:
            self._serial += 1
            fresh.serial = self._serial
            shelf = topic.shelf = fresh
            self._opened += news
        delivery._batch = shelf
        delivery._index = shelf.count
        made.delivery = delivery
        if watched is not None:
            if shelf.watchers is None:
                shelf.watchers = watched
            else:
                shelf.watchers += watched
            made.on_delivery = None
        shelf.count += 1
        shelf.charged += charge
        self.used += charge
        self.since_turn += charge
        self.records += 1
        assert shelf.shelved is not None
        shelf.shelved += row
        return delivery

    # Choosing a partition.

    def _route(self, topic: TopicState, key: bytes | None) -> int:
        partitions = topic.partitions
        assert partitions is not None
        count = len(partitions)
        partitioner = self.partitioner
        if partitioner.keeps_together(key):
            if topic.sticky < 0:
                topic.sticky = self._pick(topic)
            return topic.sticky
        if partitioner.custom:
            return ask_partitioner(partitioner, topic.function, key, count, topic=topic.name)
        return topic.function(key, count)

    def _pick(self, topic: TopicState) -> int:
        """The next sticky partition: any of those that have the least to be sent."""
        partitions, available = topic.partitions, topic.available
        assert partitions is not None
        count = len(available)
        if count == 1:
            return available[0]
        if count > LOOKED_AT:
            # Of many only some, far from each other: one of them is about as good as the best.
            start = self._choose(count)
            some = [available[(start + at * count // LOOKED_AT) % count] for at in range(LOOKED_AT)]
            return min(some, key=lambda number: partitions[number].pending)
        least = min(partitions[number].pending for number in available)
        found = [number for number in available if partitions[number].pending == least]
        return found[self._choose(len(found))]

    # Opening and closing.

    def _close(self, state: PartitionState, batch: Batch) -> None:
        self._retire(state, batch)
        self._wake()
        self.host.filled(batch)

    def _retire(self, state: PartitionState, batch: Batch) -> None:
        batch.state = CLOSED
        state.open = None
        if state.topic.sticky == state.number:
            # Null keys move to another partition with each batch (KIP-480).
            state.topic.sticky = -1
        state.pending += batch.charged
        self._closed.append(batch)

    def _starve(self) -> None:
        # The engine stops lingering: only what is sent makes room. It knows by itself of those
        # who wait already, and would be woken at every step only to find no room for them again.
        if not self.starved:
            self.starved = True
            if not self.waiting:
                self._wake()

    def _wake(self) -> None:
        if self.asleep:
            self.asleep = False
            try:
                self.host.wake()
            except BaseException:
                # Ctrl-C, or a loop that is closed: the next one has to wake it.
                self.asleep = True
                raise

    # Called by the engine.

    def topic(self, name: str) -> TopicState:
        """The state of a topic, made at its first use.

        Raises:
            UnknownTopic: no cluster can have a topic of this name.
        """
        state = self.topics.get(name) if isinstance(name, str) else None
        if state is None:
            name = check_topic_name(name)
            with self.lock:
                state = self.topics.setdefault(name, TopicState(self, name))
        return state

    def take(self) -> tuple[list[Batch], list[Batch], list[Batch]]:
        """The batches opened, closed and hurried since the last call, each in that order.

        After it the next append that the engine must know of wakes the host again.
        """
        with self.lock:
            news = self._opened, self._closed, self._hurried
            self._opened, self._closed, self._hurried = [], [], []
            self.asleep = True
            return news

    def close_open(self, state: PartitionState) -> None:
        """Leave nothing open in a partition; the batch comes with the next take()."""
        # Through the same list as batches closed by an append: one closed by another thread
        # a moment ago must stay ahead of this one.
        with self.lock:
            if state.open is not None:
                self._retire(state, state.open)

    def recharge(self, batch: Batch, held: int) -> None:
        """From now on the records of ``batch`` take ``held`` bytes; 0 once it is settled."""
        with self.lock:
            if held:
                held += batch.beside
            self.used += held - batch.charged
            batch.home.pending += held - batch.charged
            batch.charged = held

    def adopt(
        self, topic: TopicState, count: int, available: list[int]
    ) -> tuple[Batch, list[Batch]] | None:
        """Take over the number of partitions, and append what waited on the shelf, in order.

        Returns the shelf and the batches that its records went into, or None without a shelf.
        """
        with self.lock:
            partitions = topic.partitions
            if partitions is None:
                partitions = []
            del partitions[count:]
            partitions.extend(PartitionState(topic, n) for n in range(len(partitions), count))
            topic.available = available or list(range(count))
            if topic.sticky >= 0 and topic.sticky not in topic.available:
                topic.sticky = -1
            topic.partitions = partitions
            shelf, topic.shelf = topic.shelf, None
            return None if shelf is None else (shelf, self._unshelve(topic, shelf))

    def _unshelve(self, topic: TopicState, shelf: Batch) -> list[Batch]:
        assert shelf.shelved is not None
        moved: list[Batch] = []
        self.used -= shelf.charged
        shelf.charged = 0
        for made in shelf.shelved:
            delivery = made.delivery
            assert delivery is not None
            try:
                self._append_prepared(topic, made.partition, made, False)
            except Exception as error:  # a record alone may fail here
                delivery._batch = self._failed_alone(topic, made.partition, error)
                delivery._index = 0
            else:
                self.records -= 1
            moved.append(delivery._batch)
        for delivery, watcher in pairs(shelf.watchers):
            batch = delivery._batch
            batch.watch(delivery, watcher)
            batch.beside += CALLBACK_HELD
            batch.charged += CALLBACK_HELD
            self.used += CALLBACK_HELD
            if batch.state == CLOSED:
                batch.home.pending += CALLBACK_HELD
        homes = list(dict.fromkeys(moved))
        for batch in homes:
            batch.expected |= shelf.expected
        shelf.watchers = None
        shelf.shelved = None
        shelf.state = SPLIT
        self._wake()
        return homes

    def refuse_shelf(self, topic: TopicState) -> Batch | None:
        """Take the shelf off a topic, to be failed as a whole."""
        with self.lock:
            shelf, topic.shelf = topic.shelf, None
            if shelf is not None:
                shelf.shelved = None
                shelf.state = CLOSED
            return shelf

    def make_batch(self, state: PartitionState, records: list[tuple[int, bytes]]) -> Batch:
        """A closed batch of records given as (timestamp, rest of the record after its offset).

        Used to split a batch that the broker found too large.
        """
        with self.lock:
            self._serial += 1
            batch = Batch(state, self._serial)
        batch.base_timestamp = records[0][0]
        for index, (timestamp, rest) in enumerate(records):
            delta = timestamp - batch.base_timestamp
            packed = b"\0" + VARINTS[delta] + VARINTS[index] + rest
            record = VARINTS[len(packed)] + packed
            batch._chunks.append(record)
            batch.size += len(record)
            batch.max_timestamp = max(batch.max_timestamp, timestamp)
        batch.count = len(records)
        batch.beside = BATCH_HELD + batch.count * RECORD_HELD
        batch.state = CLOSED
        return batch


def _held_for(on_delivery: object) -> int:
    """Bytes that a record's handle takes, and its callback."""
    return RECORD_HELD if on_delivery is None else RECORD_HELD + CALLBACK_HELD
