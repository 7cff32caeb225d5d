cimport cython


cdef class WaitLine:
    cdef object _appender
    cdef object _line
    cdef public object woken

    cpdef stand(self, place)
    cpdef leave(self, place)
    cpdef serve(self)
    @cython.locals(end=double, count=Py_ssize_t)
    cpdef wake(self, clock, double slice_s)
    cpdef expire(self, double now)
