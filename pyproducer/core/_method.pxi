"""A method of C that says of itself what it returns; part of ``_appender.pyx``."""

cdef extern from *:
    """
    /* The same arguments to another: a call of an object of Cython would make a tuple and a dict. */
    static void pyproducer_pass_calls(PyObject *type, Py_ssize_t offset) {
        ((PyTypeObject *)type)->tp_vectorcall_offset = offset;
        ((PyTypeObject *)type)->tp_call = PyVectorcall_Call;
        ((PyTypeObject *)type)->tp_flags |= Py_TPFLAGS_HAVE_VECTORCALL;
        PyType_Modified((PyTypeObject *)type);
    }
    """
    void _pass_calls "pyproducer_pass_calls"(object kind, Py_ssize_t offset)

cdef extern from "Python.h":
    ctypedef PyObject *(*_Vectorcall "vectorcallfunc")(
        PyObject *, PyObject *const *, size_t, PyObject *
    ) noexcept
    ctypedef PyObject *(*_FastCall "_PyCFunctionFastWithKeywords")(
        PyObject *, PyObject *const *, Py_ssize_t, PyObject *
    ) noexcept
    ctypedef void (*_Function "PyCFunction")()
    int PyCFunction_GetFlags(object function) except -1
    _Function PyCFunction_GetFunction(object function) except NULL
    PyObject *PyCFunction_GetSelf(object function) except? NULL
    Py_ssize_t PyVectorcall_NARGS(size_t count) noexcept
    int METH_FASTCALL
    int METH_KEYWORDS


@cython.final
cdef class CoroutineMethod:
    # No docstring: it has that of the method it is like.
    #
    # Many ask what a function returns before they call it, and take what is no coroutine function
    # to a thread, or do not await what comes back. Nobody can tell by a method of C.

    cdef _Vectorcall _call
    cdef _FastCall _function
    cdef PyObject *_self
    cdef object _target
    cdef object _like
    cdef object __weakref__

    def __init__(self, target, like):
        """Call ``target``, a method of C, and look like ``like``, a function with ``self``."""
        if PyCFunction_GetFlags(target) != METH_FASTCALL | METH_KEYWORDS:
            raise TypeError("no method of C that takes its arguments where they are")
        self._function = <_FastCall>PyCFunction_GetFunction(target)
        self._self = PyCFunction_GetSelf(target)
        self._target = target
        self._like = like
        self._call = _pass_call

    @property
    def __doc__(self):
        return self._like.__doc__

    @property
    def __signature__(self):
        from inspect import signature

        whole = signature(self._like)
        return whole.replace(parameters=list(whole.parameters.values())[1:])

    @property
    def __self__(self):
        return self._target.__self__

    def __getattr__(self, name):
        return getattr(self._like, name)

    def __repr__(self):
        return f"<method {self._like.__qualname__} by {self._target!r}>"


cdef PyObject *_pass_call(
    PyObject *method, PyObject *const *args, size_t count, PyObject *names
) noexcept:
    return (<CoroutineMethod>method)._function(
        (<CoroutineMethod>method)._self, args, PyVectorcall_NARGS(count), names
    )


cdef CoroutineMethod _any = CoroutineMethod.__new__(CoroutineMethod)
_pass_calls(CoroutineMethod, <char *>&_any._call - <char *><void *>_any)
