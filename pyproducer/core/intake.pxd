cimport cython

from pyproducer.core._appender cimport Batch as _Batch
from pyproducer.core.accumulator cimport PartitionQueue
from pyproducer.core.batch cimport SealedBatch
from pyproducer.core.metadata cimport Cluster
from pyproducer.core.settler cimport Settler
from pyproducer.core.timers cimport BatchTimers


cdef class Intake:
    cdef object _appender
    cdef Settler _settler
    cdef Cluster _cluster
    cdef object _links
    cdef object _linger
    cdef double _delivery_timeout
    cdef object _host
    cdef public BatchTimers lingering
    cdef public BatchTimers expiring

    cpdef double deadline(self)
    @cython.locals(batch=_Batch)
    cpdef close_open(self, double now)
    @cython.locals(batch=_Batch)
    cpdef linger(self, double now)
    cpdef expire(self, double now)
    @cython.locals(batch=_Batch)
    cpdef absorb(self, double now, _Batch shelf=*)
    @cython.locals(created=double, batch=_Batch)
    cdef _note(self, list opened, double now, _Batch shelf)
    @cython.locals(queue=PartitionQueue, sealed=SealedBatch)
    cdef _seal(self, _Batch batch)
    @cython.locals(queue=PartitionQueue)
    cdef _make_due(self, _Batch batch)


cdef PartitionQueue queue_of(_Batch batch)
