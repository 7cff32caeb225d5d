"""What the engine sees of the appender's objects, so that it need not ask for them by name."""

cimport cython
from libc.stdint cimport int64_t

cdef class Batch
cdef class TopicState


@cython.final
cdef class RecordBuffer:
    cdef char *data
    cdef Py_ssize_t size
    cdef Py_ssize_t capacity

    cdef int reserve(self, Py_ssize_t capacity) except -1


@cython.final
cdef class TopicState:
    #: An Appender.
    cdef public object appender
    cdef public str name
    #: None until metadata came.
    cdef public list partitions
    #: Numbers of the partitions that have a leader; all, where none has.
    cdef public list available
    #: The partition that records with nothing to hash go to until its batch closes.
    cdef public int sticky
    cdef public object function
    cdef public Batch shelf
    #: The TopicAppender of calls without a handle.
    cdef public object default
    #: How its batches are compressed; None for the producer's own way.
    cdef public object codec


@cython.final
cdef class PartitionState:
    cdef public TopicState topic
    cdef public int number
    cdef public Batch open
    #: The engine's own object for this partition.
    cdef public object queue
    #: Bytes of its closed batches that have no outcome.
    cdef public Py_ssize_t pending


@cython.final
cdef class Batch:
    cdef public PartitionState home
    cdef public object error
    cdef public object record_errors
    cdef public bytearray seen
    cdef public list parts
    #: Deliveries and their callbacks or futures in turns, told in order; None where nobody waits.
    cdef public list watchers
    #: How many of them have been told.
    cdef public Py_ssize_t told
    cdef public list shelved
    cdef public object sealed
    #: The codec that its body is compressed by already; None where that was not begun.
    cdef public object codec
    cdef RecordBuffer buffer
    cdef public long long serial
    cdef public int state
    cdef public int count
    cdef public Py_ssize_t size
    cdef public Py_ssize_t charged
    #: What of that is for the batch itself, handles and callbacks.
    cdef public Py_ssize_t beside
    cdef public double created
    #: Its number in the group that came to know it last.
    cdef int group_number
    cdef public bint urgent
    cdef public bint expected
    cdef public int64_t base_timestamp
    cdef public int64_t max_timestamp
    cdef public int64_t base_offset
    cdef public int64_t log_append_time

    cpdef watch(self, delivery, watcher)
    cdef Py_ssize_t watching(self) noexcept
    cpdef body(self)
    cpdef drop_body(self)
    cpdef acknowledge(self, int64_t base_offset, int64_t log_append_time)
