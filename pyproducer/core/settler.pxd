cimport cython

from pyproducer.core._appender cimport Batch as _Batch
from pyproducer.core.accumulator cimport PartitionQueue
from pyproducer.core.batch cimport SealedBatch
from pyproducer.core.delivery cimport Deliveries, Flush
from pyproducer.core.stats cimport Stats


cdef class Settler:
    cdef public dict live
    cdef public Deliveries deliveries
    cdef public object ledger
    cdef object _appender
    cdef Stats _stats
    cdef public list _flushes
    cdef public object on_failure

    cpdef add(self, _Batch batch)
    cpdef acknowledge(self, _Batch batch, long long base_offset, long long log_append_time)
    @cython.locals(queue=PartitionQueue, batch=_Batch)
    cdef _tell_in_order(self, SealedBatch sealed)
    @cython.locals(sealed=SealedBatch)
    cdef _let_go(self, _Batch batch)
    @cython.locals(sealed=SealedBatch)
    cdef _settled(self, _Batch batch, Py_ssize_t failed)
    @cython.locals(flush=Flush)
    cdef _tell_flushes(self, _Batch batch, Py_ssize_t failed)
