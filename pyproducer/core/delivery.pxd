cimport cython

from pyproducer.core._appender cimport Batch as _Batch


cdef class Deliveries:
    cdef object _line

    cpdef add(self, batch)
    @cython.locals(end=double, now=double)
    cpdef run(self, clock, double slice_s, bint straight=*)


cdef class Flush:
    cdef public set waiting
    cdef public object done
    cdef Py_ssize_t _delivered
    cdef Py_ssize_t _failed

    cpdef settled(self, _Batch batch, Py_ssize_t failed)
    cdef _check(self)
