cimport cython

from pyproducer.core._appender cimport Batch as _Batch


cdef class BatchTimers:
    cdef int _until
    cdef double _delay
    cdef object _line
    cdef list _heap
    cdef Py_ssize_t _most
    cdef readonly double next

    @cython.locals(line=object, last=_Batch)
    cpdef add(self, _Batch batch)
    cdef _Batch _first(self)
    @cython.locals(first=_Batch)
    cdef _look(self)
    @cython.locals(first=_Batch)
    cpdef bint stirs(self, double now)
    @cython.locals(state=int, batch=_Batch)
    cpdef due(self, double now)
