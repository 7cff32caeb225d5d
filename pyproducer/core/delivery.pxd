cdef class Deliveries:
    cdef object _line

    cpdef add(self, batch)
    cpdef run(self, clock, double slice_s)
