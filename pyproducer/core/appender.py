"""The appender: stations 1 to 4 of a record's path, in Cython where it is built, else in Python.

What a producer's method is called with goes in; a record in the open batch of its partition and
a :class:`Delivery` come out. Both twins promise the rest of the engine the same:

* A call either queues its record whole, or raises and leaves no trace of it.
* Records of one partition are in their batches in the order of the calls.
* ``take()`` tells which batches were opened, closed and hurried since the last call; between two
  calls the host is woken once, by the first append that the engine must know of. It is told of
  each batch that an append fills, by that append.
* A batch's bytes never change once it is closed; they go once they are compressed or settled.
* Where there is a lock, every method may be called from any thread; the user's own functions
  (serializers, partitioner) run outside it.

``PYPRODUCER_PURE=1`` in the environment takes the Python twin even where the other is built.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pyproducer._pure import PURE

__all__ = [
    "ACCELERATED",
    "ACKED",
    "CLOSED",
    "FAILED",
    "OPEN",
    "SPLIT",
    "Appender",
    "Batch",
    "Delivery",
    "Handles",
    "OutcomeWait",
    "PartitionState",
    "Prepared",
    "RoomWait",
    "TopicAppender",
    "TopicState",
    "coroutine_method",
    "run_watchers",
]

#: True where the Cython twin is in use.
ACCELERATED = False

if TYPE_CHECKING or PURE:
    from pyproducer.core import _appender_py as _twin
else:
    try:
        from pyproducer.core import _appender as _twin
    except ImportError:
        from pyproducer.core import _appender_py as _twin
    else:
        ACCELERATED = True

ACKED = _twin.ACKED
CLOSED = _twin.CLOSED
FAILED = _twin.FAILED
OPEN = _twin.OPEN
SPLIT = _twin.SPLIT
Appender = _twin.Appender
Batch = _twin.Batch
Delivery = _twin.Delivery
Handles = _twin.Handles
PartitionState = _twin.PartitionState
Prepared = _twin.Prepared
#: None in pure Python, whose calls wait on futures of the event loop's own.
OutcomeWait: Any = getattr(_twin, "OutcomeWait", None)
RoomWait: Any = getattr(_twin, "RoomWait", None)
TopicAppender = _twin.TopicAppender
TopicState = _twin.TopicState
run_watchers = _twin.run_watchers


def coroutine_method(method: Any, like: Any) -> Any:
    """``method`` of one of these classes, which returns coroutines, as a coroutine function.

    Args:
        method: what is called.
        like: the method that it stands for, a function with ``self``: what it is documented by.
    """
    # Python knows by itself.
    kind: Any = getattr(_twin, "CoroutineMethod", None)
    return method if kind is None else kind(method, like)
