"""The table of legal moves."""

from __future__ import annotations

import pytest

from pyproducer.broker.transactions.state import (
    DEAD,
    IDLE,
    MOVES,
    ONGOING,
    PREPARE_EPOCH_FENCE,
    PREPARED,
    STATES,
    Move,
    TransactionState,
)


def reachable(start: TransactionState) -> set[TransactionState]:
    found = {start}
    while more := {to for (state, _), to in MOVES.items() if state in found} - found:
        found |= more
    return found


def test_numbers_are_kafkas():
    """
    X1: the states have the numbers and names that Kafka stores and shows.
    """
    assert [
        "Empty",
        "Ongoing",
        "PrepareCommit",
        "PrepareAbort",
        "CompleteCommit",
        "CompleteAbort",
        "Dead",
        "PrepareEpochFence",
    ] == [str(state) for state in STATES]


@pytest.mark.parametrize("state", STATES)
def test_every_state_has_a_way_on(state: TransactionState):
    """
    From every state but Dead a transaction can become idle and then dead; nothing revives.
    """
    if state is DEAD:
        assert {DEAD} == reachable(state)
    else:
        assert {*IDLE, DEAD, ONGOING} <= reachable(state)


@pytest.mark.parametrize("state", sorted(PREPARED))
def test_a_decision_stands(state: TransactionState):
    """
    X1: from a Prepare state there is one way, to its own Complete state.
    """
    assert {(Move.COMPLETE, TransactionState(state.replace("Prepare", "Complete")))} == {
        (move, to) for (start, move), to in MOVES.items() if start is state
    }


def test_a_fence_leads_to_an_abort():
    """
    X3: once its producer is shut out a transaction can only be aborted.
    """
    assert [Move.ABORT] == [move for state, move in MOVES if state is PREPARE_EPOCH_FENCE]
