cimport cython

from pyproducer.core.effects cimport Send
from pyproducer.net.transport cimport BrokerTransport


cdef class Pool:
    cdef object _owner
    cdef object _loop
    cdef object _client_id
    cdef object _security
    cdef object _resolver
    cdef dict _transports
    cdef dict _opening
    cdef set _tasks
    cdef public set _sockets
    cdef object _emptied

    @cython.locals(transport=BrokerTransport)
    cpdef send(self, Send effect)
    cpdef answered(self, BrokerTransport transport, list answers)
