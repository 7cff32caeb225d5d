"""What has to become of a batch after each error code, written out a second time.

The verdict table of ``pyproducer.core`` is the first. This one was made from what Kafka's broker
means by each code, and nothing here is derived from the other: a row changed by mistake has to be
changed twice or is found.
"""

from __future__ import annotations

from typing import NamedTuple

from pyproducer.protocol.error_codes import ErrorCode

E = ErrorCode

ACKNOWLEDGED = "acknowledged"
AGAIN = "sent again to the same broker after a pause, nothing else asked"
LEADER = "sent again to the leader that metadata names, which is asked for"
HALVES = "sent again as two halves"
EPOCH = "sent again after a pause, under the next epoch"
FAILED = "failed, once sent"
STOPPED = "failed, and the producer takes no more"

#: Whether the log may have the batch.
NO, MAYBE = False, True


class Row(NamedTuple):
    """What becomes of a batch."""

    fate: str
    doubt: bool


EXPECTED = {
    "NONE": Row(ACKNOWLEDGED, NO),
    "DUPLICATE_SEQUENCE_NUMBER": Row(ACKNOWLEDGED, NO),
    "UNKNOWN_TOPIC_OR_PARTITION": Row(LEADER, NO),
    "LEADER_NOT_AVAILABLE": Row(LEADER, NO),
    "NOT_LEADER_OR_FOLLOWER": Row(LEADER, MAYBE),
    "REPLICA_NOT_AVAILABLE": Row(LEADER, NO),
    "KAFKA_STORAGE_ERROR": Row(LEADER, MAYBE),
    "FENCED_LEADER_EPOCH": Row(LEADER, MAYBE),
    "UNKNOWN_LEADER_EPOCH": Row(LEADER, NO),
    "UNKNOWN_TOPIC_ID": Row(LEADER, NO),
    "INCONSISTENT_TOPIC_ID": Row(LEADER, NO),
    "NETWORK_EXCEPTION": Row(LEADER, MAYBE),
    "CORRUPT_MESSAGE": Row(AGAIN, NO),
    "REQUEST_TIMED_OUT": Row(AGAIN, MAYBE),
    "NOT_ENOUGH_REPLICAS": Row(AGAIN, NO),
    "NOT_ENOUGH_REPLICAS_AFTER_APPEND": Row(AGAIN, MAYBE),
    "THROTTLING_QUOTA_EXCEEDED": Row(AGAIN, NO),
    "MESSAGE_TOO_LARGE": Row(HALVES, NO),
    "RECORD_LIST_TOO_LARGE": Row(HALVES, NO),
    "OUT_OF_ORDER_SEQUENCE_NUMBER": Row(EPOCH, NO),
    "UNKNOWN_PRODUCER_ID": Row(EPOCH, NO),
    "INVALID_PRODUCER_EPOCH": Row(EPOCH, NO),
    "INVALID_TOPIC_EXCEPTION": Row(FAILED, NO),
    "INVALID_REQUIRED_ACKS": Row(FAILED, NO),
    "TOPIC_AUTHORIZATION_FAILED": Row(FAILED, NO),
    "INVALID_TIMESTAMP": Row(FAILED, NO),
    "UNSUPPORTED_VERSION": Row(FAILED, NO),
    "INVALID_REQUEST": Row(FAILED, NO),
    "UNSUPPORTED_FOR_MESSAGE_FORMAT": Row(FAILED, NO),
    "POLICY_VIOLATION": Row(FAILED, NO),
    "UNSUPPORTED_COMPRESSION_TYPE": Row(FAILED, NO),
    "INVALID_RECORD": Row(FAILED, NO),
    "UNKNOWN_SERVER_ERROR": Row(FAILED, MAYBE),
    "CLUSTER_AUTHORIZATION_FAILED": Row(STOPPED, NO),
    "TRANSACTIONAL_ID_AUTHORIZATION_FAILED": Row(STOPPED, NO),
    "PRODUCER_FENCED": Row(STOPPED, NO),
    "INVALID_TXN_STATE": Row(STOPPED, NO),
    "INVALID_PRODUCER_ID_MAPPING": Row(STOPPED, NO),
}

# Sequence numbers are what these are about; a batch without one is refused.
WITHOUT_IDEMPOTENCE = EXPECTED | {
    "DUPLICATE_SEQUENCE_NUMBER": Row(FAILED, MAYBE),
    "OUT_OF_ORDER_SEQUENCE_NUMBER": Row(FAILED, NO),
    "UNKNOWN_PRODUCER_ID": Row(FAILED, NO),
    "INVALID_PRODUCER_EPOCH": Row(FAILED, NO),
}

# Those of a producer with a transactional id that differ: the leader may have asked the
# transaction's coordinator, and only the coordinator gives a new epoch, after an abort.
TRANSACTIONAL = {
    "INVALID_PRODUCER_ID_MAPPING": Row(FAILED, NO),
    "COORDINATOR_LOAD_IN_PROGRESS": Row(AGAIN, NO),
    "COORDINATOR_NOT_AVAILABLE": Row(AGAIN, NO),
    "NOT_COORDINATOR": Row(AGAIN, NO),
    "CONCURRENT_TRANSACTIONS": Row(AGAIN, NO),
    "INVALID_TXN_STATE": Row(FAILED, NO),
    "TRANSACTION_ABORTABLE": Row(FAILED, NO),
    "OUT_OF_ORDER_SEQUENCE_NUMBER": Row(FAILED, NO),
    "UNKNOWN_PRODUCER_ID": Row(FAILED, NO),
    "INVALID_PRODUCER_EPOCH": Row(FAILED, NO),
}


def expected(code: int, *, idempotent: bool = True) -> Row:
    """The row of a code. One that no Produce response should have may mean anything: it is sent
    again where Kafka holds it for passing, and the log may have the batch."""
    if code not in set(E):
        return Row(FAILED, MAYBE)
    rows = EXPECTED if idempotent else WITHOUT_IDEMPOTENCE
    stranger = Row(LEADER if E(code).retriable else FAILED, MAYBE)
    return rows.get(E(code).name, stranger)


def case_id(code: int) -> str:
    """What a test calls a code."""
    return E(code).name if code in set(E) else str(code)
