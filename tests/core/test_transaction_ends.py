"""Ends of transactions that come late, twice, or to a coordinator that has ended them already."""

from __future__ import annotations

from typing import Any

import pytest

from pyproducer.core.effects import Effect, Send
from pyproducer.core.transaction import State
from pyproducer.protocol.api import ApiKey
from pyproducer.protocol.error_codes import ErrorCode as E
from tests.helpers.transaction_rig import TransactionRig


class DeafRig(TransactionRig):
    """A coordinator that does not answer one API's next request, and whose connection breaks."""

    deaf_to: ApiKey | None = None

    def _perform(self, effect: Effect) -> None:
        if isinstance(effect, Send) and effect.message.api_key == self.deaf_to:
            self.deaf_to = None
            self.asked.append((self.now, ApiKey(effect.message.api_key), effect.message))
            self.engine.on_disconnected(effect.node, "reset", self.now)
            return
        super()._perform(effect)


def committed(rig: TransactionRig, *, offsets: bool = False) -> None:
    """Commit a transaction with one record."""
    rig.begin()
    delivery = rig.send()
    for sent in rig.advance(0.1):
        rig.answer(sent)
    assert delivery.done()
    if offsets:
        rig.commit_offsets()
        rig.advance(2)
    outcome = rig.transactions.commit(rig.now)
    rig.advance(2)
    assert outcome.done
    assert outcome.error is None
    outcome.told = True


def epoch_of(message: Any) -> int:
    """The producer epoch in a request, whatever the field is called."""
    names = ("producer_epoch", "v3_and_below_producer_epoch")
    return next(getattr(message, name) for name in names if hasattr(message, name))


@pytest.mark.parametrize(
    "api",
    [
        ApiKey.ADD_PARTITIONS_TO_TXN,
        ApiKey.ADD_OFFSETS_TO_TXN,
        ApiKey.TXN_OFFSET_COMMIT,
        ApiKey.END_TXN,
    ],
)
def test_what_may_come_late_is_shut_out_of_the_next_transaction(api):
    """
    A request that outlived its connection may reach the coordinator in the next transaction, and
    would commit half of it in protocol 1; so that has another epoch.
    """
    rig = DeafRig()
    rig.begin()
    rig.transactions.abort(rig.now)
    rig.turn()
    rig.deaf_to = api
    committed(rig, offsets=True)
    since = len(rig.asked)
    committed(rig)

    asked = rig.asked[since:]
    after = [epoch_of(message) for _, api, message in asked if api is not ApiKey.INIT_PRODUCER_ID]
    assert [1, 1] == after


def test_ends_in_protocol_2_need_no_more_epochs():
    """
    There every end brings another epoch by itself.
    """
    rig = DeafRig(two=True)
    rig.begin()
    rig.transactions.abort(rig.now)
    rig.turn()
    rig.deaf_to = ApiKey.END_TXN
    committed(rig)
    committed(rig)

    assert 1 == rig.apis().count(ApiKey.INIT_PRODUCER_ID)


@pytest.mark.parametrize("two", [False, True], ids=["protocol 1", "protocol 2"])
@pytest.mark.parametrize("code", [E.TRANSACTION_ABORTABLE, E.PRODUCER_FENCED])
def test_refused_abort_is_not_asked_for_without_a_pause(two, code):
    """
    A coordinator that refuses an abort in whatever way is not asked at every turn.
    """
    rig = TransactionRig(two=two, transaction_timeout_ms=1000).begin()
    rig.send()
    for sent in rig.advance(0.1):
        rig.answer(sent)
    rig.codes[ApiKey.END_TXN].extend([code] * 5)
    rig.codes[ApiKey.INIT_PRODUCER_ID].extend([E.PRODUCER_FENCED] * 5)
    outcome = rig.transactions.abort(rig.now)
    since = len(rig.asked)
    rig.now += 1.5
    rig.advance(20)

    assert outcome.done
    assert len(rig.asked) - since <= 7


def test_abort_of_what_never_arrived_is_done_once_the_end_before_it_is():
    """
    In protocol 2 a coordinator that still completes the transaction before refuses to abort the
    one that no partition has taken part in: there is nothing to abort, and a new epoch is asked for.
    """
    rig = TransactionRig(two=True, delivery_timeout=0.5, transaction_timeout_ms=60_000)
    committed(rig)
    rig.begin()
    rig.codes[ApiKey.END_TXN].append(E.INVALID_TXN_STATE)
    delivery = rig.send()
    for _ in range(20):
        for sent in rig.advance(0.1):
            rig.answer(sent, E.CONCURRENT_TRANSACTIONS)
    assert not delivery.exception().maybe_written
    outcome = rig.transactions.abort(rig.now)
    rig.advance(5)

    assert outcome.done
    assert outcome.error is None
    assert State.READY is rig.state
    committed(rig)


class SlowRig(TransactionRig):
    """A coordinator that takes its time over one API."""

    slow_at: ApiKey | None = None

    def __init__(self, **options: Any) -> None:
        self.waiting: list[Send] = []
        super().__init__(**options)

    def _perform(self, effect: Effect) -> None:
        if isinstance(effect, Send) and effect.message.api_key == self.slow_at:
            self.asked.append((self.now, ApiKey(effect.message.api_key), effect.message))
            self.waiting.append(effect)
            return
        super()._perform(effect)

    def release_answers(self) -> None:
        """Answer what waits, without an error."""
        self.slow_at = None
        waiting, self.waiting = self.waiting, []
        for effect in waiting:
            answer = self._answer(effect.message, 0)
            self.engine.on_answer(effect.node, effect.tag, answer, self.now)


def test_what_was_begun_after_it_had_failed_is_ended():
    """
    A coordinator that takes partitions once the transaction has failed has begun it all the same:
    it is told of the end, or it would end the next one by this one's timeout.
    """
    rig = SlowRig(delivery_timeout=0.5)
    rig.slow_at = ApiKey.ADD_PARTITIONS_TO_TXN
    rig.begin()
    delivery = rig.send()
    rig.advance(1)
    assert delivery.done()
    assert State.DOOMED is rig.state
    rig.release_answers()
    outcome = rig.transactions.abort(rig.now)
    rig.advance(1)

    assert outcome.done
    assert [ApiKey.ADD_PARTITIONS_TO_TXN, ApiKey.END_TXN] == rig.apis()[-2:]


def test_protocol_2_does_not_begin_before_the_epoch_that_shuts_out_late_requests():
    """
    Where the cluster is upgraded while a new epoch is on its way, nothing is sent under the old
    one: the coordinator would abort it, and the rest would be committed.
    """
    rig = SlowRig()
    rig.begin()
    rig.send()
    for sent in rig.advance(0.1):
        rig.answer(sent)
    rig.slow_at = ApiKey.END_TXN
    rig.transactions.commit(rig.now)
    rig.turn()
    [lost] = rig.waiting
    rig.waiting.clear()
    rig.slow_at = ApiKey.INIT_PRODUCER_ID
    rig.engine.on_disconnected(lost.node, "reset", rig.now)
    rig.advance(2)
    assert State.READY is rig.state
    rig.engine.on_connected(1, {"transaction.version": 2}, 2)
    rig.begin()
    rig.send()
    assert rig.advance(1) == []
    rig.release_answers()
    [sent] = rig.advance(1)

    assert (7, 1, 0) == sent.identity


def test_doubts_about_a_commit_outlive_a_refused_abort():
    """
    An abort that the coordinator refuses, after an attempt to commit that went unanswered, leaves
    nobody certain that nothing was committed.
    """
    rig = TransactionRig().begin()
    rig.send()
    for sent in rig.advance(0.1):
        rig.answer(sent)
    rig.codes[ApiKey.END_TXN].extend(
        [E.REQUEST_TIMED_OUT, E.TRANSACTION_ABORTABLE, E.INVALID_TXN_STATE]
    )
    rig.transactions.commit(rig.now)
    rig.advance(5)

    assert State.DEAD is rig.state
    assert rig.transactions.error is not None
    assert rig.transactions.error.maybe_committed
