"""Every row of the verdict table, seen from outside: what a code does to a batch and to those
behind it, with and without idempotence. The last tests change every row and see that something
fails.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from pyproducer.core.verdict import TABLE, Action, Verdict, judge
from pyproducer.errors import BrokerRejected, DeliveryTimeout
from pyproducer.protocol.error_codes import ErrorCode
from tests.helpers.engine_rig import Rig, Sent
from tests.helpers.expected_verdicts import (
    ACKNOWLEDGED,
    AGAIN,
    EPOCH,
    EXPECTED,
    FAILED,
    HALVES,
    LEADER,
    MAYBE,
    STOPPED,
    WITHOUT_IDEMPOTENCE,
    Row,
    case_id,
    expected,
)

E = ErrorCode

# Codes that no Produce response should carry. Kafka holds the first ones for passing.
STRANGERS = {
    int(E.OFFSET_NOT_AVAILABLE): Row(LEADER, MAYBE),
    int(E.LISTENER_NOT_FOUND): Row(LEADER, MAYBE),
    int(E.NOT_CONTROLLER): Row(LEADER, MAYBE),
    int(E.OFFSET_OUT_OF_RANGE): Row(FAILED, MAYBE),
    int(E.GROUP_ID_NOT_FOUND): Row(FAILED, MAYBE),
    32000: Row(FAILED, MAYBE),
    -2: Row(FAILED, MAYBE),
}

CASES = {int(E[name]): row for name, row in EXPECTED.items()} | STRANGERS
PLAIN_CASES = {int(E[name]): row for name, row in WITHOUT_IDEMPOTENCE.items()} | STRANGERS


def known(*, idempotent: bool = True, **options) -> Rig:
    """A rig that sends two records a batch, at once, to a broker that knows the producer."""
    return Rig(
        **({"batch_max_records": 2, "linger": 0.0, "idempotent": idempotent} | options)
    ).prove()


def refused(handle, code: int, row: Row, attempts: int) -> None:
    """The record failed by this code, after so many attempts, in doubt or not."""
    assert handle.done()
    error = handle.exception()
    assert isinstance(error, BrokerRejected)
    name = E(code).name if code in set(E) else f"unknown error code {code}"
    assert (code, name, attempts) == (error.code, error.broker_error, error.attempts)
    assert row.doubt == error.maybe_written
    assert not error.retriable


# A batch alone.


def check_alone(code: int, row: Row, *, idempotent: bool) -> None:
    """One batch of two records is answered with the code, and the leader has moved to broker 2."""
    rig = known(idempotent=idempotent)
    # Metadata was just asked for, and would not be again so soon.
    rig.advance(10)
    handles = [rig.send(b"a"), rig.send(b"b")]
    [sent] = rig.turn()
    asked = len(rig.metadata_asked)
    rig.lead(2)
    at_once = rig.answer(sent, code)
    if row.fate == ACKNOWLEDGED:
        assert all(handle.done() and handle.exception() is None for handle in handles)
        offsets = [0, 1] if code == E.NONE else [-1, -1]
        assert offsets == [handle.result().offset for handle in handles]
    elif row.fate in {FAILED, STOPPED}:
        for handle in handles:
            refused(handle, code, row, attempts=1)
    if row.fate in {ACKNOWLEDGED, FAILED, STOPPED}:
        assert [] == rig.advance(5)
        assert asked == len(rig.metadata_asked)
        assert (row.fate == STOPPED) == (rig.engine.fatal_error is not None)
        rig.assert_idle()
        return
    assert not any(handle.done() for handle in handles)
    if row.fate == HALVES:
        check_halves(rig, sent, at_once, handles, row, code)
        return
    # A broker that refused is left in peace for a while; a new leader has refused nothing yet.
    assert [] == at_once or at_once[0].node == 2
    [again] = at_once or rig.advance(5)
    assert [b"a", b"b"] == again.values
    assert (row.fate == LEADER) == (len(rig.metadata_asked) > asked)
    assert (2 if row.fate == LEADER else 1) == again.node
    if row.fate == EPOCH:
        assert (7, 1, 0) == again.identity
    else:
        assert sent.identity == again.identity
    # A definite refusal now tells whether the first answer left a doubt.
    rig.answer(again, E.INVALID_RECORD)
    refused(handles[0], E.INVALID_RECORD, row, attempts=2)
    rig.assert_idle()


def check_out_of_time(code: int, row: Row, *, idempotent: bool) -> None:
    """A batch is answered with the code until its time is up, or is over at once."""
    rig = known(idempotent=idempotent, delivery_timeout=5.0, request_timeout=2.0)
    handles = [rig.send(b"a"), rig.send(b"b")]
    rig.turn()
    served = 0
    for _ in range(200):
        while served < len(rig.sent):
            served += 1
            rig.answer(rig.sent[served - 1], code)
        if handles[0].done():
            break
        rig.advance(0.05)
    passing = row.fate in {AGAIN, LEADER, EPOCH}
    assert handles[0].done()
    error = handles[0].exception()
    assert passing == isinstance(error, DeliveryTimeout)
    if passing:
        assert (case_id(code), row.doubt, True) == (
            error.broker_error,
            error.maybe_written,
            error.retriable,
        )
        assert 5.0 == pytest.approx(error.elapsed, abs=0.1)
        assert served == error.attempts


def check_halves(rig: Rig, sent: Sent, halves: list[Sent], handles, row: Row, code: int) -> None:
    """Both halves are under way at once, in order; the first fails for the same reason."""
    assert halves
    # Without idempotence one batch at a time keeps the order.
    halves += rig.answer(halves[0], code)
    assert [[b"a"], [b"b"]] == [half.values for half in halves]
    producer_id, epoch, sequence = sent.identity
    assert (producer_id, epoch, sequence) == halves[0].identity
    following = sequence if sequence < 0 else sequence + 1
    assert (producer_id, epoch, following) == halves[1].identity
    refused(handles[0], code, row, attempts=2)
    rig.answer(halves[1])
    assert 0 == handles[1].result().offset
    rig.assert_idle()


@pytest.mark.parametrize("code", CASES, ids=case_id)
def test_batch(code):
    """
    What becomes of a batch after each error code is what `expected_verdicts` says.
    """
    check_alone(code, CASES[code], idempotent=True)


@pytest.mark.parametrize("code", PLAIN_CASES, ids=case_id)
def test_batch_without_sequence_numbers(code):
    """
    Without idempotence the same holds, but for the codes about sequence numbers.
    """
    check_alone(code, PLAIN_CASES[code], idempotent=False)


@pytest.mark.parametrize("code", CASES, ids=case_id)
def test_batch_out_of_time(code):
    """
    What goes on being refused for a passing reason fails when its time is up, and says by what;
    it may be sent again.
    """
    check_out_of_time(code, CASES[code], idempotent=True)


@pytest.mark.parametrize("code", PLAIN_CASES, ids=case_id)
def test_batch_out_of_time_without_sequence_numbers(code):
    """
    So it does without idempotence.
    """
    check_out_of_time(code, PLAIN_CASES[code], idempotent=False)


# A batch with others behind it.


class Log:
    """A partition of a broker that takes batches in the order of their numbers alone."""

    def __init__(self, *, idempotent: bool) -> None:
        self.values: list[bytes | None] = []
        self._idempotent = idempotent
        self._epoch = 0
        self._next = 0
        self._known: dict[tuple[int, int], int] = {}

    def append(self, sent: Sent) -> dict[str, int]:
        """What the broker answers for the batch, which is in the log then or not."""
        _, epoch, sequence = sent.identity
        if self._idempotent:
            if (epoch, sequence) in self._known:
                return {"base_offset": self._known[epoch, sequence]}
            if epoch < self._epoch:
                return {"error_code": E.INVALID_PRODUCER_EPOCH, "base_offset": -1}
            if sequence != (self._next if epoch == self._epoch else 0):
                return {"error_code": E.OUT_OF_ORDER_SEQUENCE_NUMBER, "base_offset": -1}
            self._epoch, self._next = epoch, sequence + len(sent.values)
        self._known[epoch, sequence] = base = len(self.values)
        self.values += sent.values
        return {"base_offset": base}


def check_followers(code: int, row: Row, *, idempotent: bool, wrote: bool) -> None:
    """The first of three batches is answered with the code, whether it is in the log or not."""
    rig = known(idempotent=idempotent)
    log = Log(idempotent=idempotent)
    values = [b"%d" % number for number in range(6)]
    handles = [rig.send(value) for value in values]
    served = 0

    def serve() -> None:
        nonlocal served
        while served < len(rig.sent):
            sent, served = rig.sent[served], served + 1
            if served == 1:
                answer = log.append(sent) if wrote else {}
                rig.answer(sent, code, **(answer if code == E.NONE else {}))
            else:
                rig.answer(sent, parts={("t", 0): log.append(sent)})

    rig.turn()
    for _ in range(100):
        serve()
        if all(handle.done() for handle in handles):
            break
        rig.advance(0.1)
    assert all(handle.done() for handle in handles)
    outcomes = [handle.exception() for handle in handles]
    if row.fate == STOPPED:
        assert all(isinstance(error, BrokerRejected) for error in outcomes)
        # What was under way when the producer stopped may be written.
        assert (3 if idempotent else 1) == len(rig.sent)
        assert [row.doubt] * 2 + [idempotent] * 4 == [error.maybe_written for error in outcomes]
        with pytest.raises(BrokerRejected):
            rig.send(b"later")
        return
    later = rig.send(b"later")
    rig.turn()
    serve()
    rig.advance(5)
    serve()
    assert later.done()
    assert later.exception() is None
    lost = values[:2] if row.fate == FAILED else []
    assert lost == [value for value, error in zip(values, outcomes, strict=True) if error]
    gone = lost and not wrote
    assert [*(values[2:] if gone else values), b"later"] == log.values
    for value, handle in zip([*values, b"later"], [*handles, later], strict=True):
        if handle.exception() is None and handle.result().offset >= 0:
            assert value == log.values[handle.result().offset]
    rig.assert_idle()


def follower_cases(cases: dict[int, Row]) -> Iterator[tuple[int, bool]]:
    for code, row in cases.items():
        if row.fate == ACKNOWLEDGED:
            yield code, True
            continue
        yield code, False
        if row.doubt and row.fate != STOPPED:
            yield code, True


def follower_id(value: object) -> str:
    return case_id(value) if type(value) is int else ("written" if value else "refused")


@pytest.mark.parametrize(("code", "wrote"), list(follower_cases(CASES)), ids=follower_id)
def test_followers(code, wrote):
    """
    The batches behind one that got an error code are delivered, once and in order, and so is
    whatever is sent later; all of it fails only where the producer stops.
    """
    check_followers(code, CASES[code], idempotent=True, wrote=wrote)


@pytest.mark.parametrize(
    "code", [code for code, row in PLAIN_CASES.items() if row.fate != ACKNOWLEDGED], ids=case_id
)
def test_followers_without_sequence_numbers(code):
    """
    Without idempotence those behind a batch that was refused, and is in no log, come after it.
    """
    check_followers(code, PLAIN_CASES[code], idempotent=False, wrote=False)


# The table.


def test_every_row_is_expected():
    """
    The table has no row that `expected_verdicts` does not know, and lacks none.
    """
    assert set(EXPECTED) == {E(code).name for code in TABLE}


def test_strangers_have_no_row():
    """
    What is tested as a code without a row has none.
    """
    assert [] == [code for code in STRANGERS if code in TABLE]


@pytest.mark.parametrize("code", [code for code in E if code not in TABLE], ids=case_id)
def test_code_without_a_row(code):
    """
    A code without a row is sent again where Kafka holds it for passing, else fails; the log may
    have the batch.
    """
    check_alone(int(code), expected(code), idempotent=True)


def test_actions_are_all_in_use():
    """
    No action stands in the table's legend alone.
    """
    assert set(Action) == {verdict.action for verdict in TABLE.values()}


def holds(code: int) -> bool:
    """Whether the engine passes every check of this file for a code."""
    try:
        check_alone(code, CASES[code], idempotent=True)
        check_alone(code, PLAIN_CASES[code], idempotent=False)
        for _, wrote in follower_cases({code: CASES[code]}):
            check_followers(code, CASES[code], idempotent=True, wrote=wrote)
    except (AssertionError, BrokerRejected):
        # The second where the producer stopped before the check began.
        return False
    return True


def others(code: int) -> list[Verdict]:
    """The row with each other action, and with its other doubt."""
    row = judge(code)
    found = [row._replace(action=action) for action in Action if action is not row.action]
    if code != E.NONE:
        # An acknowledgement leaves no doubt that anybody could see.
        found.append(row._replace(maybe_written=not row.maybe_written))
    return found


@pytest.mark.parametrize("code", TABLE, ids=case_id)
def test_wrong_row_fails(code, monkeypatch):
    """
    A row with another action, or another doubt, fails the tests of this file.
    """
    assert holds(code)
    for wrong in others(code):
        monkeypatch.setitem(TABLE, code, wrong)
        assert not holds(code), wrong


# The error.


def test_error_tells_what_the_broker_said():
    """
    A refused record's error names the code, the broker's words, the place and the attempts.
    """
    rig = Rig(linger=0.0)
    delivery = rig.send(b"a")
    [sent] = rig.advance(0.5)
    rig.answer(sent, E.POLICY_VIOLATION, error_message="no Mondays")
    error = delivery.exception()

    assert isinstance(error, BrokerRejected)
    assert (44, "no Mondays", "POLICY_VIOLATION") == (error.code, error.reason, error.broker_error)
    assert ("t", 0, 1, False, False) == (
        error.topic,
        error.partition,
        error.attempts,
        error.retriable,
        error.maybe_written,
    )
    assert "no Mondays" in str(error)
    assert "t-0" in str(error)
