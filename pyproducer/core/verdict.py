"""What an error code in a Produce response means for the batch: one table.

An action says what happens to the batch, ``written`` whether the broker may hold it all the
same. The second decides whether sending again without idempotence can double records, and
whether a batch may be stamped with a new sequence number.
"""

from __future__ import annotations

from enum import Enum
from typing import Final, NamedTuple

from pyproducer.protocol.error_codes import ErrorCode, error_name, is_retriable

__all__ = ["TABLE", "Action", "Verdict", "in_words", "judge", "may_pass"]


class Action(Enum):
    """What becomes of a batch after one answer."""

    ACK = "acknowledged"
    RETRY = "sent again after a pause"
    REFRESH = "sent again once the leader is known anew"
    SPLIT = "split in two and sent again; a single record fails"
    RECOVER = "sent again under a new producer epoch, in order"
    FAIL = "failed"
    FATAL = "failed, and the producer takes no more"


class Verdict(NamedTuple):
    """One row: the action, and whether the batch may be in the log although an error came."""

    action: Action
    maybe_written: bool


_E = ErrorCode
_NO, _MAYBE = False, True

#: Every code that a broker may give a batch. What is not here may be written; it is sent again
#: where Kafka holds that the same request may succeed later, and fails otherwise.
TABLE: Final[dict[int, Verdict]] = {
    _E.NONE: Verdict(Action.ACK, _MAYBE),
    # The broker recognises the batch and does not say where it is. Without sequence numbers there
    # is nothing to recognise it by: then it fails.
    _E.DUPLICATE_SEQUENCE_NUMBER: Verdict(Action.ACK, _MAYBE),
    # The broker is not, or no longer, the leader. 6, 56 and 74 may come after the append, while it
    # waited for replicas. So may 3, where the topic was deleted meanwhile: then the log went too.
    _E.UNKNOWN_TOPIC_OR_PARTITION: Verdict(Action.REFRESH, _NO),
    _E.LEADER_NOT_AVAILABLE: Verdict(Action.REFRESH, _NO),
    _E.NOT_LEADER_OR_FOLLOWER: Verdict(Action.REFRESH, _MAYBE),
    _E.REPLICA_NOT_AVAILABLE: Verdict(Action.REFRESH, _NO),
    _E.KAFKA_STORAGE_ERROR: Verdict(Action.REFRESH, _MAYBE),
    _E.FENCED_LEADER_EPOCH: Verdict(Action.REFRESH, _MAYBE),
    _E.UNKNOWN_LEADER_EPOCH: Verdict(Action.REFRESH, _NO),
    _E.UNKNOWN_TOPIC_ID: Verdict(Action.REFRESH, _NO),
    _E.INCONSISTENT_TOPIC_ID: Verdict(Action.REFRESH, _NO),
    _E.NETWORK_EXCEPTION: Verdict(Action.REFRESH, _MAYBE),
    # The leader cannot do it now.
    _E.CORRUPT_MESSAGE: Verdict(Action.RETRY, _NO),
    _E.REQUEST_TIMED_OUT: Verdict(Action.RETRY, _MAYBE),
    _E.NOT_ENOUGH_REPLICAS: Verdict(Action.RETRY, _NO),
    _E.NOT_ENOUGH_REPLICAS_AFTER_APPEND: Verdict(Action.RETRY, _MAYBE),
    _E.THROTTLING_QUOTA_EXCEEDED: Verdict(Action.RETRY, _NO),
    # The broker would take it in smaller pieces (KIP-126): the batch is larger than
    # max.message.bytes, or than a whole segment.
    _E.MESSAGE_TOO_LARGE: Verdict(Action.SPLIT, _NO),
    _E.RECORD_LIST_TOO_LARGE: Verdict(Action.SPLIT, _NO),
    # The broker's idea of this producer's sequence differs from ours (KIP-360).
    _E.OUT_OF_ORDER_SEQUENCE_NUMBER: Verdict(Action.RECOVER, _NO),
    _E.UNKNOWN_PRODUCER_ID: Verdict(Action.RECOVER, _NO),
    _E.INVALID_PRODUCER_EPOCH: Verdict(Action.RECOVER, _NO),
    # The broker will never take it.
    _E.INVALID_TOPIC_EXCEPTION: Verdict(Action.FAIL, _NO),
    _E.INVALID_REQUIRED_ACKS: Verdict(Action.FAIL, _NO),
    _E.TOPIC_AUTHORIZATION_FAILED: Verdict(Action.FAIL, _NO),
    _E.INVALID_TIMESTAMP: Verdict(Action.FAIL, _NO),
    _E.UNSUPPORTED_VERSION: Verdict(Action.FAIL, _NO),
    _E.INVALID_REQUEST: Verdict(Action.FAIL, _NO),
    _E.UNSUPPORTED_FOR_MESSAGE_FORMAT: Verdict(Action.FAIL, _NO),
    _E.POLICY_VIOLATION: Verdict(Action.FAIL, _NO),
    _E.UNSUPPORTED_COMPRESSION_TYPE: Verdict(Action.FAIL, _NO),
    _E.INVALID_RECORD: Verdict(Action.FAIL, _NO),
    _E.UNKNOWN_SERVER_ERROR: Verdict(Action.FAIL, _MAYBE),
    # The producer as a whole is refused.
    _E.CLUSTER_AUTHORIZATION_FAILED: Verdict(Action.FATAL, _NO),
    _E.TRANSACTIONAL_ID_AUTHORIZATION_FAILED: Verdict(Action.FATAL, _NO),
    _E.PRODUCER_FENCED: Verdict(Action.FATAL, _NO),
    _E.INVALID_TXN_STATE: Verdict(Action.FATAL, _NO),
    _E.INVALID_PRODUCER_ID_MAPPING: Verdict(Action.FATAL, _NO),
}

#: The rows that differ for a producer with a transactional id. Any failure of a batch has its
#: transaction aborted.
TRANSACTIONAL: Final[dict[int, Verdict]] = {
    # The leader asks the transaction's coordinator first, which cannot answer now (KIP-890).
    _E.COORDINATOR_LOAD_IN_PROGRESS: Verdict(Action.RETRY, _NO),
    _E.COORDINATOR_NOT_AVAILABLE: Verdict(Action.RETRY, _NO),
    _E.NOT_COORDINATOR: Verdict(Action.RETRY, _NO),
    # The transaction before this one is still being completed.
    _E.CONCURRENT_TRANSACTIONS: Verdict(Action.RETRY, _NO),
    # The coordinator knows of no such transaction: it was ended, or timed out.
    _E.INVALID_TXN_STATE: Verdict(Action.FAIL, _NO),
    _E.TRANSACTION_ABORTABLE: Verdict(Action.FAIL, _NO),
    # It knows another producer id under the name, after a long time without a transaction.
    _E.INVALID_PRODUCER_ID_MAPPING: Verdict(Action.FAIL, _NO),
}

_UNKNOWN: Final = Verdict(Action.FAIL, _MAYBE)
_UNKNOWN_RETRIABLE: Final = Verdict(Action.REFRESH, _MAYBE)


def judge(code: int, *, transactional: bool = False) -> Verdict:
    """The row of an error code, or what becomes of a code that no Produce response should have."""
    verdict = TRANSACTIONAL.get(code) if transactional else None
    if verdict is None:
        verdict = TABLE.get(code)
    if verdict is not None:
        return verdict
    return _UNKNOWN_RETRIABLE if is_retriable(code) else _UNKNOWN


def may_pass(code: int, *, idempotent: bool) -> bool:
    """True where a record that failed by this code may be taken when it is sent again."""
    action = judge(code).action
    return action in {Action.RETRY, Action.REFRESH} or (action is Action.RECOVER and idempotent)


def in_words(code: int) -> str:
    """An error code's name and what it says."""
    try:
        return f"{error_name(code)}, {ErrorCode(code).text}"
    except ValueError:
        return error_name(code)
