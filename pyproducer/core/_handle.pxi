"""A batch, and the handle of one of its records; part of ``_appender.pyx``."""

cdef class Batch:
    """Records of one partition on their way, and later their outcome.

    The outcome is kept here once for all records; a :class:`Delivery` works out its own share
    when it is asked.
    """

    def __cinit__(self, PartitionState home not None, long long serial):
        self.home = home
        self.serial = serial
        self.max_timestamp = -1
        self.base_offset = -1
        self.log_append_time = -1

    @property
    def topic(self):
        """The topic's name."""
        return self.home.topic.name

    @property
    def partition(self):
        """The partition's number; -1 while it waits for one on the shelf."""
        return self.home.number

    cpdef watch(self, delivery, watcher):
        """Have a callback or future told of a delivery's outcome."""
        # No list before: it would be one more thing for the garbage collector to look at.
        cdef list fresh
        if self.watchers is None:
            fresh = []
            # The collector may have run by that, and code of others who watch too.
            if self.watchers is None:
                self.watchers = fresh
        self.watchers.append(delivery)
        self.watchers.append(watcher)

    cdef Py_ssize_t watching(self) noexcept:
        """Twice the number of those to be told."""
        return 0 if self.watchers is None else len(self.watchers)

    cpdef body(self):
        """The records' bytes as they go on the wire, without the batch header."""
        return b"" if self.buffer is None else self.buffer

    cpdef drop_body(self):
        """Let go of the records' bytes; the outcome stays."""
        self.buffer = None

    cpdef acknowledge(self, int64_t base_offset, int64_t log_append_time):
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
        cdef Delivery watched
        cdef Py_ssize_t position
        appender.acquire()
        try:
            if self.state > _CLOSED:
                return 0
            self.error = error
            self.record_errors = record_errors
            self.state = _FAILED
            self.buffer = None
            seen = bytearray(self.count)
            for position in range(0, self.watching(), 2):
                watcher = self.watchers[position + 1]
                if not (hasattr(watcher, "cancelled") and watcher.cancelled()):
                    watched = <Delivery>self.watchers[position]
                    seen[watched._i] = 1
            self.seen = seen
            return self.count - sum(seen)
        finally:
            appender.unlock()

    def split(self, list parts not None):
        """Hand the records over to smaller batches: (first index, batch), ascending."""
        cdef Appender appender = self.home.topic.appender
        cdef Batch part
        cdef Delivery watched
        cdef Py_ssize_t position
        # Under the lock: another thread may be adding a callback.
        appender.acquire()
        try:
            self.parts = parts
            self.state = _SPLIT
            self.buffer = None
            for position in range(0, self.watching(), 2):
                watched = <Delivery>self.watchers[position]
                part = watched.resolve()
                part.watch(watched, self.watchers[position + 1])
                part.beside += _CALLBACK_HELD
            for _, part in parts:
                part.expected = self.expected
            self.watchers = None
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
@cython.no_gc
@cython.freelist(512)
cdef class Delivery:
    """The handle of one accepted record: await it, ask it, or give it a callback.

    Cancelling the task that awaits it never cancels the delivery itself.
    """

    cdef Batch _b
    cdef int64_t _timestamp
    cdef int _i

    def __init__(self):
        # One without a batch has nothing to look at.
        raise TypeError("producers make deliveries, and nobody else")

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
        cdef Batch batch
        # Most are asked once all is well.
        if self._b.state == _ACKED:
            return _metadata(self._b, self._i, self._timestamp)
        batch = self.resolve()
        if batch.state <= _CLOSED:
            (<Appender>batch.home.topic.appender).host.block(self, timeout)
        return self.outcome()

    def exception(self, timeout=None):
        """What the record failed with, or None if it was delivered; waits as result() does."""
        cdef Batch batch
        if self._b.state == _ACKED:
            return None
        batch = self.resolve()
        if batch.state <= _CLOSED:
            (<Appender>batch.home.topic.appender).host.block(self, timeout)
        return self.failure()

    def add_done_callback(self, callback):
        """Call ``callback(delivery)`` once the outcome is known, at the loop's next turn."""
        cdef Batch batch = self.resolve()
        (<Appender>batch.home.topic.appender).check_callback(batch.home.topic, callback)
        self._watch(callback)

    def _watch(self, callback):
        """The same for one of ours, which is sound."""
        cdef Batch batch = self.resolve()
        cdef Appender appender = batch.home.topic.appender
        appender.acquire()
        try:
            batch = self.resolve()
            if batch.state <= _CLOSED:
                batch.watch(self, callback)
                return
        finally:
            appender.unlock()
        self.mark_seen(batch)
        appender.host.soon(callback, self)

    def __await__(self):
        # No generator: thousands who wait would have two more things each for the collector.
        cdef Batch batch = self.resolve()
        cdef Appender appender
        cdef OutcomeWait wait
        if batch.state <= _CLOSED:
            appender = <Appender>batch.home.topic.appender
            future = appender.host.future()
            # Another thread may be adding a callback.
            appender.acquire()
            try:
                batch.watch(self, future)
            finally:
                appender.unlock()
            if type(future) is not OutcomeWait:
                return _awaiting(self, future)
            wait = <OutcomeWait>future
        else:
            wait = OutcomeWait.__new__(OutcomeWait)
            wait._told = True
        wait._delivery = self
        return wait

    cdef object outcome(self):
        cdef Batch batch = self.resolve()
        if batch.state == _FAILED:
            error = self.failure()
            # One exception object serves all records of the batch: without this each raise
            # would lengthen the traceback that the last one left.
            raise error.with_traceback(None)
        return _metadata(batch, self._i, self._timestamp)

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
            (<Appender>batch.home.topic.appender).host.saw(batch)
        return 0


def _awaiting(Delivery delivery, future):
    yield from future
    return delivery.outcome()


cdef inline RecordMetadata _metadata(Batch batch, int index, int64_t timestamp):
    cdef RecordMetadata made = RecordMetadata.__new__(RecordMetadata)
    made.topic = batch.home.topic.name
    made.partition = batch.home.number
    made.offset = batch.base_offset
    if made.offset >= 0:
        made.offset += index
    made.timestamp_ms = timestamp
    if batch.log_append_time >= 0:
        made.timestamp_ms = batch.log_append_time
        made._type = _LOG_APPEND_TIME
    return made


cdef inline Delivery _delivery(Batch batch, int index, int64_t timestamp):
    cdef Delivery made = Delivery.__new__(Delivery)
    made._b = batch
    made._i = index
    made._timestamp = timestamp
    return made


def run_watchers(Batch batch not None, Py_ssize_t stop, bint straight=False):
    """Tell a settled batch's watchers up to ``stop``, each once; how many know is returned.

    With ``straight`` no task runs, so that those who await a delivery go on within this call.
    """
    cdef list watchers = batch.watchers
    cdef Py_ssize_t position
    if watchers is None:
        return 0
    stop = min(stop, len(watchers) // 2)
    # Looked at each time: who is told may have others told.
    while batch.told < stop:
        position = batch.told
        # First: one who is told when a signal's handler raises is not told again.
        batch.told = position + 1
        watcher = watchers[2 * position + 1]
        if type(watcher) is OutcomeWait:
            (<OutcomeWait>watcher).tell(straight)
            continue
        delivery = watchers[2 * position]
        if not _is_function(<PyObject *>watcher) and hasattr(watcher, "set_result"):
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
    if 2 * stop == len(watchers):
        batch.watchers = None
    return stop
