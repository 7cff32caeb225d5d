cimport cython

from pyproducer.core._appender cimport Batch as _Batch


cdef class SealedBatch:
    cdef public _Batch batch
    cdef public object queue
    cdef public long long order
    cdef public long long first
    cdef public object body
    cdef public object codec
    cdef public double deadline
    cdef public int attempts
    cdef public bint in_doubt
    cdef public bint behind
    cdef public str last_error
    cdef public object last_code
    cdef public long long producer_id
    cdef public int epoch
    cdef public long long sequence
    cdef public bint stamped
    cdef public bint transactional

    cpdef bint precedes(self, SealedBatch other)
    cpdef Py_ssize_t size(self)
    cpdef long long stamp(
        self, long long producer_id, int epoch, long long sequence, bint transactional=*
    )
    cpdef unstamp(self)
    @cython.locals(batch=_Batch)
    cpdef list wire(self)
