cimport cython

from pyproducer.core.accumulator cimport Node
from pyproducer.core.effects cimport Send
from pyproducer.core.stats cimport Stats


cdef class Links:
    cdef public Node meta
    cdef public Node coordinator
    cdef public Node group
    cdef public dict _special
    cdef public object features
    cdef public object newest_produce
    cdef object _features_epoch
    cdef public bint contacted
    cdef public bint heard
    cdef public int hang_ups
    cdef public list failed_addresses
    cdef public dict refusals
    cdef public object sessions
    cdef object _cluster
    cdef list _effects
    cdef Stats _stats
    cdef object _backoff
    cdef object _setup_timeout
    cdef double _max_idle
    cdef set _logged
    cdef double _request_timeout
    cdef int _max_in_flight
    cdef bint _expect_acks
    cdef public list brokers
    cdef dict _nodes
    cdef long long _tags
    cdef public dict _sent_at

    cpdef Node node(self, int node_id)
    @cython.locals(tag=object)
    cpdef send(self, Node node, message, list batches, double now, max_version=*)
    @cython.locals(node=Node, took=double, full=bint)
    cpdef tuple answered(self, int node_id, tag, double now)
    cpdef look_after(self, Node node, double now)
    cdef bint _has_moved(self, Node node)
    cpdef int limit(self, Node node)
    cpdef bint may_send(self, Node node, double now)
    @cython.locals(at=double)
    cpdef double deadline(self, Node node)
