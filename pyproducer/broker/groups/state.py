"""The states of a group and every legal move between them."""

from __future__ import annotations

from enum import Enum, StrEnum


class GroupState(StrEnum):
    """The states of a classic group; the values are the names that admin clients show."""

    EMPTY = "Empty"
    PREPARING_REBALANCE = "PreparingRebalance"
    COMPLETING_REBALANCE = "CompletingRebalance"
    STABLE = "Stable"
    DEAD = "Dead"


EMPTY = GroupState.EMPTY
PREPARING = GroupState.PREPARING_REBALANCE
COMPLETING = GroupState.COMPLETING_REBALANCE
STABLE = GroupState.STABLE
DEAD = GroupState.DEAD


class Move(Enum):
    """What can happen to a group's state."""

    PREPARE = "a rebalance begins"
    GENERATE = "the join phase ends with members"
    DESERT = "the join phase ends without members"
    ASSIGN = "the leader's assignment is stored"
    DIE = "the group is removed"


# A pair that is not here is a bug, not a state.
MOVES: dict[tuple[GroupState, Move], GroupState] = {
    (EMPTY, Move.PREPARE): PREPARING,
    (STABLE, Move.PREPARE): PREPARING,
    (COMPLETING, Move.PREPARE): PREPARING,
    (PREPARING, Move.GENERATE): COMPLETING,
    (PREPARING, Move.DESERT): EMPTY,
    (COMPLETING, Move.ASSIGN): STABLE,
    (EMPTY, Move.DIE): DEAD,
    (PREPARING, Move.DIE): DEAD,
    (COMPLETING, Move.DIE): DEAD,
    (STABLE, Move.DIE): DEAD,
}
