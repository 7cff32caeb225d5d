cimport cython

from pyproducer.protocol.frame cimport FrameReader


cdef class ClientConnection:
    cdef public str client_id
    cdef public bint ready
    cdef public object error
    cdef public dict versions
    cdef public dict features
    cdef public object features_epoch
    cdef public double session_lifetime
    cdef object _mechanism
    cdef object _exchange
    cdef list _held
    cdef bint _accepted
    cdef object _handshake
    cdef FrameReader _reader
    cdef object _pending
    cdef list _answers
    cdef list _outgoing
    cdef long long _next_id
    cdef object _first_silent
    cdef bint _started
    cdef dict _chosen

    cpdef send(self, message, tag, bint expect_response=*, newest=*)
    cpdef list data_to_send(self)
    cpdef get_buffer(self, Py_ssize_t hint=*)
    cpdef buffer_updated(self, Py_ssize_t count)
    cpdef list answers(self)
    cdef _queue(self, message, version, tag, bint expect_response=*)
    @cython.locals(reader=FrameReader)
    cdef _read_frames(self)
    cdef _read_frame(self, frame)
