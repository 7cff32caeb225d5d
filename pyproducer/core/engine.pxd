cimport cython

from pyproducer.core.accumulator cimport Node, PartitionQueue
from pyproducer.core.batch cimport SealedBatch
from pyproducer.core.budget cimport WaitLine
from pyproducer.core.intake cimport Intake
from pyproducer.core.links cimport Links
from pyproducer.core.metadata cimport Cluster
from pyproducer.core.sender cimport Sender
from pyproducer.core.settler cimport Settler
from pyproducer.core.stats cimport Stats


cdef class Engine:
    cdef object _options
    cdef object _appender
    cdef public object _identity
    cdef public object gate
    cdef list _effects
    cdef bint _stirred
    cdef public bint has_more
    cdef list _again
    cdef long long _again_count
    cdef object _enrolment
    cdef object _fatal
    cdef public Stats stats
    cdef public Settler settler
    cdef public WaitLine waiters
    cdef public Cluster cluster
    cdef public Links _links
    cdef public Intake _intake
    cdef object _topics
    cdef public object transactions
    cdef Sender _sender

    @cython.locals(intake=Intake, node=Node)
    cpdef list poll(self, double now)
    cpdef begin_turn(self)
    @cython.locals(links=Links, node=Node, at=double, other=double)
    cpdef deadline(self)
    @cython.locals(node=Node, batches=list, plain=bint)
    cpdef bint on_answer(self, int node_id, tag, response, double now)
    cpdef seal_open(self, PartitionQueue queue, double now)
    cpdef compress(self, SealedBatch sealed)
    @cython.locals(node=Node)
    cpdef ready(self, PartitionQueue queue)
    @cython.locals(meta=Node, cluster=Cluster, want_metadata=bint, want_identity=bint)
    cdef _ask(self, double now)
    @cython.locals(meta=Node, at=double)
    cdef double _asking_at(self)
    @cython.locals(made=tuple, batches=list)
    cdef _serve(self, Node node, double now)
    cdef _time_out(self, Node node, double now)
