# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True, binding=False
# cython: freethreading_compatible=True
"""The appender in Cython: from a call's arguments to record bytes in an open batch.

The twin of ``_appender_py.py``, which reads more easily: same classes, same bytes, same errors,
held together by ``tests/core``. What differs is how: bytes are written straight
into the batch's own memory, and nothing is made for a record but its handle.
"""

cimport cython
from cpython.buffer cimport PyBUF_WRITABLE, PyBuffer_FillInfo
from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_GET_SIZE, PyBytes_FromStringAndSize
from cpython.mem cimport PyMem_RawFree, PyMem_RawRealloc
from cpython.object cimport PyObject
from cpython.ref cimport Py_DECREF, Py_INCREF
from cpython.unicode cimport PyUnicode_CheckExact
from libc.stdint cimport int64_t, uint8_t, uint32_t, uint64_t
from libc.string cimport memcpy

from pyproducer._metadata cimport RecordMetadata

import logging
from collections.abc import Coroutine, Iterable, Mapping
from functools import partial as _partial
from zlib import crc32 as _crc32

from pyproducer.core import appender_rules as rules
from pyproducer.model import TimestampType
from pyproducer.partitioner import PARTITIONERS, ask_partitioner

cdef extern from *:
    """
    #include <time.h>

    /* The machine's clock, in milliseconds since the epoch. */
    static int64_t pyproducer_now_ms(void) {
        struct timespec now;
        timespec_get(&now, TIME_UTC);
        return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
    }

    /* True for what is certainly a plain function: no coroutine function, no future. */
    static int pyproducer_is_function(PyObject *callback) {
        PyObject *function = callback;
        if (PyMethod_Check(function)) {
            function = PyMethod_GET_FUNCTION(function);
        }
        return PyFunction_Check(function) || PyCFunction_Check(function);
    }

    static int pyproducer_is_plain_function(PyObject *callback) {
        PyObject *function = callback;
        if (PyMethod_Check(function)) {
            function = PyMethod_GET_FUNCTION(function);
        }
        if (PyCFunction_Check(function)) {
            return 1;
        }
        /* A function with attributes may carry the mark of inspect.markcoroutinefunction. */
        return PyFunction_Check(function)
            && ((PyFunctionObject *)function)->func_dict == NULL
            && !(((PyCodeObject *)PyFunction_GET_CODE(function))->co_flags & CO_COROUTINE);
    }
    """
    int64_t _now_ms "pyproducer_now_ms"() noexcept nogil
    bint _is_function "pyproducer_is_function"(PyObject *callback) noexcept
    bint _is_plain_function "pyproducer_is_plain_function"(PyObject *callback) noexcept

cdef extern from "Python.h":
    unsigned long PyThread_get_thread_ident()
    const char *PyUnicode_AsUTF8AndSize(object text, Py_ssize_t *size) except NULL

logger = logging.getLogger("pyproducer.delivery")

include "_figures.pxi"

cdef int _LOG_APPEND_TIME = TimestampType.LOG_APPEND_TIME
cdef bytes _NO_HEADERS = b"\0"

# One module, so that no call between these goes through a pointer.
include "_packing.pxi"
include "_handle.pxi"
include "_topic.pxi"
include "_quick.pxi"
include "_room.pxi"
include "_call.pxi"
include "_group.pxi"
include "_method.pxi"


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
    #: ``wall_ns`` is the machine's clock, which C reads without a call of Python.
    cdef bint machine_clock
    cdef public object is_coroutine_function
    cdef public object make_entry
    cdef public object host
    #: Makes what waits for room for a prepared record: a coroutine, or a RoomWait.
    cdef public object room
    #: Waits for room for a prepared record, on the caller's thread.
    cdef public object block_for_room
    cdef object _lock
    #: How many times over a thread holds the lock.
    cdef int held
    cdef public object partitioner
    cdef public dict topics
    #: The topic of the last call, by the identity of its name.
    cdef object last_name
    cdef TopicAppender last_entry
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
        machine_clock=False,
    ):
        self.batch_size = batch_size
        self.batch_max_records = batch_max_records
        self.largest_record = largest_record
        self.largest_record_name = largest_record_name
        self.limit = buffer_memory
        self.asleep = True
        self.wall_ns = wall_ns
        self.machine_clock = machine_clock
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

    @property
    def lock(self):
        """Makes every method safe in any thread; None where one thread alone may call."""
        return self._lock

    @lock.setter
    def lock(self, lock):
        # A new one after a fork: who held the old one does not live here.
        self._lock = lock
        self.held = 0

    cdef int acquire(self) except -1:
        if self._lock is not None:
            self._lock.acquire()
            self.held += 1
        return 0

    cdef int unlock(self) except -1:
        if self._lock is not None:
            self.held -= 1
            self._lock.release()
        return 0

    # Called for every record.

    cdef inline int64_t now_ms(self) except? -1:
        return _now_ms() if self.machine_clock else <int64_t>self.wall_ns() // 1_000_000

    cdef int check_callback(self, TopicState topic, object callback) except -1:
        cdef object function = callback
        while type(function) is _partial:
            function = function.func
        if _is_plain_function(<PyObject *>function):
            return 0
        if not callable(callback) or self.is_coroutine_function(callback):
            raise rules.callback_error(topic.name, callback)
        return 0

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
        return _now(
            self.entry(topic), value, key, headers, partition, timestamp_ms, on_delivery
        )

    cpdef TopicAppender entry(self, name):
        """The topic with the producer's own serializers."""
        cdef TopicState state
        if name is self.last_name and name is not None and (_HAS_GIL or self._lock is None):
            # Without a GIL another thread may have written the one and not yet the other.
            return self.last_entry
        try:
            state = self.topics.get(name)
        except TypeError:
            raise rules.topic_error(name) from None
        if state is None:
            state = self.topic(name)
        if state.default is None:
            state.default = self.make_entry(state)
        # The very same str is the rule: a literal, or an attribute.
        self.last_name = name
        self.last_entry = state.default
        return state.default

    def enqueue(
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
        """Queue a record, waiting only for room; a coroutine of the :class:`Delivery`."""
        return _enqueue_call(
            self, None, topic, value, key, headers, partition, timestamp_ms, on_delivery
        )

    def enqueue_blocking(
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
        """Queue a record; where there is no room for it, this thread waits."""
        return _blocking(
            self.entry(topic), value, key, headers, partition, timestamp_ms, on_delivery
        )

    @property
    def turn_due(self):
        """True where a caller that never sleeps should let the event loop run."""
        return self.is_turn_due()

    cdef inline bint is_turn_due(self) noexcept:
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
        cdef list fresh = None
        cdef Py_ssize_t head = PyBytes_GET_SIZE(headers)
        cdef Py_ssize_t fixed, record, held, size, step, beside
        cdef int index
        cdef char *at
        if number < 0:
            number = self.route(topic, key)
        if number >= len(partitions):
            raise rules.wrong_partition(topic.name, number, len(partitions))
        fixed = 1 + head + _field_size(key) + _field_size(value)
        state = <PartitionState>partitions[number]
        batch = state.open
        if on_delivery is not None and batch is not None and batch.watchers is None:
            # Now: the collector may run by it, and whatever that runs, while nothing is half done.
            fresh = []
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
        step = _step_from(held, size)
        if charge and self.used + step + beside > self.limit:
            step = size - held if size > held else 0
            # An empty buffer takes any record that is not too large by itself.
            if self.used and self.used + step + beside > self.limit:
                self.starve()
                return None
        if batch is None:
            batch = self.open_batch(state, timestamp, on_delivery is not None)
            if batch is None:
                return self.append(
                    topic, state.number, free, key, value, headers, timestamp,
                    on_delivery, urgent, delivery, charge,
                )
        elif fresh is not None and batch.watchers is None:
            batch.watchers = fresh
        if step:
            batch.buffer.reserve(held + step)
        index = batch.count
        at = batch.buffer.data + batch.size
        at = _put_start(at, record, timestamp - batch.base_timestamp, index)
        at = _put_field(_put_field(at, key), value)
        memcpy(at, PyBytes_AS_STRING(headers), head)
        _grown(<PyObject *>self, <PyObject *>batch, 1, size, timestamp, step, beside)
        if delivery is None:
            delivery = _delivery(batch, index, timestamp)
        else:
            delivery._b = batch
            delivery._i = index
        if on_delivery is not None:
            batch.watch(delivery, on_delivery)
        if urgent and not batch.urgent:
            batch.urgent = True
            self.hurried.append(batch)
            self.wake()
        if batch.count >= self.batch_max_records or size + _OVERHEAD >= self.batch_size:
            if state.open is batch:
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
            self.wake()
            shelf = Batch(PartitionState(topic, -1), 0)
            shelf.shelved = []
            shelf.watchers = []
            if topic.shelf is not None:
                # As in open_batch().
                return self.put_on_shelf(topic, made, charge - _BATCH_HELD, in_line)
            self.serial += 1
            shelf.serial = self.serial
            topic.shelf = shelf
            self.opened.append(shelf)
        made.delivery = _delivery(shelf, shelf.count, made.timestamp_ms)
        if made.on_delivery is not None:
            shelf.watch(made.delivery, made.on_delivery)
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
                topic.sticky = self.pick(topic)
            return topic.sticky
        if self.hash == _HASH_MURMUR2 and not key.null:
            return (_murmur2(<const uint8_t *>key.data, key.size) & 0x7FFFFFFF) % count
        whole = None if key.null else PyBytes_FromStringAndSize(key.data, key.size)
        if self.hash == _HASH_CRC32 and not key.null:
            return <uint32_t>_crc32(whole) % count
        return self.ask(topic, whole)

    cdef int pick(self, TopicState topic) except -1:
        """The next sticky partition: any of those that have the least to be sent."""
        cdef list available = topic.available
        cdef list found = []
        cdef Py_ssize_t count = len(available)
        cdef Py_ssize_t least = -1, start = 0, pending, at, number, place
        if count == 1:
            return available[0]
        if count > _LOOKED_AT:
            start = self.choose(count)
        for at in range(min(count, _LOOKED_AT)):
            # Of many only some, far from each other: one of them is about as good as the best.
            place = (start + at * count // _LOOKED_AT) % count if count > _LOOKED_AT else at
            number = available[place]
            pending = (<PartitionState>topic.partitions[number]).pending
            if least < 0 or pending < least:
                least = pending
                found = [number]
            elif pending == least:
                found.append(number)
        return found[0] if count > _LOOKED_AT else found[self.choose(len(found))]

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

    cdef Batch open_batch(self, PartitionState state, int64_t timestamp, bint watched):
        """An open batch; None where code that ran meanwhile has opened one."""
        cdef Batch batch
        # First of all: it may raise, and there must be no batch then that nobody knows of.
        self.wake()
        batch = Batch.__new__(Batch, state, 0)
        batch.buffer = RecordBuffer.__new__(RecordBuffer)
        batch.base_timestamp = timestamp
        if watched:
            batch.watchers = []
        if state.open is not None:
            # A signal's handler, or what the collector ran, has queued something.
            return None
        self.serial += 1
        batch.serial = self.serial
        state.open = batch
        self.opened.append(batch)
        return batch

    cdef int close(self, PartitionState state, Batch batch) except -1:
        self.retire(state, batch)
        self.wake()
        self.host.filled(batch)
        return 0

    cdef int retire(self, PartitionState state, Batch batch) except -1:
        batch.state = _CLOSED
        state.open = None
        if state.topic.sticky == state.number:
            # Null keys move to another partition with each batch (KIP-480).
            state.topic.sticky = -1
        state.pending += batch.charged
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
            try:
                self.host.wake()
            except BaseException:
                # Ctrl-C, or a loop that is closed: the next one has to wake it.
                self.asleep = True
                raise
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
            batch.home.pending += held - batch.charged
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
        cdef Py_ssize_t position
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
            moved.append(delivery._b)
        for position in range(0, shelf.watching(), 2):
            delivery = shelf.watchers[position]
            batch = delivery._b
            batch.watch(delivery, shelf.watchers[position + 1])
            batch.beside += _CALLBACK_HELD
            batch.charged += _CALLBACK_HELD
            self.used += _CALLBACK_HELD
            if batch.state == _CLOSED:
                batch.home.pending += _CALLBACK_HELD
        homes = list(dict.fromkeys(moved))
        for batch in homes:
            batch.expected |= shelf.expected
        shelf.watchers = None
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
            at = _put_start(at, size, timestamp - batch.base_timestamp, index)
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
