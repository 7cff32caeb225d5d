cdef class Send:
    cdef public int node
    cdef public object message
    cdef public long long tag
    cdef public bint expect_response
    cdef public object max_version
