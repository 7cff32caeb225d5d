cimport cython

from pyproducer.core.accumulator cimport PartitionQueue
from pyproducer.core.batch cimport SealedBatch
from pyproducer.core.delivery cimport Deliveries
from pyproducer.core.stats cimport Stats


cdef class Settler:
    cdef public dict live
    cdef public Deliveries deliveries
    cdef public object ledger
    cdef object _appender
    cdef Stats _stats
    cdef public list _flushes
    cdef public object on_failure

    cpdef add(self, batch)
    cpdef acknowledge(self, batch, long long base_offset, long long log_append_time)
    @cython.locals(queue=PartitionQueue)
    cdef _tell_in_order(self, SealedBatch sealed)
    @cython.locals(sealed=SealedBatch)
    cdef _let_go(self, batch)
    @cython.locals(sealed=SealedBatch)
    cdef _settled(self, batch, Py_ssize_t failed)
