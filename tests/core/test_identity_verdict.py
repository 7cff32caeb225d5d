"""Every error code as the answer to the request for a producer id, seen from outside."""

from __future__ import annotations

import pytest

from pyproducer.core.identity_verdict import IDENTITY_TABLE, IdentityAction
from pyproducer.errors import BrokerRejected, DeliveryTimeout
from pyproducer.protocol.error_codes import ErrorCode
from tests.helpers.engine_rig import Rig
from tests.helpers.expected_verdicts import case_id

E = ErrorCode

# Written out a second time, on purpose. Every other code is asked again: no record was sent yet,
# so that waiting costs nothing but time.
DENIES = {"CLUSTER_AUTHORIZATION_FAILED", "TRANSACTIONAL_ID_AUTHORIZATION_FAILED"}
STOPS = {
    "SASL_AUTHENTICATION_FAILED",
    "UNSUPPORTED_VERSION",
    "INVALID_REQUEST",
    "UNSUPPORTED_FOR_MESSAGE_FORMAT",
    "POLICY_VIOLATION",
    "INVALID_TRANSACTION_TIMEOUT",
    "INVALID_PRODUCER_EPOCH",
    "PRODUCER_FENCED",
}
ASKED_AGAIN = [*(code for code in E if code and code.name not in STOPS | DENIES), -2, 32000]


def test_every_row_is_expected():
    """
    The table stops the producer, or its records, for the codes of this file and no others.
    """
    found: dict[IdentityAction, set[str]] = {}
    for code, action in IDENTITY_TABLE.items():
        found.setdefault(action, set()).add(E(code).name)

    assert found == {
        IdentityAction.TAKE: {"NONE"},
        IdentityAction.DENY: DENIES,
        IdentityAction.STOP: STOPS,
    }


@pytest.mark.parametrize("code", ASKED_AGAIN, ids=case_id)
def test_asked_again(code):
    """
    After a passing refusal the id is asked for again, not at once, and the record goes.
    """
    rig = Rig(linger=0.0)
    rig.identity_error = int(code)
    delivery = rig.send(b"a")
    rig.turn()
    rig.identity_error = 0
    assert [] == rig.turn()
    [sent] = rig.advance(1)
    rig.answer(sent)

    assert 0 == delivery.result().offset
    rig.assert_idle()


@pytest.mark.parametrize("code", [E.COORDINATOR_LOAD_IN_PROGRESS, E.UNKNOWN_SERVER_ERROR, 32000])
def test_never_given(code):
    """
    A record that never got a producer id fails in time, told why, and is in no log; the broker
    was asked no more often than the longest pause between attempts allows.
    """
    rig = Rig(linger=0.0, delivery_timeout=20.0)
    rig.identity_error = int(code)
    delivery = rig.send(b"a")
    rig.advance(19.9)
    assert not delivery.done()
    rig.advance(0.2)
    error = delivery.exception()
    name = E(code).name if code in set(E) else f"unknown error code {code}"

    assert isinstance(error, DeliveryTimeout)
    assert (0, name, False) == (error.attempts, error.broker_error, error.maybe_written)
    assert "no producer id" in str(error)
    assert name in str(error)
    assert 15 < len([one for one in rig.effects if "InitProducerId" in repr(one)]) < 40
    rig.identity_error = 0
    later = rig.send(b"b")
    [sent] = rig.advance(2)
    rig.answer(sent)
    assert 0 == later.result().offset


@pytest.mark.parametrize("name", sorted(STOPS))
def test_stops(name):
    """
    A refusal that asking again cannot mend fails every record, none written, and those to come.
    """
    rig = Rig(linger=0.0)
    rig.identity_error = int(E[name])
    delivery = rig.send(b"a")
    rig.turn()
    error = delivery.exception()

    assert isinstance(error, BrokerRejected)
    assert (int(E[name]), name) == (error.code, error.broker_error)
    assert (0, False, False) == (error.attempts, error.maybe_written, error.retriable)
    assert isinstance(rig.engine.fatal_error, BrokerRejected)
    with pytest.raises(BrokerRejected, match=name):
        rig.send(b"b")
    rig.assert_idle()


@pytest.mark.parametrize("name", sorted(DENIES))
def test_denied(name, caplog):
    """
    A right that is missing fails the records that wait, none written; who sends others has it
    asked for again, not at once, and they go once it is given.
    """
    rig = Rig(linger=0.0)
    rig.identity_error = int(E[name])
    first = rig.send(b"a")
    rig.turn()
    error = first.exception()
    assert isinstance(error, BrokerRejected)
    assert (int(E[name]), name) == (error.code, error.broker_error)
    assert (0, False, False) == (error.attempts, error.maybe_written, error.retriable)
    assert rig.engine.fatal_error is None

    # Without records nobody asks.
    asked = count(rig)
    rig.advance(100)
    rig.assert_idle()
    assert asked == count(rig)

    for _ in range(5):
        other = rig.send(b"b")
        rig.advance(2)
        assert isinstance(other.exception(), BrokerRejected)
    assert asked + 5 == count(rig)
    told = [one for one in caplog.records if one.name == "pyproducer.engine"]
    assert ["ERROR"] == [one.levelname for one in told]

    rig.identity_error = 0
    last = rig.send(b"c")
    [sent] = rig.advance(2)
    rig.answer(sent)
    assert 0 == last.result().offset
    rig.assert_idle()


def test_denied_again_and_again_is_asked_with_pauses():
    """
    Records that follow each other without an end do not make for questions without an end.
    """
    rig = Rig(linger=0.0)
    rig.identity_error = int(E.CLUSTER_AUTHORIZATION_FAILED)
    for _ in range(2000):
        rig.send(b"a")
        rig.advance(0.01)

    assert 15 < count(rig) < 40


def count(rig: Rig) -> int:
    """How often a broker was asked for an id."""
    return len([one for one in rig.effects if "InitProducerId" in repr(one)])


def test_success_without_an_id():
    """
    A broker that gives no id, and no reason either, is asked again, not at once.
    """
    rig = Rig(linger=0.0)
    rig.produce_id = -1
    delivery = rig.send(b"a")
    assert [] == rig.turn()
    rig.produce_id = 7
    [sent] = rig.advance(1)
    assert (7, 0, 0) == sent.identity
    rig.answer(sent)

    assert 0 == delivery.result().offset
