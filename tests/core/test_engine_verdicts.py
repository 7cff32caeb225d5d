"""Every row of the verdict table, seen from outside."""

from __future__ import annotations

import pytest

from pyproducer.core.verdict import TABLE, Action
from pyproducer.errors import BrokerRejected
from pyproducer.protocol.error_codes import ErrorCode
from tests.helpers.engine_rig import Rig

E = ErrorCode

# Written out a second time, on purpose: a row changed by mistake changes here or fails here.
# Kafka's own clients and broker are the source. "maybe" says that the log may have the batch.
EXPECTED = {
    "NONE": "acknowledged",
    "DUPLICATE_SEQUENCE_NUMBER": "acknowledged",
    "UNKNOWN_TOPIC_OR_PARTITION": "refresh",
    "LEADER_NOT_AVAILABLE": "refresh",
    "NOT_LEADER_OR_FOLLOWER": "refresh maybe",
    "REPLICA_NOT_AVAILABLE": "refresh",
    "KAFKA_STORAGE_ERROR": "refresh maybe",
    "FENCED_LEADER_EPOCH": "refresh maybe",
    "UNKNOWN_LEADER_EPOCH": "refresh",
    "UNKNOWN_TOPIC_ID": "refresh",
    "INCONSISTENT_TOPIC_ID": "refresh",
    "NETWORK_EXCEPTION": "refresh maybe",
    "CORRUPT_MESSAGE": "retry",
    "REQUEST_TIMED_OUT": "retry maybe",
    "NOT_ENOUGH_REPLICAS": "retry",
    "NOT_ENOUGH_REPLICAS_AFTER_APPEND": "retry maybe",
    "THROTTLING_QUOTA_EXCEEDED": "retry",
    "MESSAGE_TOO_LARGE": "split",
    "OUT_OF_ORDER_SEQUENCE_NUMBER": "recover",
    "UNKNOWN_PRODUCER_ID": "recover",
    "INVALID_PRODUCER_EPOCH": "recover",
    "INVALID_TOPIC_EXCEPTION": "fail",
    "RECORD_LIST_TOO_LARGE": "fail",
    "INVALID_REQUIRED_ACKS": "fail",
    "TOPIC_AUTHORIZATION_FAILED": "fail",
    "INVALID_TIMESTAMP": "fail",
    "UNSUPPORTED_VERSION": "fail",
    "INVALID_REQUEST": "fail",
    "UNSUPPORTED_FOR_MESSAGE_FORMAT": "fail",
    "POLICY_VIOLATION": "fail",
    "UNSUPPORTED_COMPRESSION_TYPE": "fail",
    "INVALID_RECORD": "fail",
    "UNKNOWN_SERVER_ERROR": "fail maybe",
    "CLUSTER_AUTHORIZATION_FAILED": "fatal",
    "TRANSACTIONAL_ID_AUTHORIZATION_FAILED": "fatal",
    "PRODUCER_FENCED": "fatal",
    "INVALID_TXN_STATE": "fatal",
    "INVALID_PRODUCER_ID_MAPPING": "fatal",
}

# Codes that no Produce response should carry, and one that no Kafka has.
STRANGERS = [int(E.OFFSET_OUT_OF_RANGE), int(E.GROUP_ID_NOT_FOUND), 32000, -2]


def test_every_row_is_expected():
    """
    The table has no row that this file does not know, and lacks none.
    """
    assert set(EXPECTED) == {E(code).name for code in TABLE}


def seen(code: int) -> str:
    """What the engine makes of a code for a batch of two records, as one of EXPECTED's words."""
    rig = Rig(linger=0.0).prove()
    handles = [rig.send(b"a"), rig.send(b"b")]
    [sent] = rig.turn()
    before = len(rig.metadata_asked)
    rig.answer(sent, code)
    if rig.engine.fatal_error is not None:
        return "fatal" + maybe_of(handles[0])
    if handles[0].done():
        if handles[0].exception() is None:
            return "acknowledged"
        rig.assert_idle()
        return "fail" + maybe_of(handles[0])
    rig.advance(1)
    asked = len(rig.metadata_asked) > before
    again = rig.sent[1:]
    if [[b"a"], [b"b"]] == [one.values for one in again]:
        return "split"
    assert [b"a", b"b"] == again[0].values
    if again[0].identity != sent.identity:
        return "recover"
    # Nothing but the verdict can make it doubtful: only a batch that some log may have fails
    # where the broker lost track of the producer.
    rig.answer(again[0], E.OUT_OF_ORDER_SEQUENCE_NUMBER)
    rig.advance(1)
    doubt = maybe_of(handles[0]) if handles[0].done() else ""
    return ("refresh" if asked else "retry") + doubt


def maybe_of(handle) -> str:
    error = handle.exception()
    assert isinstance(error, BrokerRejected)
    return " maybe" if error.maybe_written else ""


@pytest.mark.parametrize("name", EXPECTED)
def test_verdict(name):
    """
    What becomes of a batch after each error code is what the table of this file says.
    """
    assert EXPECTED[name] == seen(int(E[name]))


@pytest.mark.parametrize("code", STRANGERS)
def test_code_that_nobody_expects(code):
    """
    A code that is not in the table fails the batch; the log may have it.
    """
    assert code not in TABLE
    assert "fail maybe" == seen(code)


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


def test_actions_are_all_in_use():
    """
    No action stands in the table's legend alone.
    """
    assert set(Action) == {verdict.action for verdict in TABLE.values()}
