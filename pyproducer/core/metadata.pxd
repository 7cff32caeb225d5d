cdef class Cluster:
    cdef public object contacts
    cdef public dict brokers
    cdef public dict wanted
    cdef public dict unknown_since
    cdef public bint asked
    cdef public str complaint
    cdef object _cluster_id
    cdef double _max_age
    cdef double _max_idle
    cdef object _backoff
    cdef double _whole_at
    cdef double _urgent_at
    cdef dict _urgent
    cdef dict _asking
    cdef bint _asking_whole
    cdef double _asked_at
    cdef bint _doubted
    cdef bint _asked_in_doubt
    cdef int _failures
    cdef int _fruitless
    cdef dict _pauses

    cpdef double due_at(self)
    cpdef use(self, str topic, double now)
