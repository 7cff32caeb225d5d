cdef class Window:
    cdef double _quickest
    cdef public int size

    cpdef answered(self, double seconds, bint full)
