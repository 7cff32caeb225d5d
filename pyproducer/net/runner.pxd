cimport cython

from pyproducer.core.budget cimport WaitLine
from pyproducer.core.delivery cimport Deliveries
from pyproducer.core.engine cimport Engine
from pyproducer.net.pool cimport Pool


cdef class Runner:
    cdef object _monotonic
    cdef object _client_id
    cdef object _secure
    cdef bint _shared
    cdef Engine _engine
    cdef object _loop
    cdef unsigned long _thread
    cdef public Pool _pool
    cdef object _timer
    cdef object _bell
    cdef double _timer_at
    cdef bint _asked
    cdef bint _telling
    cdef bint _owed
    cdef object _line
    cdef bint _stepping
    cdef object _compressor
    cdef list _watchers
    cdef bint _forked
    cdef object _refuse

    cpdef ask(self)
    cpdef wake(self)
    cpdef future(self)
    cpdef check_loop(self)
    @cython.locals(engine=Engine, busy=bint)
    cpdef _step(self)
    @cython.locals(engine=Engine, deliveries=Deliveries, waiters=WaitLine, straight=bint)
    cdef _tell(self)
    @cython.locals(engine=Engine)
    cdef _go_on(self)
    cdef _pay(self)
    cdef _look(self)
    @cython.locals(engine=Engine)
    cdef _arm(self)
    cdef _perform(self, effect)
    @cython.locals(engine=Engine, now=double, stirred=bint)
    cpdef node_answered(self, int node, answers)
