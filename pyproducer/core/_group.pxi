"""The handles of many records at once; part of ``_appender.pyx``.

A bulk call makes no object for a record: its place is two numbers and a timestamp, from which a
handle is made where somebody asks for one, and a result where somebody reads it.
"""

cdef extern from "Python.h":
    Py_ssize_t PyNumber_AsSsize_t(object number, object overflow) except? -1

cdef struct _Place:
    #: Number of its batch in the group; below 0 the number of a handle of its own, from -1 down.
    int batch
    int index
    int64_t timestamp


@cython.final
cdef class Handles:
    """The records of one bulk call, in its order."""

    cdef _Place *places
    cdef Py_ssize_t count
    cdef Py_ssize_t room
    cdef list batches
    cdef list singles

    def __cinit__(self):
        self.batches = []
        self.singles = []

    def __dealloc__(self):
        PyMem_RawFree(self.places)

    def __len__(self):
        return self.count

    def __getitem__(self, given):
        cdef Py_ssize_t index = PyNumber_AsSsize_t(given, IndexError)
        cdef Delivery delivery
        if index < 0:
            index += self.count
        if not 0 <= index < self.count:
            raise IndexError("no record has this index in the group")
        delivery = self.handle(index)
        if _HAS_GIL and self.places[index].batch >= 0:
            # Whoever asks twice gets the same: handles are found again in sets and dicts.
            self.singles.append(delivery)
            self.places[index].batch = -<int>len(self.singles)
        return delivery

    def append(self, Delivery delivery not None):
        """The next record's handle."""
        self.reserve(1)
        self.singles.append(delivery)
        self.places[self.count].batch = -<int>len(self.singles)
        self.count += 1

    def fill(
        self, TopicAppender entry not None, list values not None, keys, partitions, timestamps,
        headers, Py_ssize_t position,
    ):
        """Queue values from ``position`` on, as long as nothing but copying is to be done.

        Args:
            entry: takes the records.
            values: of all records.
            keys: a list as long, or None; ``partitions`` and ``timestamps`` likewise.
            headers: of every record.
            position: the first to queue.

        Returns:
            The position of the first that was not queued: it needs more than copying, or the
            event loop a turn, or all are queued.
        """
        cdef Appender appender = entry._appender
        cdef TopicState topic = entry._topic
        cdef Py_ssize_t count = len(values)
        cdef _Call call
        cdef bytes packed
        # First of all: where it is not C that tells the time, other threads may come in between.
        call.now = appender.now_ms()
        if not _takes(<PyObject *>entry):
            return position
        call.packed = NULL
        if headers is not None:
            packed = _pack_at_hand(headers)
            if packed is None:
                return position
            call.packed = <PyObject *>packed
        self.reserve(count - position)
        appender.last_ms = call.now
        if not appender.turn_ms:
            appender.turn_ms = call.now
        while position < count:
            call.value = _optional(<object>_item(<PyObject *>values, position))
            call.key = NULL if keys is None else _optional(
                <object>_item(<PyObject *>keys, position)
            )
            call.partition = NULL if partitions is None else _optional(
                <object>_item(<PyObject *>partitions, position)
            )
            call.timestamp_ms = NULL if timestamps is None else _optional(
                <object>_item(<PyObject *>timestamps, position)
            )
            if not _place(<PyObject *>appender, <PyObject *>topic, &call, _RECORD_HELD):
                break
            self.note(call.batch, call.index, call.timestamp)
            position += 1
            if appender.since_turn >= _TURN_BYTES:
                break
        return position

    cdef inline int note(self, PyObject *batch, int index, int64_t timestamp) except -1:
        cdef _Place *place = &self.places[self.count]
        cdef int number = (<Batch>batch).group_number
        # The number may be another group's, or nobody's: then another batch stands there.
        if number >= len(self.batches) or _item(<PyObject *>self.batches, number) != batch:
            number = (<Batch>batch).group_number = <int>len(self.batches)
            self.batches.append(<Batch>batch)
        place.batch = number
        place.index = index
        place.timestamp = timestamp
        self.count += 1
        return 0

    cdef int reserve(self, Py_ssize_t more) except -1:
        cdef _Place *grown
        cdef Py_ssize_t wanted = self.count + more
        if wanted > self.room:
            wanted = max(wanted, 2 * self.room)
            grown = <_Place *>PyMem_RawRealloc(self.places, wanted * sizeof(_Place))
            if grown == NULL:
                raise MemoryError
            self.places = grown
            self.room = wanted
        return 0

    cdef Delivery handle(self, Py_ssize_t position):
        cdef _Place place = self.places[position]
        if place.batch < 0:
            return <Delivery>self.singles[-1 - place.batch]
        return _delivery(<Batch>self.batches[place.batch], place.index, place.timestamp)

    def next_pending(self, Py_ssize_t position):
        """The first record from ``position`` on that has no outcome; -1 where all have one."""
        cdef _Place *place
        cdef PyObject *batch
        while position < self.count:
            place = &self.places[position]
            if place.batch >= 0:
                batch = _item(<PyObject *>self.batches, place.batch)
                if (<Batch>batch).state == _ACKED or (<Batch>batch).state == _FAILED:
                    position += 1
                    continue
            if self.handle(position).resolve().state <= _CLOSED:
                return position
            position += 1
        return -1

    def expect(self):
        """Somebody waits for all of these: their failures are no news to anybody else."""
        cdef Batch batch
        cdef Delivery single
        cdef Py_ssize_t position
        for batch in self.batches:
            if batch.state <= _CLOSED:
                batch.expected = True
        for single in self.singles:
            if not single.done():
                single.resolve().expected = True
        for position in range(self.count):
            if self.places[position].batch >= 0:
                batch = <Batch>self.batches[self.places[position].batch]
                if batch.state == _SPLIT:
                    single = self.handle(position)
                    if not single.done():
                        single.resolve().expected = True

    def outcomes(self):
        """Metadata or exception of each record, and of those that failed (index, exception)."""
        cdef list found = []
        cdef list failures = []
        cdef Py_ssize_t position
        cdef _Place *place
        cdef PyObject *batch
        cdef Delivery delivery
        for position in range(self.count):
            place = &self.places[position]
            if place.batch >= 0:
                batch = _item(<PyObject *>self.batches, place.batch)
                if (<Batch>batch).state == _ACKED:
                    found.append(_metadata(<Batch>batch, place.index, place.timestamp))
                    continue
            delivery = self.handle(position)
            error = delivery.exception()
            if error is None:
                found.append(delivery.outcome())
            else:
                found.append(error)
                failures.append((position, error))
        return found, failures
