from pyproducer.net.transport cimport BrokerTransport

cimport cython


cdef class Pool:
    cdef object _owner
    cdef object _loop
    cdef object _client_id
    cdef object _resolver
    cdef dict _transports
    cdef dict _opening
    cdef set _tasks
    cdef public set _sockets
    cdef object _emptied

    @cython.locals(transport=BrokerTransport)
    cpdef send(self, effect)
    cpdef answered(self, BrokerTransport transport, list answers)
