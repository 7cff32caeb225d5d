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

    /* From Python 3.12 on await knows no other way than tp_iternext for what is no generator, and
       a StopIteration made for each call costs as much as the call. So one serves again and again;
       it lets go of the result as soon as the call itself goes. */
    #if PY_VERSION_HEX >= 0x030C0000 && !defined(Py_GIL_DISABLED)
    #define PYPRODUCER_REUSES_STOP 1
    static PyObject *pyproducer_stop = NULL;
    #else
    #define PYPRODUCER_REUSES_STOP 0
    #endif

    static void pyproducer_forget_result(void) {
    #if PYPRODUCER_REUSES_STOP
        if (pyproducer_stop != NULL && Py_REFCNT(pyproducer_stop) == 1) {
            Py_CLEAR(((PyStopIterationObject *)pyproducer_stop)->value);
        }
    #endif
    }

    static PyObject *pyproducer_next(PyObject *call) {
        PyObject *result;
        PySendResult how = pyproducer_send(call, Py_None, &result);
        if (how == PYGEN_RETURN) {
    #if PYPRODUCER_REUSES_STOP
            PyBaseExceptionObject *stop = (PyBaseExceptionObject *)pyproducer_stop;
            if (stop == NULL || Py_REFCNT(stop) != 1 || stop->traceback || stop->context) {
                /* Somebody caught the last one: it is his. */
                Py_XSETREF(pyproducer_stop, PyObject_CallNoArgs(PyExc_StopIteration));
                if (pyproducer_stop == NULL) {
                    Py_CLEAR(result);
                    return NULL;
                }
            }
            Py_XSETREF(((PyStopIterationObject *)pyproducer_stop)->value, result);
            PyErr_SetRaisedException(Py_NewRef(pyproducer_stop));
            return NULL;
    #endif
            PyErr_SetObject(PyExc_StopIteration, result);
            Py_CLEAR(result);
        }
        return result;
    }

    typedef int (*pyproducer_leave)(PyObject *);
    static pyproducer_leave pyproducer_taken_leave;
    static destructor pyproducer_freed;

    static void pyproducer_warn(PyObject *call) {
        PyObject *kind, *value, *traceback;
        PyErr_Fetch(&kind, &value, &traceback);
        /* Not where a signal's handler raised between the call and its await: nobody forgot. */
        if (kind == NULL && PyErr_WarnEx(
                PyExc_RuntimeWarning,
                "coroutine 'AsyncProducer.enqueue' was never awaited", 1) < 0) {
            PyErr_WriteUnraisable(call);
        }
        PyErr_Restore(kind, value, traceback);
    }

    /* What Cython makes of __dealloc__ saves and restores the exception that there is not. */
    static void pyproducer_dealloc(PyObject *call) {
        /* It comes through alive where sys.unraisablehook keeps it; then it is an empty one. */
        if (pyproducer_taken_leave(call) && PyObject_CallFinalizerFromDealloc(call) < 0) {
            return;
        }
        pyproducer_forget_result();
        pyproducer_freed(call);
    }

    /* Cython has no way to say these: either of the first two is what await calls. */
    static void pyproducer_take_steps(
        PyObject *type, pyproducer_step step, pyproducer_leave leave) {
        pyproducer_taken_step = step;
        pyproducer_taken_leave = leave;
        ((PyTypeObject *)type)->tp_as_async->am_send = pyproducer_send;
        ((PyTypeObject *)type)->tp_iternext = pyproducer_next;
        pyproducer_freed = ((PyTypeObject *)type)->tp_dealloc;
        ((PyTypeObject *)type)->tp_dealloc = pyproducer_dealloc;
        ((PyTypeObject *)type)->tp_finalize = pyproducer_warn;
    }
    """
    ctypedef int (*_Step "pyproducer_step")(PyObject *, PyObject *, PyObject **) except -1
    ctypedef bint (*_Leave "pyproducer_leave")(PyObject *) noexcept
    void _take_steps "pyproducer_take_steps"(object kind, _Step step, _Leave leave)

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
    #: Code of somebody else runs, which may find its way back here.
    _BUSY = 4


@cython.final
@cython.freelist(64)
cdef class EnqueueCall:
    """The coroutine of one call of ``enqueue``.

    All it holds is held by hand, NULL for None: a million calls a second count None's references
    up and down so often that nothing else is as slow.
    """

    cdef PyObject *_appender
    cdef PyObject *_entry
    cdef PyObject *_topic
    cdef PyObject *_value
    cdef PyObject *_key
    cdef PyObject *_headers
    cdef PyObject *_partition
    cdef PyObject *_timestamp_ms
    cdef PyObject *_on_delivery
    #: The delivery after a turn of the loop, or what waits for room.
    cdef PyObject *_rest
    cdef int _stage
    #: There is more than topic and value.
    cdef bint _more

    __name__ = "enqueue"
    __qualname__ = "AsyncProducer.enqueue"

    def __init__(self):
        # One that nothing was put into has only NULL to follow.
        raise TypeError("calls of enqueue make these, and nobody else")

    def __await__(self):
        return self

    def __iter__(self):
        return self

    def __next__(self):
        return self.send(None)

    @property
    def cr_await(self):
        """What it waits for; None where it waits for nothing."""
        return <object>self._rest if self._stage == _WAIT else None

    @property
    def cr_running(self):
        """True during a step."""
        return self._stage == _BUSY

    @property
    def cr_suspended(self):
        """True between its first step and its last."""
        return self._stage == _TURN or self._stage == _WAIT

    @property
    def cr_code(self):
        """The twin's code, for those who want a place to name."""
        return _twin_frame().f_code

    @property
    def cr_frame(self):
        """A frame of the twin until the last step, and None after it."""
        return None if self._stage == _DONE else _twin_frame()

    @property
    def cr_origin(self):
        """Where it was made is not kept."""
        return None

    def send(self, value):
        """Run to the next place where it waits, or raise StopIteration with the Delivery."""
        cdef PyObject *made = NULL
        cdef int how = _step(<PyObject *>self, <PyObject *>value, &made)
        result = _owned(made)
        if how == _RETURNED:
            raise StopIteration(result)
        return result

    def throw(self, kind, value=None, traceback=None):
        """Raise in the place where it waits."""
        if self._stage == _BUSY:
            raise ValueError("coroutine already executing")
        if self._stage == _DONE:
            raise RuntimeError("cannot reuse already awaited coroutine")
        rest = self.cr_await
        if rest is None:
            self.leave()
            _raise(kind, value, traceback)
        self._stage = _BUSY
        try:
            if value is None and traceback is None:
                made = rest.throw(kind)
            else:
                made = rest.throw(kind, value, traceback)
        except BaseException:
            self.leave()
            raise
        self._stage = _WAIT
        return made

    def close(self):
        """Stop it in the place where it waits; nothing is queued that was not."""
        if self._stage == _BUSY:
            raise ValueError("coroutine already executing")
        rest = self.cr_await
        self.leave()
        if rest is not None:
            rest.close()

    cdef inline void leave(self) noexcept:
        self._stage = _DONE
        _drop(&self._appender)
        _drop(&self._entry)
        _drop(&self._topic)
        _drop(&self._value)
        _drop(&self._rest)
        if self._more:
            self._more = False
            _drop(&self._key)
            _drop(&self._headers)
            _drop(&self._partition)
            _drop(&self._timestamp_ms)
            _drop(&self._on_delivery)


cdef object _frame = None


cdef object _twin_frame():
    """A frame that says of what it is; the twin in Python is imported only for those who ask."""
    global _frame
    if _frame is None:
        from pyproducer.core._topic_py import TopicAppender as Twin

        call = Twin.enqueue(None, None)
        _frame = call.cr_frame
        call.close()
    return _frame


cdef inline void _drop(PyObject **field) noexcept:
    cdef PyObject *held = field[0]
    if held != NULL:
        field[0] = NULL
        Py_DECREF(<object>held)


cdef inline PyObject *_keep(object argument) noexcept:
    """A reference of one's own to an argument, NULL for None."""
    if argument is None:
        return NULL
    Py_INCREF(argument)
    return <PyObject *>argument


cdef inline object _given(PyObject *argument):
    return None if argument == NULL else <object>argument


cdef int _step(PyObject *raw, PyObject *sent, PyObject **result) except -1:
    cdef PyObject *made
    cdef PyObject *rest
    cdef int how
    if (<EnqueueCall>raw)._stage == _NEW:
        if sent != <PyObject *>None:
            raise TypeError("can't send non-None value to a just-started coroutine")
        if (<EnqueueCall>raw)._entry == NULL:
            _find_entry(<EnqueueCall>raw)
        made = _quick(
            (<EnqueueCall>raw)._entry, (<EnqueueCall>raw)._value, (<EnqueueCall>raw)._key,
            (<EnqueueCall>raw)._headers, (<EnqueueCall>raw)._partition,
            (<EnqueueCall>raw)._timestamp_ms, (<EnqueueCall>raw)._on_delivery,
        )
        if made == NULL:
            made = _take(<EnqueueCall>raw)
        if (<EnqueueCall>raw)._stage == _NEW:
            # Accepted.
            if not (<Appender>(<EnqueueCall>raw)._appender).is_turn_due():
                (<EnqueueCall>raw).leave()
                result[0] = made
                return _RETURNED
            (<EnqueueCall>raw)._rest = made
            (<EnqueueCall>raw)._stage = _TURN
            # As asyncio.sleep(0): everything else that is ready runs once.
            Py_INCREF(None)
            result[0] = <PyObject *>None
            return _YIELDED
    if (<EnqueueCall>raw)._stage == _TURN:
        result[0] = (<EnqueueCall>raw)._rest
        (<EnqueueCall>raw)._rest = NULL
        (<EnqueueCall>raw).leave()
        return _RETURNED
    if (<EnqueueCall>raw)._stage == _DONE:
        raise RuntimeError("cannot reuse already awaited coroutine")
    if (<EnqueueCall>raw)._stage == _BUSY:
        raise ValueError("coroutine already executing")
    (<EnqueueCall>raw)._stage = _BUSY
    try:
        rest = (<EnqueueCall>raw)._rest
        if type(<object>rest) is RoomWait:
            how = (<RoomWait>rest).step(result)
        else:
            how = PyIter_Send(<object>rest, sent, result)
    except BaseException:
        (<EnqueueCall>raw).leave()
        raise
    (<EnqueueCall>raw)._stage = _WAIT
    if how == _RETURNED:
        (<EnqueueCall>raw).leave()
    return how


cdef int _find_entry(EnqueueCall call) except -1:
    call._stage = _BUSY
    try:
        call._entry = _keep((<Appender>call._appender).entry(_given(call._topic)))
    except BaseException:
        call.leave()
        raise
    call._stage = _NEW
    return 0


cdef PyObject *_take(EnqueueCall call) except? NULL:
    """Queue the record and return its handle, or begin to wait for room and return NULL."""
    call._stage = _BUSY
    try:
        made = (<TopicAppender>call._entry).take(
            _given(call._value), _given(call._key), _given(call._headers),
            _given(call._partition), _given(call._timestamp_ms), _given(call._on_delivery), False,
        )
        if type(made) is Delivery:
            call._stage = _NEW
            return _keep(made)
        call._rest = _keep((<Appender>call._appender).room(made))
    except BaseException:
        call.leave()
        raise
    call._stage = _WAIT
    return NULL


cdef inline EnqueueCall _enqueue_call(
    Appender appender, TopicAppender entry, object topic, object value, object key,
    object headers, object partition, object timestamp_ms, object on_delivery
):
    cdef EnqueueCall call = EnqueueCall.__new__(EnqueueCall)
    call._appender = _keep(appender)
    call._entry = _keep(entry)
    call._topic = _keep(topic)
    call._value = _keep(value)
    if not (
        key is None and headers is None and partition is None and timestamp_ms is None
        and on_delivery is None
    ):
        call._more = True
        call._key = _keep(key)
        call._headers = _keep(headers)
        call._partition = _keep(partition)
        call._timestamp_ms = _keep(timestamp_ms)
        call._on_delivery = _keep(on_delivery)
    return call


cdef bint _let_go(PyObject *raw) noexcept:
    """Drop all that a call holds; True where it was never awaited."""
    cdef bint fresh = (<EnqueueCall>raw)._stage == _NEW and (<EnqueueCall>raw)._appender != NULL
    (<EnqueueCall>raw).leave()
    return fresh


_take_steps(EnqueueCall, _step, _let_go)
Coroutine.register(EnqueueCall)
