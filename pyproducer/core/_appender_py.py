"""The appender in pure Python: from a call's arguments to record bytes in an open batch.

The twin of ``_appender.pyx``: same classes, same bytes, same errors, held together by
``tests/core/test_appender.py``, which runs every test against both. See ``appender.py`` for what
is promised to the rest of the engine.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Generator, Iterable, Mapping
from contextlib import AbstractContextManager, nullcontext
from typing import Any, Final

from pyproducer.core.appender_rules import (
    BATCH_OVERHEAD,
    FIRST_SEGMENT,
    LARGEST_STEP,
    RECORD_OVERHEAD,
    TURN_BYTES,
    TURN_MS,
    buffer_full,
    callback_error,
    check_topic_name,
    header_error,
    not_bytes,
    record_too_large,
    refused_by_serializer,
    partition_error,
    timestamp_error,
    topic_error,
    wrong_partition,
    wrong_thread,
)
from pyproducer.errors import ProducerError
from pyproducer.model import RecordMetadata, TimestampType
from pyproducer.partitioner import PartitionFunction, Partitioner, checked_partition

logger = logging.getLogger("pyproducer.delivery")

OPEN: Final = 0
CLOSED: Final = 1
ACKED: Final = 2
FAILED: Final = 3
SPLIT: Final = 4


def _varint(value: int) -> bytes:
    """Zigzag-encode a signed number (protocol guide, VARINT and VARLONG)."""
    number = (value << 1) ^ (value >> 63)
    if number < 0x80:
        return bytes((number,))
    out = bytearray()
    while number >= 0x80:
        out.append((number & 0x7F) | 0x80)
        number >>= 7
    out.append(number)
    return bytes(out)


class Batch:
    """Records of one partition on their way, and later their outcome.

    The outcome is kept here once for all records; a :class:`Delivery` works out its own share
    when it is asked.
    """

    __slots__ = (
        "_chunks",
        "base_offset",
        "base_timestamp",
        "charged",
        "count",
        "created",
        "error",
        "expected",
        "home",
        "log_append_time",
        "max_timestamp",
        "parts",
        "record_errors",
        "sealed",
        "seen",
        "serial",
        "shelved",
        "size",
        "state",
        "urgent",
        "watchers",
    )

    def __init__(self, home: PartitionState, serial: int) -> None:
        self.home = home
        self.serial = serial
        self.state = OPEN
        self.count = 0
        self.size = 0
        self.charged = 0
        self.created = 0.0
        self.urgent = False
        self.base_timestamp = 0
        self.max_timestamp = -1
        self.base_offset = -1
        self.log_append_time = -1
        self.error: BaseException | None = None
        self.record_errors: dict[int, BaseException] | None = None
        self.seen: bytearray | None = None
        self.parts: list[tuple[int, Batch]] | None = None
        #: (index, delivery, callback or future), told in order once the outcome is known.
        self.watchers: list[tuple[int, Delivery, Any]] = []
        #: A group waits for the batch as a whole, so that its failure is no news to anybody.
        self.expected = False
        self.shelved: list[Prepared] | None = None
        self.sealed: Any = None
        self._chunks: list[bytes] = []

    @property
    def topic(self) -> str:
        """The topic's name."""
        return self.home.topic.name

    @property
    def partition(self) -> int:
        """The partition's number; -1 while it waits for one on the shelf."""
        return self.home.number

    def body(self) -> bytes:
        """The records' bytes as they go on the wire, without the batch header."""
        if len(self._chunks) != 1:
            self._chunks = [b"".join(self._chunks)]
        return self._chunks[0]

    def drop_body(self) -> None:
        """Let go of the records' bytes; the outcome stays."""
        self._chunks = []

    # Outcome. Set once; called by the engine on its own thread.

    def acknowledge(self, base_offset: int, log_append_time: int) -> None:
        """Every record of the batch is in the log."""
        with self.home.topic.appender.lock:
            if self.state > CLOSED:
                return
            self.base_offset = base_offset
            self.log_append_time = log_append_time
            self.state = ACKED
            self._chunks = []

    def fail(
        self, error: BaseException, record_errors: dict[int, BaseException] | None = None
    ) -> int:
        """No record of the batch is acknowledged; the number that nobody watches is returned."""
        with self.home.topic.appender.lock:
            if self.state > CLOSED:
                return 0
            self.error = error
            self.record_errors = record_errors
            self.state = FAILED
            self._chunks = []
            seen = bytearray(self.count)
            for index, _, watcher in self.watchers:
                if not (hasattr(watcher, "cancelled") and watcher.cancelled()):
                    seen[index] = 1
            self.seen = seen
            return self.count - sum(seen)

    def split(self, parts: list[tuple[int, Batch]]) -> None:
        """Hand the records over to smaller batches: (first index, batch), ascending."""
        self.parts = parts
        self.state = SPLIT
        self._chunks = []
        for index, delivery, watcher in self.watchers:
            first, part = self._part(index)
            part.watchers.append((index - first, delivery, watcher))
        for _, part in parts:
            part.expected = self.expected
        self.watchers = []

    def _part(self, index: int) -> tuple[int, Batch]:
        assert self.parts is not None
        found = self.parts[0]
        for first, part in self.parts:
            if first > index:
                break
            found = (first, part)
        return found


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


class Delivery:
    """The handle of one accepted record: await it, ask it, or give it a callback.

    Cancelling the task that awaits it never cancels the delivery itself.
    """

    __slots__ = ("_batch", "_index", "_timestamp")

    def __init__(self, batch: Batch, index: int, timestamp: int) -> None:
        self._batch = batch
        self._index = index
        self._timestamp = timestamp

    def __repr__(self) -> str:
        batch = self._resolve()
        state = "pending"
        if batch.state == ACKED:
            state = "delivered"
        elif batch.state == FAILED:
            state = "failed"
        return f"<Delivery {batch.topic}-{batch.partition} {state}>"

    def _resolve(self) -> Batch:
        batch = self._batch
        while batch.state == SPLIT:
            first, part = batch._part(self._index)
            self._batch = batch = part
            self._index -= first
        return batch

    @property
    def topic(self) -> str:
        """The topic's name."""
        return self._batch.home.topic.name

    @property
    def partition(self) -> int | None:
        """The partition's number, or None while none is chosen because no metadata came yet."""
        number = self._batch.home.number
        return None if number < 0 else number

    def done(self) -> bool:
        """True once the outcome is known."""
        return self._resolve().state > CLOSED

    def expect(self) -> None:
        """Somebody waits for the batch as a whole: its failure is no news to anybody else."""
        self._resolve().expected = True

    def result(self, timeout: float | None = None) -> RecordMetadata:
        """Where the record is.

        On an event loop's thread this never blocks; elsewhere it waits for the outcome.

        Args:
            timeout: seconds to wait, None for as long as the delivery timeout allows.

        Raises:
            NotDone: the outcome is not known and this thread must not wait for it.
            TimeoutError: ``timeout`` passed first.
            DeliveryError: or whatever else the record ended in.
        """
        batch = self._resolve()
        if batch.state <= CLOSED:
            batch.home.topic.appender.host.block(self, timeout)
        return self._outcome()

    def exception(self, timeout: float | None = None) -> BaseException | None:
        """What the record failed with, or None if it was delivered; waits as result() does."""
        batch = self._resolve()
        if batch.state <= CLOSED:
            batch.home.topic.appender.host.block(self, timeout)
        try:
            self._outcome()
        except ProducerError as error:
            return error
        return None

    def add_done_callback(self, callback: Callable[[Delivery], object]) -> None:
        """Call ``callback(delivery)`` once the outcome is known, at the loop's next turn."""
        batch = self._resolve()
        host = batch.home.topic.appender.host
        with batch.home.topic.appender.lock:
            batch = self._resolve()
            if batch.state <= CLOSED:
                batch.watchers.append((self._index, self, callback))
                return
        self._mark_seen(batch)
        host.soon(callback, self)

    def __await__(self) -> Generator[Any, None, RecordMetadata]:
        batch = self._resolve()
        if batch.state <= CLOSED:
            future = batch.home.topic.appender.host.future()
            batch.watchers.append((self._index, self, future))
            yield from future
        return self._outcome()

    def _outcome(self) -> RecordMetadata:
        batch = self._resolve()
        if batch.state == FAILED:
            self._mark_seen(batch)
            error = batch.error
            if batch.record_errors is not None:
                error = batch.record_errors.get(self._index, error)
            assert error is not None
            # One exception object serves all records of the batch: without this each raise
            # would lengthen the traceback that the last one left.
            raise error.with_traceback(None)
        offset = batch.base_offset
        stamped = batch.log_append_time
        return RecordMetadata(
            batch.home.topic.name,
            batch.home.number,
            offset + self._index if offset >= 0 else -1,
            stamped if stamped >= 0 else self._timestamp,
            TimestampType.LOG_APPEND_TIME if stamped >= 0 else TimestampType.CREATE_TIME,
        )

    def _mark_seen(self, batch: Batch) -> None:
        seen = batch.seen
        if seen is not None and not seen[self._index]:
            seen[self._index] = 1
            batch.home.topic.appender.host.saw(batch)


class PartitionState:
    """The append end of one partition."""

    __slots__ = ("number", "open", "queue", "topic")

    def __init__(self, topic: TopicState, number: int) -> None:
        self.topic = topic
        self.number = number
        self.open: Batch | None = None
        #: The engine's own object for this partition.
        self.queue: Any = None


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
        made = self.prepare(value, key, headers, partition, timestamp_ms, on_delivery, False)
        result = self._appender.admit(made, False)
        if result is None:
            raise self._appender.full(made)
        return result

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
        made = self.prepare(value, key, headers, partition, timestamp_ms, on_delivery, urgent)
        return self._appender.admit(made, False) or made

    def prepare(
        self,
        value: Any,
        key: Any,
        headers: Any,
        partition: int | None,
        timestamp_ms: int | None,
        on_delivery: Callable[[Delivery], object] | None,
        urgent: bool,
    ) -> Prepared:
        """Check and serialize one record."""
        appender = self._appender
        if appender.refusal is not None:
            raise appender.refusal()
        if appender.owner and appender.owner != appender.thread_ident():
            raise wrong_thread()
        if self._bind is not None:
            self._bind()
            self._bind = None
        topic = self._topic.name
        if on_delivery is not None and (
            not callable(on_delivery) or appender.is_coroutine_function(on_delivery)
        ):
            raise callback_error(topic, on_delivery)
        if timestamp_ms is None:
            timestamp_ms = appender.last_ms = appender.wall_ns() // 1_000_000
            if not appender.turn_ms:
                appender.turn_ms = timestamp_ms
        elif type(timestamp_ms) is not int or not 0 <= timestamp_ms < 1 << 63:
            raise timestamp_error(topic, timestamp_ms)
        if partition is None:
            number = -1
        elif type(partition) is not int or not 0 <= partition < 1 << 31:
            raise partition_error(topic, partition)
        else:
            number = partition
        key_bytes = value_bytes = None
        if key is not None:
            key_bytes = self._serialize(
                "key", key, headers, self._key_serializer, self._key_arity, self._key_context
            )
        if value is not None:
            value_bytes = self._serialize(
                "value",
                value,
                headers,
                self._value_serializer,
                self._value_arity,
                self._value_context,
            )
        packed = b"\0" if headers is None else _pack_headers(topic, headers)
        made = Prepared(
            self, key_bytes, value_bytes, packed, number, timestamp_ms, on_delivery, urgent
        )
        bound = made.size_bound + BATCH_OVERHEAD
        if bound > appender.largest_record:
            raise record_too_large(
                topic, bound, appender.largest_record, appender.largest_record_name
            )
        return made

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


def _pack_headers(topic: str, headers: Any) -> bytes:
    """Encode a record's headers: their count, then name and value of each."""
    if isinstance(headers, Mapping):
        pairs: Iterable[Any] = headers.items()
    elif isinstance(headers, (str, bytes)) or not isinstance(headers, Iterable):
        raise header_error(topic, headers)
    else:
        pairs = headers
    out: list[bytes] = []
    count = 0
    for pair in pairs:
        if not isinstance(pair, (tuple, list)) or len(pair) != 2:
            raise header_error(topic, pair)
        name, value = pair
        if type(name) is not str:
            raise header_error(topic, pair)
        try:
            encoded = name.encode()
            if isinstance(value, str):
                value = value.encode()
        except UnicodeEncodeError as cause:
            raise header_error(topic, pair) from cause
        out += (_varint(len(encoded)), encoded)
        if value is None:
            out.append(b"\x01")
        elif isinstance(value, (bytes, bytearray, memoryview)):
            value = bytes(value)
            out += (_varint(len(value)), value)
        else:
            raise header_error(topic, pair)
        count += 1
    return _varint(count) + b"".join(out)


class Appender:
    """All topics of one producer, and the bytes they hold."""

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
        self.lock: AbstractContextManager[Any] = nullcontext() if lock is None else lock
        self.partitioner = partitioner
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
        return self.entry(topic).enqueue_nowait(
            value,
            key=key,
            headers=headers,
            partition=partition,
            timestamp_ms=timestamp_ms,
            on_delivery=on_delivery,
        )

    def entry(self, name: str) -> TopicAppender:
        """The topic with the producer's own serializers."""
        state = self.topics.get(name)
        if state is None:
            if type(name) is not str:
                raise topic_error(name)
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
        if number < 0 and self.partitioner.custom:
            # The user's function runs outside the lock.
            number = self._route(topic, made.key)
        with self.lock:
            if self.waiting and not in_line:
                return None
            return self._append(topic, number, made, True)

    def reject(self, topic: TopicState, error: BaseException) -> Delivery:
        """The handle of a record that was refused, for a caller that must not be stopped by it."""
        with self.lock:
            return Delivery(self._failed_alone(topic, -1, error), 0, 0)

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
        return buffer_full(made.source._topic.name, made.size_bound, self.used, self.limit)

    def _append(
        self, topic: TopicState, number: int, made: Prepared, charge: bool
    ) -> Delivery | None:
        partitions = topic.partitions
        assert partitions is not None
        if number < 0:
            number = self._route(topic, made.key)
        if number >= len(partitions):
            raise wrong_partition(topic.name, number, len(partitions))
        state = partitions[number]
        batch = state.open
        timestamp = made.timestamp_ms
        if batch is not None:
            record = _pack_record(made, timestamp - batch.base_timestamp, batch.count)
            if BATCH_OVERHEAD + batch.size + len(record) > self.batch_size:
                self._close(state, batch)
                batch = None
                if made.partition < 0 and self.partitioner.keeps_together(made.key):
                    # What has nothing to hash moves on with the sticky partition.
                    return self._append(topic, self._route(topic, made.key), made, charge)
        if batch is None:
            record = _pack_record(made, 0, 0)
        held = 0 if batch is None else batch.charged
        size = len(record) + (0 if batch is None else batch.size)
        if size > held:
            step = max(size - held, FIRST_SEGMENT if held == 0 else min(held, LARGEST_STEP))
            if charge and self.used + step > self.limit:
                step = size - held
                if self.used + step > self.limit:
                    self._starve()
                    return None
            held += step
            self.used += step
        if batch is None:
            batch = self._open(state, timestamp)
        batch.charged = held
        index = batch.count
        batch._chunks.append(record)
        batch.count = index + 1
        batch.size = size
        if timestamp > batch.max_timestamp:
            batch.max_timestamp = timestamp
        delivery = made.delivery
        if delivery is None:
            delivery = Delivery(batch, index, timestamp)
        else:
            delivery._batch = batch
            delivery._index = index
        if made.on_delivery is not None:
            batch.watchers.append((index, delivery, made.on_delivery))
        self.since_turn += len(record)
        self.records += 1
        if made.urgent and not batch.urgent:
            batch.urgent = True
            self._hurried.append(batch)
            self._wake()
        if batch.count >= self.batch_max_records or size + BATCH_OVERHEAD >= self.batch_size:
            self._close(state, batch)
        return delivery

    def _admit_to_shelf(self, topic: TopicState, made: Prepared, in_line: bool) -> Delivery | None:
        with self.lock:
            if self.waiting and not in_line:
                return None
            charge = made.size_bound
            if self.used + charge > self.limit:
                self._starve()
                return None
            shelf = topic.shelf
            if shelf is None:
                self._serial += 1
                shelf = topic.shelf = Batch(PartitionState(topic, -1), self._serial)
                shelf.shelved = []
                self._opened.append(shelf)
                self._wake()
            made.delivery = Delivery(shelf, shelf.count, made.timestamp_ms)
            if made.on_delivery is not None:
                shelf.watchers.append((shelf.count, made.delivery, made.on_delivery))
                made.on_delivery = None
            shelf.count += 1
            shelf.charged += charge
            self.used += charge
            self.since_turn += charge
            self.records += 1
            assert shelf.shelved is not None
            shelf.shelved.append(made)
            return made.delivery

    # Choosing a partition.

    def _route(self, topic: TopicState, key: bytes | None) -> int:
        partitions = topic.partitions
        assert partitions is not None
        count = len(partitions)
        partitioner = self.partitioner
        if partitioner.keeps_together(key):
            if topic.sticky < 0:
                topic.sticky = topic.available[self._choose(len(topic.available))]
            return topic.sticky
        number = topic.function(key, count)
        if partitioner.custom:
            return checked_partition(number, count, partitioner=partitioner.name, topic=topic.name)
        return number

    # Opening and closing.

    def _open(self, state: PartitionState, timestamp: int) -> Batch:
        self._serial += 1
        batch = Batch(state, self._serial)
        batch.base_timestamp = timestamp
        state.open = batch
        self._opened.append(batch)
        self._wake()
        return batch

    def _close(self, state: PartitionState, batch: Batch) -> None:
        self._retire(state, batch)
        self._wake()

    def _retire(self, state: PartitionState, batch: Batch) -> None:
        batch.state = CLOSED
        state.open = None
        if state.topic.sticky == state.number:
            # Null keys move to another partition with each batch (KIP-480).
            state.topic.sticky = -1
        self._closed.append(batch)

    def _starve(self) -> None:
        # The engine stops lingering: only what is sent makes room.
        if not self.starved:
            self.starved = True
            self._wake()

    def _wake(self) -> None:
        if self.asleep:
            self.asleep = False
            self.host.wake()

    # Called by the engine.

    def topic(self, name: str) -> TopicState:
        """The state of a topic, made at its first use.

        Raises:
            UnknownTopic: no cluster can have a topic of this name.
        """
        state = self.topics.get(name)
        if state is None:
            check_topic_name(name)
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

    def release(self, amount: int) -> None:
        """Give ``amount`` bytes back to the buffer."""
        with self.lock:
            self.used -= amount

    def recharge(self, batch: Batch, held: int) -> None:
        """From now on ``batch`` holds ``held`` bytes; 0 once nothing keeps its body."""
        with self.lock:
            self.used += held - batch.charged
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
            partitions.extend(PartitionState(topic, n) for n in range(len(partitions), count))
            topic.available = available or list(range(count))
            if topic.sticky >= 0 and topic.sticky not in topic.available:
                topic.sticky = -1
            topic.partitions = partitions
            shelf, topic.shelf = topic.shelf, None
            return None if shelf is None else (shelf, self._unshelve(topic, shelf))

    def _unshelve(self, topic: TopicState, shelf: Batch) -> list[Batch]:
        assert shelf.shelved is not None
        moved: list[tuple[Batch, int]] = []
        self.used -= shelf.charged
        shelf.charged = 0
        for made in shelf.shelved:
            delivery = made.delivery
            assert delivery is not None
            try:
                self._append(topic, made.partition, made, False)
            except Exception as error:  # noqa: BLE001 - a record alone may fail here
                delivery._batch = self._failed_alone(topic, made.partition, error)
                delivery._index = 0
            else:
                self.records -= 1
            moved.append((delivery._batch, delivery._index))
        for index, delivery, watcher in shelf.watchers:
            batch, at = moved[index]
            batch.watchers.append((at, delivery, watcher))
        homes = list(dict.fromkeys(batch for batch, _ in moved))
        for batch in homes:
            batch.expected |= shelf.expected
        shelf.watchers = []
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
            packed = b"\0" + _varint(timestamp - batch.base_timestamp) + _varint(index) + rest
            record = _varint(len(packed)) + packed
            batch._chunks.append(record)
            batch.size += len(record)
            batch.max_timestamp = max(batch.max_timestamp, timestamp)
        batch.count = len(records)
        batch.state = CLOSED
        return batch


def _pack_record(made: Prepared, timestamp_delta: int, offset_delta: int) -> bytes:
    """One record of a v2 batch: its length, then its fields."""
    key, value = made.key, made.value
    packed = b"".join(
        (
            b"\0",
            _varint(timestamp_delta),
            _varint(offset_delta),
            b"\x01" if key is None else _varint(len(key)) + key,
            b"\x01" if value is None else _varint(len(value)) + value,
            made.headers,
        )
    )
    return _varint(len(packed)) + packed


def run_watchers(batch: Batch, start: int, stop: int) -> int:
    """Tell the watchers ``start`` to ``stop`` of a settled batch; where to go on is returned."""
    watchers = batch.watchers
    stop = min(stop, len(watchers))
    for position in range(start, stop):
        _, delivery, watcher = watchers[position]
        if hasattr(watcher, "set_result"):
            if not watcher.done():
                watcher.set_result(None)
            continue
        try:
            watcher(delivery)
        except Exception:
            logger.exception(
                "on_delivery callback %r failed for a record of %s-%s",
                watcher,
                batch.topic,
                batch.partition,
            )
    if stop == len(watchers):
        batch.watchers = []
    return stop
