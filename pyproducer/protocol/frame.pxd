cimport cython


cdef class FrameReader:
    cdef public Py_ssize_t max_size
    cdef object _pool
    cdef object _frames
    cdef bytearray _stage
    cdef object _room
    cdef Py_ssize_t _staged
    cdef bytearray _body
    cdef Py_ssize_t _filled
    cdef Py_ssize_t _size
    cdef Py_ssize_t _lent
    cdef object _error

    cpdef get_buffer(self, Py_ssize_t hint=*)
    cpdef buffer_updated(self, Py_ssize_t count)
    cpdef next_frame(self)
    cpdef drop(self)
    cdef _settle(self)
    @cython.locals(
        staged=Py_ssize_t, size=Py_ssize_t, position=Py_ssize_t, start=Py_ssize_t, received=Py_ssize_t
    )
    cdef _cut(self, bytearray stage)
