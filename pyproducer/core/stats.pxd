cdef class Stats:
    cdef public long long delivered
    cdef public long long failed
    cdef public long long batches
    cdef public long long batch_records
    cdef public long long bytes_plain
    cdef public long long bytes_sent
    cdef public long long requests
    cdef public long long retries
    cdef public long long splits
    cdef public long long epoch_bumps
    cdef public long long connections_lost
    cdef public double throttled_s
    cdef public double round_trip_s

    cpdef round_trip(self, double seconds)
