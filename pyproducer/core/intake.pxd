cimport cython

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
    cpdef expire(self, double now)
    cpdef absorb(self, double now, shelf=*)
    @cython.locals(created=double)
    cdef _note(self, list opened, double now, shelf)
    @cython.locals(queue=PartitionQueue, sealed=SealedBatch)
    cdef _seal(self, batch)
    @cython.locals(queue=PartitionQueue)
    cdef _make_due(self, batch)
