cimport cython

from pyproducer.core._appender cimport Batch as _Batch
from pyproducer.core.accumulator cimport Node, PartitionQueue
from pyproducer.core.batch cimport SealedBatch
from pyproducer.core.settler cimport Settler
from pyproducer.core.stats cimport Stats


cdef class Sender:
    cdef object _acks
    cdef bint _idempotent
    cdef object _timeout_ms
    cdef object _delivery_timeout_ms
    cdef Py_ssize_t _max_request_size
    cdef object _retries
    cdef object _backoff
    cdef object _appender
    cdef Settler _settler
    cdef object _identity
    cdef Stats _stats
    cdef object _host
    cdef object _transactions
    cdef object _transactional_id

    @cython.locals(
        room=Py_ssize_t, size=Py_ssize_t, queue=PartitionQueue, sealed=SealedBatch, chosen=list
    )
    cpdef tuple fill(self, Node node, double now)
    @cython.locals(queue=PartitionQueue, sealed=SealedBatch, batches=list)
    cdef _request(self, list chosen)
    @cython.locals(
        records=Py_ssize_t,
        plain=Py_ssize_t,
        retries=Py_ssize_t,
        sealed=SealedBatch,
        batch=_Batch,
        stats=Stats,
    )
    cdef _count(self, list chosen, Py_ssize_t size)
    cdef bint _stamp(self, PartitionQueue queue, SealedBatch sealed)
    cdef SealedBatch _choose(self, PartitionQueue queue, double now)
    @cython.locals(
        sealed=SealedBatch, queue=PartitionQueue, plain=bint, topics=dict, parts=dict, found=dict
    )
    cpdef bint on_answer(self, Node node, list batches, response, double now)
    @cython.locals(queue=PartitionQueue)
    cdef bint _acknowledged(self, SealedBatch sealed, response)
    @cython.locals(queue=PartitionQueue)
    cdef _accept(self, SealedBatch sealed, base_offset, log_append_time_ms)
    @cython.locals(queue=PartitionQueue)
    cdef _leave(self, SealedBatch sealed)
    @cython.locals(queue=PartitionQueue)
    cdef _judge(self, Node node, SealedBatch sealed, part, response, double now)
