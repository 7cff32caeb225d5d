# cython: language_level=3, binding=False
# cython: freethreading_compatible=True
"""RecordMetadata in Cython: a caller that looks at every outcome makes a million of them a second.

The twin of the dataclass in ``model.py``. Numbers stay numbers until somebody asks for them, and
the garbage collector, which finds nothing in them, does not visit them.
"""

cimport cython
from libc.stdint cimport int64_t

from operator import index
from sys import intern

cdef extern from "Python.h":
    object PyObject_GenericGetAttr(object one, object name)

cdef tuple _TYPES = ()
cdef object _restore = None
cdef str _OFFSET = intern("offset")


def bind(types, restore, twin):
    """Take over timestamp types, the function that unpickling calls, and the twin's fields."""
    global _TYPES, _restore
    _TYPES = tuple(types)
    _restore = restore
    RecordMetadata.__dataclass_fields__.update(twin.__dataclass_fields__)


@cython.final
@cython.no_gc
@cython.freelist(256)
cdef class RecordMetadata:
    """Where an acknowledged record is; see :class:`pyproducer.model.RecordMetadata`."""

    __match_args__ = ("topic", "partition", "offset", "timestamp_ms", "timestamp_type")
    # For dataclasses.asdict(), replace(), fields(), and for those who write dataclasses as JSON.
    __dataclass_fields__ = {}

    def __init__(self, str topic not None, partition, offset, timestamp_ms, timestamp_type=0):
        # C alone would make an int of any float.
        cdef int kind = index(timestamp_type)
        if not 0 <= kind < len(_TYPES):
            raise ValueError(f"timestamp_type={timestamp_type} is not a TimestampType")
        self.topic = topic
        self.partition = index(partition)
        self.offset = index(offset)
        self.timestamp_ms = index(timestamp_ms)
        self._type = kind

    def __getattribute__(self, name):
        # What nearly everybody asks for, and nothing else: the way through type, dict and
        # descriptor takes longer than all that made the answer.
        return self.offset if name is _OFFSET else PyObject_GenericGetAttr(self, name)

    @property
    def timestamp_type(self):
        """Whose timestamp it is."""
        return _TYPES[self._type]

    def _fields(self):
        return self.topic, self.partition, self.offset, self.timestamp_ms, self.timestamp_type

    def __repr__(self):
        return (
            f"RecordMetadata(topic={self.topic!r}, partition={self.partition}, "
            f"offset={self.offset}, timestamp_ms={self.timestamp_ms}, "
            f"timestamp_type={self.timestamp_type!r})"
        )

    def __eq__(self, other):
        cdef RecordMetadata one
        if type(other) is not RecordMetadata:
            return NotImplemented
        one = other
        return (
            self.offset == one.offset
            and self.partition == one.partition
            and self.timestamp_ms == one.timestamp_ms
            and self._type == one._type
            and self.topic == one.topic
        )

    def __hash__(self):
        return hash(self._fields())

    def __reduce__(self):
        return _restore, self._fields()
