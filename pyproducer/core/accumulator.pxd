cimport cython

from pyproducer.core._appender cimport Batch as _Batch, PartitionState as _PartitionState
from pyproducer.core.batch cimport SealedBatch
from pyproducer.core.window cimport Window


cdef class PartitionQueue:
    cdef public _PartitionState state
    cdef public str topic
    cdef public long number
    cdef public int leader
    cdef public int leader_epoch
    cdef public list waiting
    cdef public list in_flight
    cdef public list held
    cdef public bint line
    cdef public long long due
    cdef public double muted_until
    cdef public long long producer_id
    cdef public int epoch
    cdef public long long next_sequence
    cdef public long long next_order
    cdef public int stamped
    cdef public bint proven
    cdef public bint recovering

    cpdef bint has_work(self)
    @cython.locals(batch=_Batch)
    cpdef bint open_is_due(self)
    cpdef long long place(self)
    @cython.locals(other=SealedBatch)
    cpdef bint is_behind(self, SealedBatch sealed)
    cpdef put_back(self, SealedBatch sealed)
    @cython.locals(sealed=SealedBatch)
    cpdef bint takes_new(self, bint idempotent)
    @cython.locals(head=SealedBatch, sealed=SealedBatch, last=SealedBatch)
    cpdef SealedBatch next(self, double now, bint idempotent)


cdef class Node:
    cdef public int node_id
    cdef public str host
    cdef public object port
    cdef public tuple at
    cdef public bint connected
    cdef public bint connecting
    cdef public double retry_at
    cdef public int failures
    cdef public object line
    cdef public dict in_flight
    cdef public double throttled_until
    cdef public double used_at
    cdef public double idle_at
    cdef public Window window
    cdef public object settled_in
    cdef public double renew_at
    cdef public double session_ends
    cdef public bint renewing
    cdef public int renewals
    cdef public str trouble

    cpdef double oldest_deadline(self)
