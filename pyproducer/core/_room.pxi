"""What tasks wait on for room in ``await enqueue``, and for outcomes; part of ``_appender.pyx``.

To a task these are futures. What they save is the making of one, and for each waiter a handle and
a turn of the event loop: whoever got what he waits for is woken there and then.
"""

cdef extern from "Python.h":
    int PyContext_Enter(object context) except -1
    int PyContext_Exit(object context) except -1
    object PyContext_CopyCurrent()


cdef class TaskWait:
    """What a task can wait on.

    Args:
        host: makes the error of one who is cancelled.
        loop: the task's.
    """

    cdef object _host
    cdef object _loop
    # Of the task, which is alone as a rule, and of others.
    cdef object _callback
    cdef object _context
    cdef list _others
    cdef public bint _asyncio_future_blocking

    def __init__(self, host, loop):
        self._host = host
        self._loop = loop

    cdef bint is_done(self):
        raise NotImplementedError

    def __await__(self):
        return self

    def __iter__(self):
        return self

    def get_loop(self):
        return self._loop

    def done(self):
        """True once there is what is waited for, or there will never be."""
        return self.is_done()

    def add_done_callback(self, callback, *, context=None):
        """Call ``callback(self)`` once that is so."""
        if context is None:
            context = PyContext_CopyCurrent()
        if self.is_done():
            self._loop.call_soon(callback, self, context=context)
        elif self._callback is None:
            self._callback = callback
            self._context = context
        else:
            self._others = (self._others or []) + [(callback, context)]

    def remove_done_callback(self, callback):
        """Do not call back; how many there were is returned."""
        given = [(self._callback, self._context)] + (self._others or [])
        left = [pair for pair in given if pair[0] != callback]
        self._callback, self._context = left[0] if left else (None, None)
        self._others = left[1:] or None
        return len(given) - len(left)

    def schedule(self):
        """Have the task go on in a later turn of the loop."""
        callback, self._callback = self._callback, None
        others, self._others = self._others, None
        if callback is not None:
            self._loop.call_soon(callback, self, context=self._context)
        for callback, context in others or ():
            self._loop.call_soon(callback, self, context=context)

    cpdef wake(self):
        """Have the task go on here and now, where no other task runs."""
        callback = self._callback
        if callback is None:
            return
        if self._others is not None:
            self.schedule()
            return
        try:
            PyContext_Enter(self._context)
        except RuntimeError:
            # Somebody's callback runs in this very context.
            self.schedule()
            return
        self._callback = None
        try:
            callback(self)
        except (KeyboardInterrupt, SystemExit):
            raise
        except BaseException as error:
            self._loop.call_exception_handler(
                {"message": f"Exception in callback {callback!r}", "exception": error}
            )
        finally:
            PyContext_Exit(self._context)


@cython.final
cdef class OutcomeWait(TaskWait):
    """What one who awaits a delivery waits on, and what his ``await`` runs through."""

    cdef bint _told
    #: Whose outcome the ``await`` gives; None for one that only waits.
    cdef Delivery _delivery
    #: The error of one who was cancelled before.
    cdef object _cancelled

    cdef bint is_done(self):
        return self._told or self._cancelled is not None

    def __next__(self):
        if not self.is_done():
            self._asyncio_future_blocking = True
            return self
        self.result()
        if self._delivery is None:
            raise StopIteration
        raise StopIteration(self._delivery.outcome())

    def send(self, value):
        """Yield itself until the outcome is known."""
        return self.__next__()

    def throw(self, kind, value=None, traceback=None):
        """Raise; the delivery goes on."""
        _raise(kind, value, traceback)

    def close(self):
        """Nobody goes on; the delivery does."""

    def result(self):
        """None: the outcome is known, and the delivery has it."""
        if self._cancelled is not None:
            raise self._cancelled
        if not self._told:
            raise RuntimeError("the outcome of the record is not known yet")

    def cancelled(self):
        """True where the task was cancelled first: it does not count as having seen a failure."""
        return self._cancelled is not None

    def cancel(self, msg=None):
        """The task is cancelled; the delivery is not."""
        if self.is_done():
            return False
        self._cancelled = self._host.cancelled(msg)
        self.schedule()
        return True

    def set_result(self, _):
        """The outcome is known; the task goes on in a later turn of the loop."""
        self.tell(False)

    cdef int tell(self, bint straight) except -1:
        """The outcome is known; with ``straight`` the task goes on here and now."""
        if self.is_done():
            return 0
        self._told = True
        if straight:
            self.wake()
        else:
            self.schedule()
        return 0


@cython.final
cdef class RoomWait(TaskWait):
    """A place in the line of those who wait for room, and what the task that stands there awaits.

    Args:
        host: takes the place out of the line, and makes the error of one who is cancelled.
        loop: the task's.
        woken: those whose tasks are to be woken are put here.
        made: the record.
        until: monotonic seconds at which the task is told that there was no room.
    """

    cdef object _woken
    cdef readonly Prepared made
    cdef readonly double until
    #: The delivery or the error, once there is one.
    cdef object _outcome

    def __init__(self, host, loop, woken, Prepared made not None, double until):
        self._host = host
        self._loop = loop
        self._woken = woken
        self.made = made
        self.until = until

    cdef bint is_done(self):
        return self._outcome is not None

    # The call's side.

    def __next__(self):
        return self.send(None)

    def send(self, value):
        """Yield itself until there is an outcome."""
        cdef PyObject *made = NULL
        cdef int how = self.step(&made)
        result = _owned(made)
        if how == _RETURNED:
            raise StopIteration(result)
        return result

    cdef int step(self, PyObject **result) except -1:
        if self._outcome is None:
            self._asyncio_future_blocking = True
            result[0] = _keep(self)
            return _YIELDED
        result[0] = _keep(self.result())
        return _RETURNED

    def throw(self, kind, value=None, traceback=None):
        """Leave the line, and raise."""
        self._host.leave(self)
        _raise(kind, value, traceback)

    def close(self):
        """Leave the line."""
        self._host.leave(self)

    # The task's side.

    def result(self):
        """The delivery; raises what kept the record out."""
        if self._outcome is None:
            raise RuntimeError("nobody knows yet whether there is room for the record")
        if type(self._outcome) is not Delivery:
            raise self._outcome
        return self._outcome

    def cancel(self, msg=None):
        """The task is cancelled: the record is not queued, unless it was already."""
        if self._outcome is not None:
            return False
        self._outcome = self._host.cancelled(msg)
        self.schedule()
        return True

    # The line's side.

    def set_result(self, Delivery delivery not None):
        """There is room, and the record is queued."""
        self._outcome = delivery
        self._woken.append(self)

    def set_exception(self, error):
        """There will be no room."""
        self._outcome = error
        self.schedule()


cdef int _raise(object kind, object value, object traceback) except -1:
    """Raise what a coroutine's throw() was given."""
    if isinstance(kind, type):
        value = kind() if value is None else value
        kind = value if isinstance(value, BaseException) else kind(value)
    raise kind if traceback is None else kind.with_traceback(traceback)
