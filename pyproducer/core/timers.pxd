cimport cython


cdef class BatchTimers:
    cdef int _until
    cdef object _line
    cdef list _heap
    cdef Py_ssize_t _most
    cdef readonly double next

    @cython.locals(line=object)
    cpdef add(self, double at, batch)
    cdef tuple _first(self)
    cdef _look(self)
    @cython.locals(first=tuple)
    cpdef bint stirs(self, double now)
    @cython.locals(first=tuple, state=int, at=double)
    cpdef due(self, double now)
