cdef class BatchTimers:
    cdef int _until
    cdef list _heap
    cdef Py_ssize_t _most
    cdef readonly double next

    cpdef add(self, double at, batch)
    cpdef bint stirs(self, double now)
