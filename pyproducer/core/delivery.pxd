cimport cython


cdef class Deliveries:
    cdef object _line

    cpdef add(self, batch)
    @cython.locals(end=double, now=double)
    cpdef run(self, clock, double slice_s, bint straight=*)
