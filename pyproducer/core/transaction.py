"""Where a transactional producer stands: its states, and what leads from one to another.

::

    UNREADY <> READYING -> READY -> OPEN -> COMMITTING -> READY
                                     |          |
                                     +-> DOOMED <+            a record or a request failed
                                     |     |
                                     +-----+--> ABORTING -> READY
    every state -> DEAD                                       another producer took over, ...
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum
from types import MappingProxyType
from typing import Final, Protocol

from pyproducer.core.accumulator import PartitionQueue
from pyproducer.errors import TransactionError

__all__ = ["TRANSITIONS", "WAY_OUT", "Event", "State", "TransactionHost"]


class State(Enum):
    """Where a transactional producer stands; the value completes "the transaction is ..."."""

    UNREADY = "not initialised"
    READYING = "being initialised"
    READY = "not begun"
    OPEN = "open"
    COMMITTING = "being committed"
    DOOMED = "bound to be aborted"
    ABORTING = "being aborted"
    DEAD = "beyond recovery"


class Event(Enum):
    """What may happen to it; the value is how it is called where it may not."""

    INITIALISE = "initialise"
    BEGIN = "begin a transaction"
    COMMIT = "commit"
    ABORT = "abort"
    END = "end"
    FAIL = "fail"
    DIE = "die"


#: The state that an event leads to. A pair that is not here cannot happen, or is a caller's
#: mistake.
TRANSITIONS: Final[Mapping[tuple[State, Event], State]] = MappingProxyType(
    {
        (State.UNREADY, Event.INITIALISE): State.READYING,
        (State.READYING, Event.END): State.READY,
        (State.READYING, Event.FAIL): State.UNREADY,
        (State.READY, Event.BEGIN): State.OPEN,
        (State.OPEN, Event.COMMIT): State.COMMITTING,
        (State.OPEN, Event.ABORT): State.ABORTING,
        (State.OPEN, Event.FAIL): State.DOOMED,
        (State.COMMITTING, Event.FAIL): State.DOOMED,
        (State.COMMITTING, Event.END): State.READY,
        (State.DOOMED, Event.FAIL): State.DOOMED,
        (State.DOOMED, Event.ABORT): State.ABORTING,
        (State.ABORTING, Event.FAIL): State.ABORTING,
        (State.ABORTING, Event.END): State.READY,
        **{(state, Event.DIE): State.DEAD for state in State},
    }
)

#: What to do first where a call is refused in a state.
WAY_OUT: Final[Mapping[State, str]] = MappingProxyType(
    {
        State.READY: "; begin one with 'async with producer.transaction():' or begin_transaction()",
        State.OPEN: "; commit or abort it first",
        State.COMMITTING: "; call commit_transaction() again to learn its outcome",
    }
)


class TransactionHost(Protocol):
    """What transactions ask of the engine around them."""

    def close_open(self, now: float) -> None:
        """Close every batch that still fills: it leaves without lingering."""

    def drop_unsent(self, reason: str, now: float) -> None:
        """Fail everything that is not on the wire as part of an aborted transaction."""

    def ready(self, queue: PartitionQueue) -> None:
        """The partition may have something to send."""

    def dismiss(self) -> None:
        """Tell those who wait for buffer room that their records are not taken now."""

    def die(self, error: TransactionError, now: float) -> None:
        """The producer is of no use any more."""
