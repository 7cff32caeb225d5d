"""The handles of many records at once; part of ``_appender.pyx``.

A bulk call makes no object for a record: those that went into a batch one after the other, at the
same time, are one run, from which a handle is made where somebody asks for one, and a result where
somebody reads it.
"""

cdef extern from *:
    """
    /* With no field set yet: whoever makes ten thousand at once sets them all, and no freelist
       has as many. */
    #define pyproducer_bare_metadata(type) PyObject_New(PyObject, (PyTypeObject *)(type))
    #define pyproducer_set_topic(bare, name) ((bare)->topic = Py_NewRef(name))
    """
    PyObject *_bare_metadata "pyproducer_bare_metadata"(type kind) except NULL
    void _set_topic "pyproducer_set_topic"(RecordMetadata bare, PyObject *name) noexcept

cdef extern from "Python.h":
    Py_ssize_t PyNumber_AsSsize_t(object number, object overflow) except? -1
    list PyList_New(Py_ssize_t size)
    void _put_item "PyList_SET_ITEM"(object sequence, Py_ssize_t index, PyObject *item) noexcept

cdef struct _Run:
    #: Place in the group of its first record; it ends where the next one starts.
    Py_ssize_t start
    #: Of all its records.
    int64_t timestamp
    #: Number of their batch in the group; below 0 the number of a handle of its own, from -1 down.
    int batch
    #: Place in the batch of its first record.
    int index


@cython.final
cdef class Handles:
    """The records of one bulk call, in its order."""

    cdef _Run *runs
    cdef Py_ssize_t run_count
    cdef Py_ssize_t room
    cdef Py_ssize_t count
    cdef list batches
    cdef list singles
    #: Handles that somebody asked for, by place; None until then.
    cdef dict asked

    def __cinit__(self):
        self.batches = []
        self.singles = []

    def __dealloc__(self):
        PyMem_RawFree(self.runs)

    def __len__(self):
        return self.count

    def __getitem__(self, given):
        cdef Py_ssize_t index = PyNumber_AsSsize_t(given, IndexError)
        if index < 0:
            index += self.count
        if not 0 <= index < self.count:
            raise IndexError("no record has this index in the group")
        if self.asked is None:
            self.asked = {}
        # Whoever asks twice gets the same: handles are found again in sets and dicts.
        delivery = self.asked.get(index)
        if delivery is None:
            delivery = self.asked.setdefault(index, self.handle(index))
        return delivery

    def append(self, Delivery delivery not None):
        """The next record's handle."""
        if _HAS_GIL and delivery._b.home.number >= 0:
            self.note(<PyObject *>delivery._b, delivery._i, delivery._timestamp, 1)
            return
        # Where a record goes from a shelf, its handle alone will know.
        self.singles.append(delivery)
        self.add_run(-<int>len(self.singles), 0, 0)
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
        cdef PyObject *topic = <PyObject *>entry._topic
        cdef Py_ssize_t count = len(values)
        cdef Py_ssize_t placed
        cdef _Call call
        cdef bytes packed
        # First of all: where it is not C that tells the time, other threads may come in between.
        call.now = appender.now_ms()
        if not _takes(<PyObject *>entry):
            return position
        call.packed = <PyObject *>_NO_HEADERS
        if headers is not None:
            packed = _pack_at_hand(headers)
            if packed is None:
                return position
            call.packed = <PyObject *>packed
        appender.last_ms = call.now
        if not appender.turn_ms:
            appender.turn_ms = call.now
        if keys is None and partitions is None and timestamps is None:
            while position < count and appender.since_turn < _TURN_BYTES:
                placed = _place_values(
                    <PyObject *>appender, topic, <PyObject *>values, position, &call
                )
                if placed:
                    self.note(call.batch, call.index, call.timestamp, placed)
                    position += placed
                elif not call.lacks or not _widen(appender, <Batch>call.batch, call.lacks):
                    break
            return position
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
            if not _place(<PyObject *>appender, topic, &call, _RECORD_HELD):
                break
            self.note(call.batch, call.index, call.timestamp, 1)
            position += 1
            if appender.since_turn >= _TURN_BYTES:
                break
        return position

    cdef int note(
        self, PyObject *batch, int index, int64_t timestamp, Py_ssize_t more
    ) except -1:
        """The next ``more`` records are in a batch, from ``index`` on."""
        cdef _Run *last
        cdef int number = (<Batch>batch).group_number
        # The number may be another group's, or nobody's: then another batch stands there.
        if number >= len(self.batches) or _item(<PyObject *>self.batches, number) != batch:
            number = (<Batch>batch).group_number = <int>len(self.batches)
            self.batches.append(<Batch>batch)
        if self.run_count:
            last = &self.runs[self.run_count - 1]
            if (
                last.batch == number and last.timestamp == timestamp
                and last.index + (self.count - last.start) == index
            ):
                self.count += more
                return 0
        self.add_run(number, index, timestamp)
        self.count += more
        return 0

    cdef int add_run(self, int batch, int index, int64_t timestamp) except -1:
        cdef _Run *run
        if self.run_count == self.room:
            run = <_Run *>PyMem_RawRealloc(self.runs, (2 * self.room + 8) * sizeof(_Run))
            if run == NULL:
                raise MemoryError
            self.runs = run
            self.room = 2 * self.room + 8
        run = &self.runs[self.run_count]
        run.start = self.count
        run.timestamp = timestamp
        run.batch = batch
        run.index = index
        self.run_count += 1
        return 0

    cdef inline Py_ssize_t end(self, Py_ssize_t number) noexcept:
        """The place behind a run."""
        return self.runs[number + 1].start if number + 1 < self.run_count else self.count

    cdef Py_ssize_t run_of(self, Py_ssize_t position) noexcept:
        """The number of the run that a record is in."""
        cdef Py_ssize_t low = 0, high = self.run_count, middle
        while high - low > 1:
            middle = (low + high) // 2
            if self.runs[middle].start <= position:
                low = middle
            else:
                high = middle
        return low

    cdef inline int state_of(self, Py_ssize_t number) noexcept:
        """The state of all records of a run; split where that says nothing about any."""
        if self.runs[number].batch < 0:
            return _SPLIT
        return (<Batch>_item(<PyObject *>self.batches, self.runs[number].batch)).state

    cdef Delivery handle(self, Py_ssize_t position):
        cdef _Run run = self.runs[self.run_of(position)]
        if run.batch < 0:
            return <Delivery>self.singles[-1 - run.batch]
        return _delivery(
            <Batch>self.batches[run.batch], run.index + <int>(position - run.start), run.timestamp
        )

    def next_pending(self, Py_ssize_t position):
        """The first record from ``position`` on that has no outcome; -1 where all have one."""
        cdef Py_ssize_t number
        cdef int state
        if position < 0 or position >= self.count:
            return -1
        for number in range(self.run_of(position), self.run_count):
            state = self.state_of(number)
            position = max(position, self.runs[number].start)
            if state <= _CLOSED:
                return position
            if state == _SPLIT:
                for position in range(position, self.end(number)):
                    if self.handle(position).resolve().state <= _CLOSED:
                        return position
        return -1

    def expect(self):
        """Somebody waits for all of these: their failures are no news to anybody else."""
        cdef Batch batch
        cdef Py_ssize_t number, position
        for number in range(self.run_count):
            if self.state_of(number) == _SPLIT:
                for position in range(self.runs[number].start, self.end(number)):
                    batch = self.handle(position).resolve()
                    if batch.state <= _CLOSED:
                        batch.expected = True
                continue
            batch = <Batch>self.batches[self.runs[number].batch]
            if batch.state <= _CLOSED:
                batch.expected = True

    def outcomes(self):
        """Metadata or exception of each record, and of those that failed (index, exception)."""
        cdef list found = []
        cdef list failures = []
        cdef Py_ssize_t number
        cdef Delivery delivery
        for number in range(self.run_count):
            if self.state_of(number) != _ACKED:
                break
        else:
            return self.acknowledged(), failures
        for position in range(self.count):
            delivery = self.handle(position)
            error = delivery.exception()
            if error is None:
                found.append(delivery.outcome())
            else:
                found.append(error)
                failures.append((position, error))
        return found, failures

    cdef list acknowledged(self):
        """The metadata of all, once every batch is in the log."""
        # No code of Python runs until the list is full.
        cdef list found = PyList_New(self.count)
        cdef Py_ssize_t number, position
        cdef PyObject *made
        cdef PyObject *batch
        cdef PyObject *topic
        cdef _Run *run
        cdef int partition
        cdef int64_t offset, timestamp
        cdef bint stamped
        for number in range(self.run_count):
            run = &self.runs[number]
            batch = _item(<PyObject *>self.batches, run.batch)
            topic = <PyObject *>(<Batch>batch).home.topic.name
            partition = (<Batch>batch).home.number
            offset = (<Batch>batch).base_offset
            if offset >= 0:
                offset += run.index
            stamped = (<Batch>batch).log_append_time >= 0
            timestamp = (<Batch>batch).log_append_time if stamped else run.timestamp
            for position in range(run.start, self.end(number)):
                made = _bare_metadata(RecordMetadata)
                _set_topic(<RecordMetadata>made, topic)
                (<RecordMetadata>made).partition = partition
                (<RecordMetadata>made).offset = offset
                (<RecordMetadata>made).timestamp_ms = timestamp
                (<RecordMetadata>made)._type = _LOG_APPEND_TIME if stamped else 0
                _put_item(found, position, made)
                if offset >= 0:
                    offset += 1
        return found
