from pyproducer.core.effects cimport Send
from pyproducer.protocol.connection cimport ClientConnection


cdef class BrokerTransport:
    cdef public object owner
    cdef public int node
    cdef public object address
    cdef public object host
    cdef object _explain
    cdef bint _connected
    cdef bint _answered
    cdef bint _asks
    cdef object _step
    cdef ClientConnection _wire
    cdef public object _transport
    cdef bint _paused
    cdef object _unanswerable
    cdef bint _unconfirmed
    cdef bint _over
    cdef public bint torn

    cpdef send(self, Send request)
    cdef _write(self)
    cdef _report_written(self)
