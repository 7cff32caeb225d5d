"""What ``enqueue`` returns to be awaited; part of ``_appender.pyx``.

A coroutine of Python costs a frame and half of what an append does. This is the same to whoever
awaits it, or makes a task of it: nothing happens before its first step, it gives the loop its
turns, and one that is dropped without a step says so.
"""

cdef extern from *:
    """
    /* A step of a coroutine: what it returns goes to the caller through no exception. */
    typedef int (*pyproducer_step)(PyObject *, PyObject *, PyObject **);
    static pyproducer_step pyproducer_taken_step;

    static PySendResult pyproducer_send(PyObject *call, PyObject *sent, PyObject **result) {
        *result = NULL;
        return (PySendResult)pyproducer_taken_step(call, sent, result);
    }

    static PyObject *pyproducer_next(PyObject *call) {
        PyObject *result;
        PySendResult how = pyproducer_send(call, Py_None, &result);
        if (how == PYGEN_RETURN) {
            PyErr_SetObject(PyExc_StopIteration, result);
            Py_CLEAR(result);
        }
        return result;
    }

    /* Cython has no way to say these two: one of them, or both, is what await calls. */
    static void pyproducer_take_steps(PyObject *type, pyproducer_step step) {
        pyproducer_taken_step = step;
        ((PyTypeObject *)type)->tp_as_async->am_send = pyproducer_send;
        ((PyTypeObject *)type)->tp_iternext = pyproducer_next;
    }
    """
    ctypedef int (*_Step "pyproducer_step")(PyObject *, PyObject *, PyObject **) except -1
    void _take_steps "pyproducer_take_steps"(object kind, _Step step)

cdef extern from "Python.h":
    int PyIter_Send(object call, PyObject *sent, PyObject **result) except -1

cdef enum:
    # As PySendResult has them.
    _RETURNED = 0
    _YIELDED = 1
    _NEW = 0
    _TURN = 1
    _WAIT = 2
    _DONE = 3


@cython.final
@cython.freelist(64)
cdef class EnqueueCall:
    """The coroutine of one call of ``enqueue``."""

    cdef Appender _appender
    cdef TopicAppender _entry
    cdef object _topic
    cdef object _value
    cdef object _key
    cdef object _headers
    cdef object _partition
    cdef object _timestamp_ms
    cdef object _on_delivery
    #: The delivery after a turn of the loop, or the coroutine that waits for room.
    cdef object _rest
    cdef int _stage

    __name__ = "enqueue"
    __qualname__ = "AsyncProducer.enqueue"

    def __dealloc__(self):
        if self._stage == _NEW:
            PyErr_WarnEx(
                RuntimeWarning, b"coroutine 'AsyncProducer.enqueue' was never awaited", 1
            )

    def __await__(self):
        return self

    def __iter__(self):
        return self

    def __next__(self):
        return self.send(None)

    @property
    def cr_await(self):
        """What it waits for; None where it waits for nothing."""
        return self._rest if self._stage == _WAIT else None

    @property
    def cr_running(self):
        """Never seen while it runs."""
        return False

    def send(self, value):
        """Run to the next place where it waits, or raise StopIteration with the Delivery."""
        cdef PyObject *made = NULL
        cdef int how = _step(<PyObject *>self, <PyObject *>value, &made)
        result = <object>made
        Py_XDECREF(made)
        if how == _RETURNED:
            raise StopIteration(result)
        return result

    def throw(self, kind, value=None, traceback=None):
        """Raise in the place where it waits."""
        stage = self._stage
        if stage == _WAIT:
            try:
                if value is None and traceback is None:
                    return self._rest.throw(kind)
                return self._rest.throw(kind, value, traceback)
            except BaseException:
                self.leave()
                raise
        self.leave()
        if isinstance(kind, type):
            value = kind() if value is None else value
            kind = value if isinstance(value, BaseException) else kind(value)
        raise kind if traceback is None else kind.with_traceback(traceback)

    def close(self):
        """Stop it in the place where it waits; nothing is queued that was not."""
        rest = self._rest if self._stage == _WAIT else None
        self.leave()
        if rest is not None:
            rest.close()

    cdef int leave(self) except -1:
        self._stage = _DONE
        self._rest = None
        self._entry = None
        self._value = None
        self._key = None
        self._headers = None
        self._on_delivery = None
        return 0


cdef int _step(PyObject *raw, PyObject *sent, PyObject **result) except -1:
    cdef EnqueueCall call = <EnqueueCall>raw
    cdef Appender appender = call._appender
    cdef int how
    if call._stage == _NEW:
        call._stage = _DONE
        if call._entry is None:
            call._entry = appender.entry(call._topic)
        made = call._entry.take(
            call._value, call._key, call._headers, call._partition, call._timestamp_ms,
            call._on_delivery, False,
        )
        if type(made) is Delivery:
            if not appender.is_turn_due():
                Py_INCREF(made)
                result[0] = <PyObject *>made
                return _RETURNED
            call._rest = made
            call._stage = _TURN
            # As asyncio.sleep(0): everything else that is ready runs once.
            Py_INCREF(None)
            result[0] = <PyObject *>None
            return _YIELDED
        call._rest = appender.room(made)
        call._stage = _WAIT
    if call._stage == _TURN:
        made = call._rest
        call.leave()
        Py_INCREF(made)
        result[0] = <PyObject *>made
        return _RETURNED
    if call._stage == _DONE:
        raise RuntimeError("cannot reuse already awaited coroutine")
    try:
        how = PyIter_Send(call._rest, sent, result)
    except BaseException:
        call.leave()
        raise
    if how == _RETURNED:
        call.leave()
    return how


cdef inline EnqueueCall _enqueue_call(
    Appender appender, TopicAppender entry, object topic, object value, object key,
    object headers, object partition, object timestamp_ms, object on_delivery
):
    cdef EnqueueCall call = EnqueueCall.__new__(EnqueueCall)
    call._appender = appender
    call._entry = entry
    call._topic = topic
    call._value = value
    call._key = key
    call._headers = headers
    call._partition = partition
    call._timestamp_ms = timestamp_ms
    call._on_delivery = on_delivery
    return call


_take_steps(EnqueueCall, _step)
Coroutine.register(EnqueueCall)
