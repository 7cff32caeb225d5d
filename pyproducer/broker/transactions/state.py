"""The states of a transactional id and every legal move between them.

::

    Empty --> Ongoing --> PrepareCommit --> CompleteCommit --,
      ^         |  |                                         |
      |         |  '----> PrepareAbort ---> CompleteAbort ---+--> (Ongoing, Empty, Dead)
      |         v            ^                               |
      |   PrepareEpochFence -'                               |
      '------------------------------------------------------'

A Prepare state is the decision: once it is stored the transaction ends that way, whatever fails
meanwhile. PrepareEpochFence is never stored; it is what an ongoing transaction is called between
the moment its producer is shut out and the decision to abort it.
"""

from __future__ import annotations

from enum import Enum, StrEnum


class TransactionState(StrEnum):
    """The states; the values are the names that admin clients show."""

    EMPTY = "Empty"
    ONGOING = "Ongoing"
    PREPARE_COMMIT = "PrepareCommit"
    PREPARE_ABORT = "PrepareAbort"
    COMPLETE_COMMIT = "CompleteCommit"
    COMPLETE_ABORT = "CompleteAbort"
    DEAD = "Dead"
    PREPARE_EPOCH_FENCE = "PrepareEpochFence"


EMPTY = TransactionState.EMPTY
ONGOING = TransactionState.ONGOING
PREPARE_COMMIT = TransactionState.PREPARE_COMMIT
PREPARE_ABORT = TransactionState.PREPARE_ABORT
COMPLETE_COMMIT = TransactionState.COMPLETE_COMMIT
COMPLETE_ABORT = TransactionState.COMPLETE_ABORT
DEAD = TransactionState.DEAD
PREPARE_EPOCH_FENCE = TransactionState.PREPARE_EPOCH_FENCE

#: In the order of the numbers that stand for them in `__transaction_state`.
STATES = tuple(TransactionState)
#: Decided, and not yet told to every partition.
PREPARED = frozenset({PREPARE_COMMIT, PREPARE_ABORT})
#: Nothing is under way.
IDLE = frozenset({EMPTY, COMPLETE_COMMIT, COMPLETE_ABORT})


class Move(Enum):
    """What can happen to a transactional id."""

    INITIALISE = "a producer takes the id"
    ADD = "a partition is written to"
    FENCE = "the producer is shut out"
    COMMIT = "the producer decides to commit"
    ABORT = "somebody decides to abort"
    COMPLETE = "every partition has its marker"
    EXPIRE = "the id was not used for long"


# A pair that is not here is a bug, not a state.
MOVES: dict[tuple[TransactionState, Move], TransactionState] = {
    (EMPTY, Move.INITIALISE): EMPTY,
    (COMPLETE_COMMIT, Move.INITIALISE): EMPTY,
    (COMPLETE_ABORT, Move.INITIALISE): EMPTY,
    (EMPTY, Move.ADD): ONGOING,
    (COMPLETE_COMMIT, Move.ADD): ONGOING,
    (COMPLETE_ABORT, Move.ADD): ONGOING,
    (ONGOING, Move.ADD): ONGOING,
    (ONGOING, Move.FENCE): PREPARE_EPOCH_FENCE,
    (ONGOING, Move.COMMIT): PREPARE_COMMIT,
    (ONGOING, Move.ABORT): PREPARE_ABORT,
    (PREPARE_EPOCH_FENCE, Move.ABORT): PREPARE_ABORT,
    # KIP-890: a producer that does not know if it has written anything aborts all the same.
    (EMPTY, Move.ABORT): PREPARE_ABORT,
    (COMPLETE_COMMIT, Move.ABORT): PREPARE_ABORT,
    (COMPLETE_ABORT, Move.ABORT): PREPARE_ABORT,
    (PREPARE_COMMIT, Move.COMPLETE): COMPLETE_COMMIT,
    (PREPARE_ABORT, Move.COMPLETE): COMPLETE_ABORT,
    (EMPTY, Move.EXPIRE): DEAD,
    (COMPLETE_COMMIT, Move.EXPIRE): DEAD,
    (COMPLETE_ABORT, Move.EXPIRE): DEAD,
}
