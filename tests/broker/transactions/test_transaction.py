"""A transactional id from move to move."""

from __future__ import annotations

from itertools import count

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pyproducer.broker.errors import Refused
from pyproducer.broker.transactions.admission import check_end, check_initialise, check_member
from pyproducer.broker.transactions.state import (
    COMPLETE_ABORT,
    COMPLETE_COMMIT,
    EMPTY,
    ONGOING,
    PREPARED,
    TransactionState,
)
from pyproducer.broker.transactions.transaction import LAST_EPOCH, Identity, Transaction
from pyproducer.model import TopicPartition
from pyproducer.protocol.error_codes import ErrorCode

T0 = TopicPartition("t", 0)
T1 = TopicPartition("t", 1)


def made(**fields) -> Transaction:
    known = {"transactional_id": "tx", "producer_id": 7, "timeout_ms": 100, "update_ms": 0}
    return Transaction(**(known | fields))


def no_id() -> int:
    raise AssertionError("no producer id was needed")


def code_of(check, *args, **options) -> int:
    try:
        check(*args, **options)
    except Refused as refused:
        return refused.code
    return 0


def test_first_epoch_is_0():
    """
    X2: the first holder of a name has epoch 0, each one after it the next.
    """
    first = made().initialised(None, 50, no_id, 1)
    second = first.initialised(None, 60, no_id, 2)

    assert [Identity(7, 0), Identity(7, 1)] == [first.identity, second.identity]
    assert (60, EMPTY) == (second.timeout_ms, second.state)


def test_used_up_epochs_give_a_new_id():
    """
    X2: after epoch 32766 comes another producer id with epoch 0.
    """
    last = made(epoch=LAST_EPOCH - 1).initialised(None, 50, no_id, 1)
    after = last.initialised(None, 50, lambda: 8, 2)

    assert Identity(7, LAST_EPOCH) == last.identity
    assert (Identity(8, 0), 7) == (after.identity, after.previous_producer_id)


def test_resuming_producer_gets_the_next_epoch_once():
    """
    X2, KIP-360: a producer that names itself goes on; asking again gives the same epoch, and
    whoever names an older one is fenced.
    """
    before = made(epoch=4)
    holder = Identity(7, 4)
    after = before.initialised(holder, 50, no_id, 1)
    again = after.initialised(holder, 50, no_id, 2)

    assert Identity(7, 5) == after.identity == again.identity
    assert 0 == code_of(check_initialise, after, holder)
    for stranger in (Identity(7, 3), Identity(7, 6), Identity(9, 4)):
        assert ErrorCode.PRODUCER_FENCED == code_of(check_initialise, after, stranger)


def test_resuming_after_the_last_epoch_can_be_repeated():
    """
    X2, KIP-360: also where the answer that got lost had a new producer id.
    """
    holder = Identity(7, LAST_EPOCH)
    after = made(epoch=LAST_EPOCH).initialised(holder, 50, lambda: 8, 1)

    assert 0 == code_of(check_initialise, after, holder)
    assert Identity(8, 0) == after.initialised(holder, 50, no_id, 2).identity


def test_late_copy_of_init_does_not_abort_what_has_begun():
    """
    KIP-360: a copy of a request that was granted, arriving inside the next transaction, is fenced.
    """
    holder = Identity(7, 4)
    after = made(epoch=4).initialised(holder, 50, no_id, 1).adding([T0], 0, 2)

    assert ErrorCode.PRODUCER_FENCED == code_of(check_initialise, after, holder)


@pytest.mark.parametrize("commit", [True, False])
def test_a_transaction_begins_with_its_first_partition(commit: bool):
    """
    X1: partitions collect until the end, then the next transaction starts with none.
    """
    begun = made(epoch=0).adding([T0], 0, 10).adding([T1], 0, 20)
    ended = begun.ended(commit=commit, now_ms=30)
    done = ended.completed(40)
    again = done.adding([T1], 0, 50)

    assert (ONGOING, {T0, T1}, 10) == (begun.state, begun.partitions, begun.start_ms)
    assert ({T0, T1}, commit) == (ended.partitions, ended.commits)
    assert (COMPLETE_COMMIT if commit else COMPLETE_ABORT, frozenset()) == (
        done.state,
        done.partitions,
    )
    assert ({T1}, 50) == (again.partitions, again.start_ms)


def test_x3_timeout_is_counted_from_the_first_partition():
    """
    X3: a transaction times out when it is open for longer than its timeout; an idle id never does.
    """
    begun = made(epoch=0, timeout_ms=100).adding([T0], 0, 1000)

    assert [False, True] == [begun.has_timed_out(now) for now in (1100, 1101)]
    assert not made(epoch=0).has_timed_out(1 << 60)


def test_x6_only_partitions_of_the_open_transaction_are_members():
    """
    X6: membership ends with the transaction; who has another id or epoch is refused first.
    """
    holder = Identity(7, 0)
    begun = made(epoch=0).adding([T0], 0, 1)
    ended = begun.ended(commit=True, now_ms=2)

    assert 0 == code_of(check_member, begun, holder, T0)
    assert ErrorCode.TRANSACTION_ABORTABLE == code_of(check_member, begun, holder, T1)
    assert ErrorCode.CONCURRENT_TRANSACTIONS == code_of(check_member, ended, holder, T0)
    done = ended.completed(3)
    assert ErrorCode.TRANSACTION_ABORTABLE == code_of(check_member, done, holder, T0)
    stranger, old = Identity(8, 0), Identity(7, -1)
    assert ErrorCode.INVALID_PRODUCER_ID_MAPPING == code_of(check_member, begun, stranger, T0)
    assert ErrorCode.PRODUCER_FENCED == code_of(check_member, begun, old, T0)


#: EndTxn without a bump in each state, when asked to commit and when asked to abort.
DONE, GO = "done", "go"
CONCURRENT, INVALID = ErrorCode.CONCURRENT_TRANSACTIONS, ErrorCode.INVALID_TXN_STATE
ENDS = {
    "Empty": (INVALID, INVALID),
    "Ongoing": (GO, GO),
    "PrepareCommit": (CONCURRENT, INVALID),
    "PrepareAbort": (INVALID, CONCURRENT),
    "CompleteCommit": (DONE, INVALID),
    "CompleteAbort": (INVALID, DONE),
}
#: With a bump, asked with the present epoch, and asked again with the one before.
BUMPED_ENDS = ENDS | {
    "Empty": (INVALID, GO),
    "PrepareCommit": (ErrorCode.PRODUCER_FENCED, ErrorCode.PRODUCER_FENCED),
    "PrepareAbort": (ErrorCode.PRODUCER_FENCED, ErrorCode.PRODUCER_FENCED),
    "CompleteCommit": (INVALID, GO),
    "CompleteAbort": (INVALID, GO),
}
FENCED = ErrorCode.PRODUCER_FENCED
REPEATED_ENDS = ENDS | {"Empty": (FENCED, FENCED), "Ongoing": (FENCED, FENCED)}


@pytest.mark.parametrize("name", ENDS)
@pytest.mark.parametrize("commit", [True, False])
@pytest.mark.parametrize(
    ("bump", "epoch", "table"),
    [(False, 4, ENDS), (True, 4, BUMPED_ENDS), (True, 3, REPEATED_ENDS)],
    ids=["v1", "v2", "v2 again"],
)
def test_end_in_every_state(name: str, commit: bool, bump: bool, epoch: int, table: dict):
    """
    X1, X8: what EndTxn does in each state, the way Kafka's table has it.
    """
    transaction = made(epoch=4, state=TransactionState(name))
    try:
        found = GO if check_end(transaction, Identity(7, epoch), commit=commit, bump=bump) else DONE
    except Refused as refused:
        found = refused.code

    assert table[name][0 if commit else 1] == found


def test_x8_end_gives_the_next_epoch():
    """
    X8: with the new protocol the markers already carry the epoch that the producer gets.
    """
    begun = made(epoch=3).adding([T0], 2, 1)
    ended = begun.ended_with_bump(commit=True, new_id=no_id, now_ms=2)

    assert (7, 4) == (ended.producer_id, ended.epoch)
    assert Identity(7, 4) == ended.identity == ended.completed(3).identity


def test_x8_end_at_the_last_epoch_gives_a_new_id():
    """
    X8: the markers go out under the old id with epoch 32767, the producer goes on with a new one.
    """
    begun = made(epoch=LAST_EPOCH).adding([T0], 2, 1)
    ended = begun.ended_with_bump(commit=False, new_id=lambda: 8, now_ms=2)
    done = ended.completed(3)

    assert (7, LAST_EPOCH + 1, Identity(8, 0)) == (
        ended.producer_id,
        ended.epoch,
        ended.identity,
    )
    assert (8, 0, 7) == (done.producer_id, done.epoch, done.previous_producer_id)
    assert not check_end(done, Identity(7, LAST_EPOCH), commit=False, bump=True)


@given(st.lists(st.sampled_from(["init", "add", "commit", "abort", "bump", "fence", "expire"])))
def test_epochs_never_go_back(steps: list[str]):
    """
    X2: whatever happens, (position of the producer id, epoch) only grows, and stays in an int16.
    """
    ids = count(8)
    transaction = made(epoch=LAST_EPOCH - 2)
    seen = [transaction.identity]
    for now, step in enumerate(steps):
        state = transaction.state
        if state in PREPARED:
            transaction = transaction.completed(now)
        elif step == "init" and state is not ONGOING:
            transaction = transaction.initialised(None, 5, lambda: next(ids), now)
        elif step == "add" and transaction.epoch <= LAST_EPOCH:
            transaction = transaction.adding([T0], 0, now)
        elif step in {"commit", "abort"} and state is ONGOING:
            transaction = transaction.ended(commit=step == "commit", now_ms=now)
        elif step == "bump" and state is ONGOING:
            transaction = transaction.ended_with_bump(
                commit=True, new_id=lambda: next(ids), now_ms=now
            )
        elif step == "fence" and state is ONGOING:
            transaction = transaction.fenced(now).ended(commit=False, now_ms=now)
        seen.append(transaction.identity)
        assert -1 <= transaction.epoch < 1 << 15

    assert sorted(seen) == seen
