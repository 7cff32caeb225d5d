# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True
# cython: freethreading_compatible=True
"""The appender in Cython: from a call's arguments to record bytes in an open batch.

The twin of ``_appender_py.py``, which reads more easily: same classes, same bytes, same errors,
held together by ``tests/core``. What differs is how: bytes are written straight
into the batch's own memory, and nothing is made for a record but its handle.
"""

cimport cython
from cpython.buffer cimport PyBUF_WRITABLE, PyBuffer_FillInfo
from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_GET_SIZE, PyBytes_FromStringAndSize
from cpython.mem cimport PyMem_RawFree, PyMem_RawMalloc, PyMem_RawRealloc
from cpython.unicode cimport PyUnicode_CheckExact
from libc.stdint cimport int64_t, uint8_t, uint32_t, uint64_t
from libc.string cimport memcpy

import logging
from collections.abc import Iterable, Mapping
from zlib import crc32 as _crc32

from pyproducer.core import appender_rules as rules
from pyproducer.model import RecordMetadata, TimestampType
from pyproducer.partitioner import PARTITIONERS, ask_partitioner

cdef extern from "Python.h":
    unsigned long PyThread_get_thread_ident()
    const char *PyUnicode_AsUTF8AndSize(object text, Py_ssize_t *size) except NULL

logger = logging.getLogger("pyproducer.delivery")

OPEN, CLOSED, ACKED, FAILED, SPLIT = range(5)

cdef enum:
    _OPEN = 0
    _CLOSED = 1
    _ACKED = 2
    _FAILED = 3
    _SPLIT = 4
    _HASH_OTHER = 0
    _HASH_MURMUR2 = 1
    _HASH_CRC32 = 2
    _OVERHEAD = 61
    _RECORD_OVERHEAD = 31
    _FIRST_SEGMENT = 1024
    _LARGEST_STEP = 65536
    _BATCH_HELD = 1024
    _RECORD_HELD = 96
    _CALLBACK_HELD = 128
    _SHELVED_HELD = 192
    _KEPT_FROM = 262144
    _KEPT_TO = 2097152
    _TURN_BYTES = 262144
    _TURN_MS = 2

assert (
    _OVERHEAD, _RECORD_OVERHEAD, _FIRST_SEGMENT, _LARGEST_STEP, _TURN_BYTES, _TURN_MS,
    _BATCH_HELD, _RECORD_HELD, _CALLBACK_HELD, _SHELVED_HELD,
) == (
    rules.BATCH_OVERHEAD, rules.RECORD_OVERHEAD, rules.FIRST_SEGMENT, rules.LARGEST_STEP,
    rules.TURN_BYTES, rules.TURN_MS,
    rules.BATCH_HELD, rules.RECORD_HELD, rules.CALLBACK_HELD, rules.SHELVED_HELD,
)

cdef object _CREATE_TIME = TimestampType.CREATE_TIME
cdef object _LOG_APPEND_TIME = TimestampType.LOG_APPEND_TIME
cdef bytes _NO_HEADERS = b"\0"


cdef inline uint64_t _zigzag(int64_t value) noexcept nogil:
    return (<uint64_t>value << 1) ^ <uint64_t>(value >> 63)


cdef inline Py_ssize_t _varint_size(int64_t value) noexcept nogil:
    cdef uint64_t number = _zigzag(value)
    cdef Py_ssize_t size = 1
    while number >= 0x80:
        number >>= 7
        size += 1
    return size


cdef inline char *_put_varint(char *at, int64_t value) noexcept nogil:
    cdef uint64_t number = _zigzag(value)
    while number >= 0x80:
        at[0] = <char>((number & 0x7F) | 0x80)
        at += 1
        number >>= 7
    at[0] = <char>number
    return at + 1


cdef inline uint32_t _murmur2(const uint8_t *data, Py_ssize_t length) noexcept nogil:
    # Bytes are put together by hand, so that the hash is the same on big-endian machines.
    cdef uint32_t m = 0x5BD1E995
    cdef uint32_t h = <uint32_t>0x9747B28C ^ <uint32_t>length
    cdef uint32_t k
    cdef Py_ssize_t i = 0
    while length - i >= 4:
        k = (
            <uint32_t>data[i]
            | (<uint32_t>data[i + 1] << 8)
            | (<uint32_t>data[i + 2] << 16)
            | (<uint32_t>data[i + 3] << 24)
        )
        k *= m
        k ^= k >> 24
        k *= m
        h *= m
        h ^= k
        i += 4
    if length - i == 3:
        h ^= <uint32_t>data[i + 2] << 16
    if length - i >= 2:
        h ^= <uint32_t>data[i + 1] << 8
    if length - i >= 1:
        h ^= <uint32_t>data[i]
        h *= m
    h ^= h >> 13
    h *= m
    h ^= h >> 15
    return h


cdef extern from *:
    """
    #ifdef Py_GIL_DISABLED
    #define PYPRODUCER_MOST_KEPT 0
    #else
    #define PYPRODUCER_MOST_KEPT 16
    #endif
    """
    const int _MOST_KEPT "PYPRODUCER_MOST_KEPT"

# Memory that full batches gave back, for the next ones that grow large: fresh pages from the
# system cost a quarter of all that an append costs. Guarded by the GIL, and unused without one.
# At most 16 blocks of 2 MiB stay behind.
cdef char *_kept[16]
cdef Py_ssize_t _kept_size[16]
cdef int _kept_count = 0


@cython.final
cdef class RecordBuffer:
    """The memory of one batch's records, readable as a buffer and freed with its last reader."""

    cdef char *data
    cdef Py_ssize_t size
    cdef Py_ssize_t capacity

    def __dealloc__(self):
        global _kept_count
        if _KEPT_FROM <= self.capacity <= _KEPT_TO and _kept_count < _MOST_KEPT:
            _kept[_kept_count] = self.data
            _kept_size[_kept_count] = self.capacity
            _kept_count += 1
        else:
            PyMem_RawFree(self.data)

    def __len__(self):
        return self.size

    # No __releasebuffer__, on purpose: functions that take read-only bytes accept only objects
    # without one. The memory lives as long as this object, which every reader holds.
    def __getbuffer__(self, Py_buffer *view, int flags):
        PyBuffer_FillInfo(view, self, self.data, self.size, 1, flags)

    cdef int reserve(self, Py_ssize_t capacity) except -1:
        global _kept_count
        cdef char *grown
        if capacity > self.capacity:
            if (
                self.capacity <= _LARGEST_STEP < capacity
                and _kept_count > 0
                and _kept_size[_kept_count - 1] >= capacity
            ):
                # Not from the beginning: most batches of a busy producer grow this far, and
                # those of a quiet one never hold more than they need.
                _kept_count -= 1
                grown = _kept[_kept_count]
                if self.size:
                    memcpy(grown, self.data, self.size)
                PyMem_RawFree(self.data)
                self.data = grown
                self.capacity = _kept_size[_kept_count]
                return 0
            grown = <char *>PyMem_RawRealloc(self.data, capacity)
            if grown == NULL:
                raise MemoryError
            self.data = grown
            self.capacity = capacity
        return 0


@cython.final
cdef class Batch:
    """Records of one partition on their way, and later their outcome.

    The outcome is kept here once for all records; a :class:`Delivery` works out its own share
    when it is asked.
    """

    cdef public PartitionState home
    cdef public object error
    cdef public object record_errors
    cdef public bytearray seen
    cdef public list parts
    cdef public list watchers
    cdef public list shelved
    cdef public object sealed
    cdef RecordBuffer buffer
    cdef public long long serial
    cdef public int state
    cdef public int count
    cdef public Py_ssize_t size
    cdef public Py_ssize_t charged
    #: What of that is for the batch itself, handles and callbacks.
    cdef public Py_ssize_t beside
    cdef public double created
    cdef public bint urgent
    cdef public bint expected
    cdef public int64_t base_timestamp
    cdef public int64_t max_timestamp
    cdef public int64_t base_offset
    cdef public int64_t log_append_time

    def __cinit__(self, PartitionState home not None, long long serial):
        self.home = home
        self.serial = serial
        self.max_timestamp = -1
        self.base_offset = -1
        self.log_append_time = -1
        self.watchers = []

    @property
    def topic(self):
        """The topic's name."""
        return self.home.topic.name

    @property
    def partition(self):
        """The partition's number; -1 while it waits for one on the shelf."""
        return self.home.number

    def body(self):
        """The records' bytes as they go on the wire, without the batch header."""
        return b"" if self.buffer is None else self.buffer

    def drop_body(self):
        """Let go of the records' bytes; the outcome stays."""
        self.buffer = None

    def acknowledge(self, int64_t base_offset, int64_t log_append_time):
        """Every record of the batch is in the log."""
        cdef Appender appender = self.home.topic.appender
        appender.acquire()
        try:
            if self.state > _CLOSED:
                return
            self.base_offset = base_offset
            self.log_append_time = log_append_time
            self.state = _ACKED
            self.buffer = None
        finally:
            appender.unlock()

    def fail(self, error, record_errors=None):
        """No record of the batch is acknowledged; the number that nobody watches is returned."""
        cdef Appender appender = self.home.topic.appender
        cdef bytearray seen
        appender.acquire()
        try:
            if self.state > _CLOSED:
                return 0
            self.error = error
            self.record_errors = record_errors
            self.state = _FAILED
            self.buffer = None
            seen = bytearray(self.count)
            for index, _, watcher in self.watchers:
                if not (hasattr(watcher, "cancelled") and watcher.cancelled()):
                    seen[index] = 1
            self.seen = seen
            return self.count - sum(seen)
        finally:
            appender.unlock()

    def split(self, list parts not None):
        """Hand the records over to smaller batches: (first index, batch), ascending."""
        cdef Appender appender = self.home.topic.appender
        cdef Batch part
        # Under the lock: another thread may be adding a callback.
        appender.acquire()
        try:
            self.parts = parts
            self.state = _SPLIT
            self.buffer = None
            for index, delivery, watcher in self.watchers:
                first, part = self._part(index)
                part.watchers.append((index - first, delivery, watcher))
                part.beside += _CALLBACK_HELD
            for _, part in parts:
                part.expected = self.expected
            self.watchers = []
        finally:
            appender.unlock()

    def _part(self, index):
        found = self.parts[0]
        for pair in self.parts:
            if pair[0] > index:
                break
            found = pair
        return found


@cython.final
cdef class Prepared:
    """A record that is serialized and checked, and still needs room or a partition."""

    cdef public TopicAppender source
    cdef public object key
    cdef public object value
    cdef public bytes headers
    cdef public object on_delivery
    cdef public Delivery delivery
    cdef public long partition
    cdef public int64_t timestamp_ms
    cdef public bint urgent

    @property
    def size_bound(self):
        """At most this many bytes in a batch."""
        return self.bound()

    cdef Py_ssize_t bound(self) except -1:
        cdef _Slice part
        cdef Py_ssize_t size = len(self.headers) + _RECORD_OVERHEAD
        _look(self.key, &part)
        size += part.size
        _look(self.value, &part)
        return size + part.size


cdef struct _Slice:
    const char *data
    Py_ssize_t size
    bint null


cdef inline int _look(object field, _Slice *part) except -1:
    """See the bytes of a field that is bytes, str or None."""
    part.null = 0
    if field is None:
        part.data = NULL
        part.size = 0
        part.null = 1
    elif type(field) is bytes:
        part.data = PyBytes_AS_STRING(field)
        part.size = PyBytes_GET_SIZE(field)
    else:
        # A str keeps its UTF-8 form for as long as it lives.
        part.data = PyUnicode_AsUTF8AndSize(field, &part.size)
    return 0


@cython.final
@cython.no_gc
@cython.freelist(512)
cdef class Delivery:
    """The handle of one accepted record: await it, ask it, or give it a callback.

    Cancelling the task that awaits it never cancels the delivery itself.
    """

    cdef Batch _b
    cdef int64_t _timestamp
    cdef int _i

    def __repr__(self):
        cdef Batch batch = self.resolve()
        state = "pending"
        if batch.state == _ACKED:
            state = "delivered"
        elif batch.state == _FAILED:
            state = "failed"
        return f"<Delivery {batch.topic}-{batch.partition} {state}>"

    cdef Batch resolve(self):
        cdef Batch batch = self._b
        while batch.state == _SPLIT:
            first, batch = batch._part(self._i)
            self._b = batch
            self._i -= <int>first
        return batch

    @property
    def _batch(self):
        return self._b

    @property
    def _index(self):
        return self._i

    @property
    def topic(self):
        """The topic's name."""
        return self._b.home.topic.name

    @property
    def partition(self):
        """The partition's number, or None while none is chosen because no metadata came yet."""
        cdef int number = self._b.home.number
        return None if number < 0 else number

    def done(self):
        """True once the outcome is known."""
        return self.resolve().state > _CLOSED

    def expect(self):
        """Somebody waits for the batch as a whole: its failure is no news to anybody else."""
        self.resolve().expected = True

    def result(self, timeout=None):
        """Where the record is.

        On an event loop's thread this never blocks; elsewhere it waits for the outcome.

        Args:
            timeout: seconds to wait, None for as long as the delivery timeout allows.

        Raises:
            NotDone: the outcome is not known and this thread must not wait for it.
            TimeoutError: ``timeout`` passed first.
            DeliveryError: or whatever else the record ended in.
        """
        cdef Batch batch = self.resolve()
        if batch.state <= _CLOSED:
            batch.home.topic.appender.host.block(self, timeout)
        return self.outcome()

    def exception(self, timeout=None):
        """What the record failed with, or None if it was delivered; waits as result() does."""
        cdef Batch batch = self.resolve()
        if batch.state <= _CLOSED:
            batch.home.topic.appender.host.block(self, timeout)
        return self.failure()

    def add_done_callback(self, callback):
        """Call ``callback(delivery)`` once the outcome is known, at the loop's next turn."""
        cdef Batch batch = self.resolve()
        cdef Appender appender = batch.home.topic.appender
        if not callable(callback) or appender.is_coroutine_function(callback):
            raise rules.callback_error(batch.topic, callback)
        appender.acquire()
        try:
            batch = self.resolve()
            if batch.state <= _CLOSED:
                batch.watchers.append((self._i, self, callback))
                return
        finally:
            appender.unlock()
        self.mark_seen(batch)
        appender.host.soon(callback, self)

    def __await__(self):
        cdef Batch batch = self.resolve()
        if batch.state <= _CLOSED:
            future = batch.home.topic.appender.host.future()
            batch.watchers.append((self._i, self, future))
            yield from future
        return self.outcome()

    cdef object outcome(self):
        cdef Batch batch
        cdef int64_t offset
        error = self.failure()
        if error is not None:
            # One exception object serves all records of the batch: without this each raise
            # would lengthen the traceback that the last one left.
            raise error.with_traceback(None)
        batch = self._b
        offset = batch.base_offset
        if offset >= 0:
            offset += self._i
        if batch.log_append_time >= 0:
            return RecordMetadata(
                batch.home.topic.name, batch.home.number, offset, batch.log_append_time,
                _LOG_APPEND_TIME,
            )
        return RecordMetadata(
            batch.home.topic.name, batch.home.number, offset, self._timestamp, _CREATE_TIME
        )

    cdef object failure(self):
        cdef Batch batch = self.resolve()
        if batch.state != _FAILED:
            return None
        self.mark_seen(batch)
        error = batch.error
        if batch.record_errors is not None:
            error = batch.record_errors.get(self._i, error)
        return error

    cdef int mark_seen(self, Batch batch) except -1:
        cdef bytearray seen = batch.seen
        if seen is not None and not seen[self._i]:
            seen[self._i] = 1
            batch.home.topic.appender.host.saw(batch)
        return 0


cdef inline Delivery _delivery(Batch batch, int index, int64_t timestamp):
    cdef Delivery made = Delivery.__new__(Delivery)
    made._b = batch
    made._i = index
    made._timestamp = timestamp
    return made


@cython.final
cdef class PartitionState:
    """The append end of one partition."""

    cdef public TopicState topic
    cdef public int number
    cdef public Batch open
    #: The engine's own object for this partition.
    cdef public object queue

    def __init__(self, TopicState topic not None, int number):
        self.topic = topic
        self.number = number


@cython.final
cdef class TopicState:
    """What the appender knows of one topic."""

    cdef public Appender appender
    cdef public str name
    #: None until metadata came.
    cdef public list partitions
    #: Numbers of the partitions that have a leader; all, where none has.
    cdef public list available
    #: The partition that records with nothing to hash go to until its batch closes.
    cdef public int sticky
    cdef public object function
    cdef public Batch shelf
    cdef public TopicAppender default
    #: How its batches are compressed; None for the producer's own way.
    cdef public object codec

    def __init__(self, Appender appender not None, str name not None):
        self.appender = appender
        self.name = name
        self.available = []
        self.sticky = -1
        self.function = appender.partitioner.for_topic()


@cython.final
cdef class TopicAppender:
    """One topic with its serializers: what a topic handle calls for every record."""

    cdef TopicState _topic
    cdef Appender _appender
    cdef object _key_serializer
    cdef object _value_serializer
    cdef object _context
    cdef object _key_context
    cdef object _value_context
    cdef object _bind
    cdef int _key_arity
    cdef int _value_arity

    def __init__(
        self,
        TopicState topic not None,
        key_serializer,
        int key_arity,
        value_serializer,
        int value_arity,
        context,
        bind,
    ):
        self._topic = topic
        self._appender = topic.appender
        self._key_serializer = key_serializer
        self._key_arity = key_arity
        self._value_serializer = value_serializer
        self._value_arity = value_arity
        self._context = context
        self._key_context = context(topic.name, "key", None)
        self._value_context = context(topic.name, "value", None)
        self._bind = bind

    @property
    def topic(self):
        """The topic's state, shared by all its handles."""
        return self._topic

    def enqueue_nowait(
        self,
        value,
        *,
        key=None,
        headers=None,
        partition=None,
        timestamp_ms=None,
        on_delivery=None,
    ):
        """Queue a record at once, or raise :class:`~pyproducer.errors.BufferFull`."""
        made = self.take(
            value, key, headers, partition, timestamp_ms, on_delivery, False
        )
        if type(made) is not Delivery:
            raise self._appender.full(made)
        return made

    def accept(
        self, value, key, headers, partition, timestamp_ms, on_delivery, bint urgent
    ):
        """Queue a record, or return it prepared where it has to wait for room."""
        return self.take(value, key, headers, partition, timestamp_ms, on_delivery, urgent)

    cdef object take(
        self, object value, object key, object headers, object partition, object timestamp_ms,
        object on_delivery, bint urgent
    ):
        cdef Appender appender = self._appender
        cdef TopicState topic = self._topic
        cdef long number = -1
        cdef int64_t timestamp
        cdef _Slice key_part
        cdef _Slice value_part
        cdef bytes packed = _NO_HEADERS
        cdef Py_ssize_t bound
        cdef Delivery delivery
        cdef Prepared made
        if appender.refusal is not None:
            raise appender.refusal()
        if appender.owner and appender.owner != PyThread_get_thread_ident():
            raise rules.wrong_thread()
        if self._bind is not None:
            self._bind()
            self._bind = None
        if on_delivery is not None and (
            not callable(on_delivery) or appender.is_coroutine_function(on_delivery)
        ):
            raise rules.callback_error(topic.name, on_delivery)
        if timestamp_ms is None:
            timestamp = <int64_t>appender.wall_ns() // 1_000_000
            appender.last_ms = timestamp
            if not appender.turn_ms:
                appender.turn_ms = timestamp
        elif type(timestamp_ms) is not int or not 0 <= timestamp_ms < 1 << 63:
            raise rules.timestamp_error(topic.name, timestamp_ms)
        else:
            timestamp = timestamp_ms
        if partition is not None:
            if type(partition) is not int or not 0 <= partition < 1 << 31:
                raise rules.partition_error(topic.name, partition)
            number = partition
        if key is not None:
            key = self.serialize(
                "key", key, headers, self._key_serializer, self._key_arity, self._key_context
            )
        if value is not None:
            value = self.serialize(
                "value", value, headers, self._value_serializer, self._value_arity,
                self._value_context,
            )
        if headers is not None:
            packed = _pack_headers(topic.name, headers)
        _look(key, &key_part)
        _look(value, &value_part)
        bound = key_part.size + value_part.size + len(packed) + _RECORD_OVERHEAD
        if bound + _OVERHEAD > appender.largest_record:
            raise rules.record_too_large(
                topic.name, bound + _OVERHEAD, appender.largest_record,
                appender.largest_record_name,
            )
        if topic.partitions is not None and (number >= 0 or not appender.custom):
            if appender.lock is None:
                if not appender.waiting:
                    delivery = appender.append(
                        topic, number, number < 0, &key_part, &value_part, packed, timestamp,
                        on_delivery, urgent, None, True,
                    )
                    if delivery is not None:
                        return delivery
            else:
                appender.lock.acquire()
                try:
                    if appender.refusal is not None:
                        # Closed by another thread while this one was serializing.
                        raise appender.refusal()
                    if not appender.waiting:
                        delivery = appender.append(
                            topic, number, number < 0, &key_part, &value_part, packed,
                            timestamp, on_delivery, urgent, None, True,
                        )
                        if delivery is not None:
                            return delivery
                finally:
                    appender.lock.release()
        made = Prepared.__new__(Prepared)
        made.source = self
        made.key = key
        made.value = value
        made.headers = packed
        made.partition = number
        made.timestamp_ms = timestamp
        made.on_delivery = on_delivery
        made.urgent = urgent
        delivery = appender.admit(made, False)
        return made if delivery is None else delivery

    cdef object serialize(
        self, str field, object value, object headers, object serializer, int arity,
        object context
    ):
        cdef object made = value
        cdef Py_ssize_t size
        if serializer is not None:
            try:
                if arity == 1:
                    made = serializer(value)
                elif headers is None:
                    made = serializer(value, context)
                else:
                    made = serializer(value, self._context(self._topic.name, field, headers))
            except Exception as cause:
                raise rules.refused_by_serializer(
                    self._topic.name, field, value, cause
                ) from cause
        if type(made) is bytes:
            return made
        if isinstance(made, str):
            try:
                if not PyUnicode_CheckExact(made):
                    return made.encode()
                PyUnicode_AsUTF8AndSize(made, &size)
            except UnicodeEncodeError as cause:
                raise rules.refused_by_serializer(
                    self._topic.name, field, value, cause
                ) from cause
            return made
        if isinstance(made, (bytes, bytearray, memoryview)):
            return bytes(made)
        raise rules.not_bytes(self._topic.name, field, value, made, serializer is not None)


cdef inline Py_ssize_t _held_for(object on_delivery):
    """Bytes that a record's handle takes, and its callback."""
    return _RECORD_HELD if on_delivery is None else _RECORD_HELD + _CALLBACK_HELD


cdef bytes _packed_varint(int64_t value):
    cdef char room[10]
    cdef char *end = _put_varint(room, value)
    return PyBytes_FromStringAndSize(room, end - room)


cdef bytes _pack_headers(str topic, object headers):
    """Encode a record's headers: their count, then name and value of each."""
    cdef list out = []
    cdef long count = 0
    if isinstance(headers, Mapping):
        pairs = headers.items()
    elif isinstance(headers, (str, bytes)) or not isinstance(headers, Iterable):
        raise rules.header_error(topic, headers)
    else:
        pairs = headers
    for pair in pairs:
        if not isinstance(pair, (tuple, list)) or len(pair) != 2:
            raise rules.header_error(topic, pair)
        name, value = pair
        if type(name) is not str:
            raise rules.header_error(topic, pair)
        try:
            encoded = name.encode()
            if isinstance(value, str):
                value = value.encode()
        except UnicodeEncodeError as cause:
            raise rules.header_error(topic, pair) from cause
        out.append(_packed_varint(len(encoded)))
        out.append(encoded)
        if value is None:
            out.append(b"\x01")
        elif isinstance(value, (bytes, bytearray, memoryview)):
            value = bytes(value)
            out.append(_packed_varint(len(value)))
            out.append(value)
        else:
            raise rules.header_error(topic, pair)
        count += 1
    return _packed_varint(count) + b"".join(out)


@cython.final
cdef class Appender:
    """All topics of one producer, and the bytes they hold."""

    cdef public Py_ssize_t batch_size
    cdef public long batch_max_records
    cdef public Py_ssize_t largest_record
    cdef public str largest_record_name
    cdef public Py_ssize_t limit
    cdef public Py_ssize_t used
    cdef public long waiting
    #: Bytes appended since the loop last had a turn.
    cdef public Py_ssize_t since_turn
    #: Wall clock in milliseconds at the first append since then (0 for none) and the last.
    cdef public int64_t turn_ms
    cdef public int64_t last_ms
    cdef public long long records
    cdef public bint asleep
    #: A record found no room; the engine takes this back.
    cdef public bint starved
    #: The thread that may call; 0 where a lock makes all of them welcome.
    cdef public unsigned long owner
    #: A callable that makes the error every call gets, once the producer takes no more.
    cdef public object refusal
    cdef public object wall_ns
    cdef public object is_coroutine_function
    cdef public object make_entry
    cdef public object host
    cdef public object lock
    cdef public object partitioner
    cdef public dict topics
    cdef object choose
    cdef bint custom
    cdef int hash
    cdef bint sticky_null
    cdef bint sticky_empty
    cdef list opened
    cdef list closed
    cdef list hurried
    cdef long long serial

    def __init__(
        self,
        *,
        batch_size,
        batch_max_records,
        largest_record,
        largest_record_name,
        buffer_memory,
        partitioner,
        choose,
        wall_ns,
        is_coroutine_function,
        thread_ident,
        make_entry,
        host,
        lock=None,
    ):
        self.batch_size = batch_size
        self.batch_max_records = batch_max_records
        self.largest_record = largest_record
        self.largest_record_name = largest_record_name
        self.limit = buffer_memory
        self.asleep = True
        self.wall_ns = wall_ns
        self.is_coroutine_function = is_coroutine_function
        self.make_entry = make_entry
        self.host = host
        self.lock = lock
        self.partitioner = partitioner
        self.topics = {}
        self.choose = choose
        self.custom = partitioner.custom
        self.sticky_null = partitioner.sticky_null
        self.sticky_empty = partitioner.sticky_empty
        self.hash = _HASH_OTHER
        if partitioner is PARTITIONERS["murmur2"]:
            self.hash = _HASH_MURMUR2
        elif partitioner is PARTITIONERS["crc32"]:
            self.hash = _HASH_CRC32
        self.opened = []
        self.closed = []
        self.hurried = []

    cdef int acquire(self) except -1:
        if self.lock is not None:
            self.lock.acquire()
        return 0

    cdef int unlock(self) except -1:
        if self.lock is not None:
            self.lock.release()
        return 0

    # Called for every record.

    def enqueue_nowait(
        self,
        topic,
        value,
        *,
        key=None,
        headers=None,
        partition=None,
        timestamp_ms=None,
        on_delivery=None,
    ):
        """Queue a record at once, or raise :class:`~pyproducer.errors.BufferFull`."""
        made = self.entry(topic).take(
            value, key, headers, partition, timestamp_ms, on_delivery, False
        )
        if type(made) is not Delivery:
            raise self.full(made)
        return made

    cpdef TopicAppender entry(self, name):
        """The topic with the producer's own serializers."""
        cdef TopicState state
        try:
            state = self.topics.get(name)
        except TypeError:
            raise rules.topic_error(name) from None
        if state is None:
            state = self.topic(name)
        if state.default is None:
            state.default = self.make_entry(state)
        return state.default

    @property
    def turn_due(self):
        """True where a caller that never sleeps should let the event loop run."""
        if self.since_turn < _TURN_BYTES and (
            not self.turn_ms or self.last_ms - self.turn_ms < _TURN_MS
        ):
            return False
        self.since_turn = 0
        self.turn_ms = 0
        return True

    cpdef Delivery admit(self, Prepared made, bint in_line):
        """Append a prepared record, or return None where there is no room.

        Args:
            made: the record.
            in_line: True for a waiter whose turn it is; others stand behind those who wait.
        """
        cdef TopicState topic = made.source._topic
        cdef long number = made.partition
        if topic.partitions is None:
            return self.admit_to_shelf(topic, made, in_line)
        if number < 0 and self.custom:
            # The user's function runs outside the lock.
            number = self.ask(topic, made.key)
        self.acquire()
        try:
            if self.refusal is not None:
                raise self.refusal()
            if self.waiting and not in_line:
                return None
            return self.append_prepared(topic, number, made, True)
        finally:
            self.unlock()

    def reject(self, TopicState topic not None, error):
        """The handle of a record that was refused, for a caller that must not be stopped by it."""
        cdef Batch alone
        self.acquire()
        try:
            alone = self.failed_alone(topic, -1, error)
            # Whoever gets the handle looks at it.
            alone.expected = True
            self.records += 1
            return _delivery(alone, 0, 0)
        finally:
            self.unlock()

    cdef Batch failed_alone(self, TopicState topic, long number, object error):
        cdef Batch alone
        self.serial += 1
        alone = Batch.__new__(Batch, PartitionState(topic, number), self.serial)
        alone.count = 1
        alone.state = _CLOSED
        alone.error = error
        self.closed.append(alone)
        self.wake()
        return alone

    def full(self, Prepared made not None):
        """The error for a record that found no room."""
        cdef Py_ssize_t needed = made.bound() + _held_for(made.on_delivery) + _BATCH_HELD
        if made.source._topic.partitions is None:
            needed += _SHELVED_HELD
        return rules.buffer_full(made.source._topic.name, needed, self.used, self.limit)

    cdef Delivery append_prepared(
        self, TopicState topic, long number, Prepared made, bint charge
    ):
        cdef _Slice key
        cdef _Slice value
        _look(made.key, &key)
        _look(made.value, &value)
        return self.append(
            topic, number, made.partition < 0, &key, &value, made.headers, made.timestamp_ms,
            made.on_delivery, made.urgent, made.delivery, charge,
        )

    cdef Delivery append(
        self, TopicState topic, long number, bint free, _Slice *key, _Slice *value,
        bytes headers, int64_t timestamp, object on_delivery, bint urgent, Delivery delivery,
        bint charge
    ):
        cdef list partitions = topic.partitions
        cdef PartitionState state
        cdef Batch batch
        cdef RecordBuffer buffer
        cdef Py_ssize_t head = PyBytes_GET_SIZE(headers)
        cdef Py_ssize_t fixed, record, held, size, step, beside
        cdef int index
        cdef char *at
        if number < 0:
            number = self.route(topic, key)
        if number >= len(partitions):
            raise rules.wrong_partition(topic.name, number, len(partitions))
        fixed = 1 + head
        fixed += 1 if key.null else _varint_size(key.size) + key.size
        fixed += 1 if value.null else _varint_size(value.size) + value.size
        state = <PartitionState>partitions[number]
        batch = state.open
        if batch is not None:
            record = (
                fixed + _varint_size(timestamp - batch.base_timestamp)
                + _varint_size(batch.count)
            )
            if _OVERHEAD + batch.size + _varint_size(record) + record > self.batch_size:
                self.close(state, batch)
                batch = None
                if free and self.keeps_together(key):
                    # What has nothing to hash moves on with the sticky partition.
                    state = <PartitionState>partitions[self.route(topic, key)]
                    batch = state.open
                    if batch is not None:
                        return self.append(
                            topic, state.number, True, key, value, headers, timestamp,
                            on_delivery, urgent, delivery, charge,
                        )
        beside = _held_for(on_delivery)
        if batch is None:
            record = fixed + 2
            size = record + _varint_size(record)
            held = 0
            beside += _BATCH_HELD
        else:
            size = batch.size + record + _varint_size(record)
            held = batch.charged - batch.beside
        step = 0
        if size > held:
            if held == 0:
                step = _FIRST_SEGMENT
            else:
                step = held if held < _LARGEST_STEP else _LARGEST_STEP
            if step < size - held:
                step = size - held
        if charge and self.used + step + beside > self.limit:
            step = size - held if size > held else 0
            # An empty buffer takes any record that is not too large by itself.
            if self.used and self.used + step + beside > self.limit:
                self.starve()
                return None
        if batch is None:
            batch = self.open_batch(state, timestamp)
        if step:
            batch.buffer.reserve(held + step)
        self.used += step + beside
        batch.charged += step + beside
        batch.beside += beside
        buffer = batch.buffer
        index = batch.count
        at = buffer.data + batch.size
        at = _put_varint(at, record)
        at[0] = 0
        at = _put_varint(at + 1, timestamp - batch.base_timestamp)
        at = _put_varint(at, index)
        if key.null:
            at[0] = 1
            at += 1
        else:
            at = _put_varint(at, key.size)
            memcpy(at, key.data, key.size)
            at += key.size
        if value.null:
            at[0] = 1
            at += 1
        else:
            at = _put_varint(at, value.size)
            memcpy(at, value.data, value.size)
            at += value.size
        memcpy(at, PyBytes_AS_STRING(headers), head)
        self.since_turn += size - batch.size
        self.records += 1
        batch.count = index + 1
        batch.size = size
        buffer.size = size
        if timestamp > batch.max_timestamp:
            batch.max_timestamp = timestamp
        if delivery is None:
            delivery = _delivery(batch, index, timestamp)
        else:
            delivery._b = batch
            delivery._i = index
        if on_delivery is not None:
            batch.watchers.append((index, delivery, on_delivery))
        if urgent and not batch.urgent:
            batch.urgent = True
            self.hurried.append(batch)
            self.wake()
        if batch.count >= self.batch_max_records or size + _OVERHEAD >= self.batch_size:
            self.close(state, batch)
        return delivery

    cdef Delivery admit_to_shelf(self, TopicState topic, Prepared made, bint in_line):
        cdef Py_ssize_t charge = made.bound() + _held_for(made.on_delivery) + _SHELVED_HELD
        self.acquire()
        try:
            if self.refusal is not None:
                raise self.refusal()
            if topic.partitions is None:
                return self.put_on_shelf(topic, made, charge, in_line)
        finally:
            self.unlock()
        # Metadata came while this thread waited for the lock. On a new shelf the record would
        # stay: nobody looks at the shelf of a topic that is known.
        return self.admit(made, in_line)

    cdef Delivery put_on_shelf(
        self, TopicState topic, Prepared made, Py_ssize_t charge, bint in_line
    ):
        cdef Batch shelf = topic.shelf
        if self.waiting and not in_line:
            return None
        if shelf is None:
            charge += _BATCH_HELD
        if self.used and self.used + charge > self.limit:
            self.starve()
            return None
        if shelf is None:
            self.serial += 1
            shelf = topic.shelf = Batch(PartitionState(topic, -1), self.serial)
            shelf.shelved = []
            self.opened.append(shelf)
            self.wake()
        made.delivery = _delivery(shelf, shelf.count, made.timestamp_ms)
        if made.on_delivery is not None:
            shelf.watchers.append((shelf.count, made.delivery, made.on_delivery))
            made.on_delivery = None
        shelf.count += 1
        shelf.charged += charge
        self.used += charge
        self.since_turn += charge
        self.records += 1
        shelf.shelved.append(made)
        return made.delivery

    # Choosing a partition.

    cdef inline bint keeps_together(self, _Slice *key):
        if key.null:
            return self.sticky_null
        return key.size == 0 and self.sticky_empty

    cdef long route(self, TopicState topic, _Slice *key) except -1:
        cdef long count = len(topic.partitions)
        cdef bytes whole
        if self.keeps_together(key):
            if topic.sticky < 0:
                topic.sticky = topic.available[self.choose(len(topic.available))]
            return topic.sticky
        if self.hash == _HASH_MURMUR2 and not key.null:
            return (_murmur2(<const uint8_t *>key.data, key.size) & 0x7FFFFFFF) % count
        whole = None if key.null else PyBytes_FromStringAndSize(key.data, key.size)
        if self.hash == _HASH_CRC32 and not key.null:
            return <uint32_t>_crc32(whole) % count
        return self.ask(topic, whole)

    cdef long ask(self, TopicState topic, object key) except -1:
        cdef object count = len(topic.partitions)
        if key is not None and type(key) is not bytes:
            key = key.encode()
        if self.custom:
            return ask_partitioner(
                self.partitioner, topic.function, key, count, topic=topic.name
            )
        return topic.function(key, count)

    # Opening and closing.

    cdef Batch open_batch(self, PartitionState state, int64_t timestamp):
        cdef Batch batch
        self.serial += 1
        batch = Batch.__new__(Batch, state, self.serial)
        batch.buffer = RecordBuffer.__new__(RecordBuffer)
        batch.base_timestamp = timestamp
        state.open = batch
        self.opened.append(batch)
        self.wake()
        return batch

    cdef int close(self, PartitionState state, Batch batch) except -1:
        self.retire(state, batch)
        return self.wake()

    cdef int retire(self, PartitionState state, Batch batch) except -1:
        batch.state = _CLOSED
        state.open = None
        if state.topic.sticky == state.number:
            # Null keys move to another partition with each batch (KIP-480).
            state.topic.sticky = -1
        self.closed.append(batch)
        return 0

    cdef int starve(self) except -1:
        # The engine stops lingering: only what is sent makes room. It knows by itself of those
        # who wait already, and would be woken at every step only to find no room for them again.
        if not self.starved:
            self.starved = True
            if not self.waiting:
                self.wake()
        return 0

    cdef int wake(self) except -1:
        if self.asleep:
            self.asleep = False
            self.host.wake()
        return 0

    # Called by the engine.

    def topic(self, name):
        """The state of a topic, made at its first use.

        Raises:
            UnknownTopic: no cluster can have a topic of this name.
        """
        state = self.topics.get(name) if isinstance(name, str) else None
        if state is None:
            name = rules.check_topic_name(name)
            self.acquire()
            try:
                state = self.topics.setdefault(name, TopicState(self, name))
            finally:
                self.unlock()
        return state

    def take(self):
        """The batches opened, closed and hurried since the last call, each in that order.

        After it the next append that the engine must know of wakes the host again.
        """
        self.acquire()
        try:
            news = self.opened, self.closed, self.hurried
            self.opened, self.closed, self.hurried = [], [], []
            self.asleep = True
            return news
        finally:
            self.unlock()

    def close_open(self, PartitionState state not None):
        """Leave nothing open in a partition; the batch comes with the next take()."""
        # Through the same list as batches closed by an append: one closed by another thread
        # a moment ago must stay ahead of this one.
        self.acquire()
        try:
            if state.open is not None:
                self.retire(state, state.open)
        finally:
            self.unlock()

    def recharge(self, Batch batch not None, Py_ssize_t held):
        """From now on the records of ``batch`` take ``held`` bytes; 0 once it is settled."""
        self.acquire()
        try:
            if held:
                held += batch.beside
            self.used += held - batch.charged
            batch.charged = held
        finally:
            self.unlock()

    def adopt(self, TopicState topic not None, int count, list available not None):
        """Take over the number of partitions, and append what waited on the shelf, in order.

        Returns the shelf and the batches that its records went into, or None without a shelf.
        """
        cdef Batch shelf
        self.acquire()
        try:
            partitions = topic.partitions
            if partitions is None:
                partitions = []
            del partitions[count:]
            partitions.extend([PartitionState(topic, n) for n in range(len(partitions), count)])
            topic.available = available or list(range(count))
            if topic.sticky >= 0 and topic.sticky not in topic.available:
                topic.sticky = -1
            topic.partitions = partitions
            shelf, topic.shelf = topic.shelf, None
            return None if shelf is None else (shelf, self.unshelve(topic, shelf))
        finally:
            self.unlock()

    cdef list unshelve(self, TopicState topic, Batch shelf):
        cdef list moved = []
        cdef Prepared made
        cdef Delivery delivery
        cdef Batch batch
        self.used -= shelf.charged
        shelf.charged = 0
        for made in shelf.shelved:
            delivery = made.delivery
            try:
                self.append_prepared(topic, made.partition, made, False)
            except Exception as error:
                delivery._b = self.failed_alone(topic, made.partition, error)
                delivery._i = 0
            else:
                self.records -= 1
            moved.append((delivery._b, delivery._i))
        for index, waiting, watcher in shelf.watchers:
            batch, at = moved[index]
            batch.watchers.append((at, waiting, watcher))
            batch.beside += _CALLBACK_HELD
            batch.charged += _CALLBACK_HELD
            self.used += _CALLBACK_HELD
        homes = list(dict.fromkeys([pair[0] for pair in moved]))
        for batch in homes:
            batch.expected |= shelf.expected
        shelf.watchers = []
        shelf.shelved = None
        shelf.state = _SPLIT
        self.wake()
        return homes

    def refuse_shelf(self, TopicState topic not None):
        """Take the shelf off a topic, to be failed as a whole."""
        cdef Batch shelf
        self.acquire()
        try:
            shelf, topic.shelf = topic.shelf, None
            if shelf is not None:
                shelf.shelved = None
                shelf.state = _CLOSED
            return shelf
        finally:
            self.unlock()

    def make_batch(self, PartitionState state not None, list records not None):
        """A closed batch of records given as (timestamp, rest of the record after its offset).

        Used to split a batch that the broker found too large.
        """
        cdef Batch batch
        cdef RecordBuffer buffer
        cdef bytes rest
        cdef int64_t timestamp
        cdef Py_ssize_t size, room
        cdef char *at
        cdef int index = 0
        self.acquire()
        try:
            self.serial += 1
            batch = Batch.__new__(Batch, state, self.serial)
        finally:
            self.unlock()
        buffer = batch.buffer = RecordBuffer.__new__(RecordBuffer)
        batch.base_timestamp = records[0][0]
        room = 0
        for _, rest in records:
            room += len(rest) + _RECORD_OVERHEAD
        buffer.reserve(room)
        at = buffer.data
        for timestamp, rest in records:
            size = (
                1 + _varint_size(timestamp - batch.base_timestamp) + _varint_size(index)
                + len(rest)
            )
            at = _put_varint(at, size)
            at[0] = 0
            at = _put_varint(at + 1, timestamp - batch.base_timestamp)
            at = _put_varint(at, index)
            memcpy(at, PyBytes_AS_STRING(rest), len(rest))
            at += len(rest)
            if timestamp > batch.max_timestamp:
                batch.max_timestamp = timestamp
            index += 1
        batch.size = buffer.size = at - buffer.data
        batch.count = index
        batch.beside = _BATCH_HELD + index * _RECORD_HELD
        batch.state = _CLOSED
        return batch


def run_watchers(Batch batch not None, Py_ssize_t start, Py_ssize_t stop):
    """Tell the watchers ``start`` to ``stop`` of a settled batch; where to go on is returned."""
    cdef list watchers = batch.watchers
    cdef Py_ssize_t position
    stop = min(stop, len(watchers))
    for position in range(start, stop):
        _, delivery, watcher = watchers[position]
        if hasattr(watcher, "set_result"):
            if not watcher.done():
                watcher.set_result(None)
            continue
        try:
            watcher(delivery)
        except (KeyboardInterrupt, SystemExit):
            raise
        except BaseException:
            # Also what is no Exception: a callback that looks at a cancelled future raises that
            # future's CancelledError, which is nobody else's.
            logger.exception(
                "on_delivery callback %r failed for a record of %s-%s",
                watcher,
                batch.topic,
                batch.partition,
            )
    if stop == len(watchers):
        batch.watchers = []
    return stop
