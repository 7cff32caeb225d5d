"""What an answer of a coordinator means for a transaction: one table for each API.

Sources: Kafka's error codes, KIP-98 (transactions), KIP-447 (offsets with a group's metadata),
KIP-588 (a producer that was timed out), KIP-890 (protocol 2) and KIP-1050 (which errors are
retriable, abortable or fatal).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from enum import Enum
from types import MappingProxyType
from typing import Final

from pyproducer.protocol.api import ApiKey
from pyproducer.protocol.error_codes import ErrorCode, is_retriable

__all__ = ["ADVICE", "NOT_DONE", "TABLE", "Remedy", "remedy", "worst"]


class Remedy(Enum):
    """What becomes of a request after one answer."""

    DONE = "done"
    RETRY = "asked again after a pause"
    FIND = "asked again once the coordinator is found anew"
    ABORT = "given up, and the transaction must be aborted"
    RENEW = "given up, the transaction must be aborted, and the producer asks for a new epoch"
    DENIED = "given up; the start may be tried again, and after it the producer takes no more"
    FENCED = "given up: another producer has taken over; this one takes no more"
    FATAL = "given up, and the producer takes no more"


_E = ErrorCode

_SEVERITY: Final = {action: number for number, action in enumerate(Remedy)}

#: What holds for every API where its own table does not say otherwise.
_COMMON: Final[dict[int, Remedy]] = {
    _E.NONE: Remedy.DONE,
    # The coordinator is elsewhere, or is not there yet.
    _E.COORDINATOR_NOT_AVAILABLE: Remedy.FIND,
    _E.NOT_COORDINATOR: Remedy.FIND,
    _E.REQUEST_TIMED_OUT: Remedy.FIND,
    _E.NETWORK_EXCEPTION: Remedy.FIND,
    # It is there, and cannot answer now.
    _E.COORDINATOR_LOAD_IN_PROGRESS: Remedy.RETRY,
    _E.CONCURRENT_TRANSACTIONS: Remedy.RETRY,
    _E.THROTTLING_QUOTA_EXCEEDED: Remedy.RETRY,
    _E.NOT_ENOUGH_REPLICAS: Remedy.RETRY,
    _E.NOT_ENOUGH_REPLICAS_AFTER_APPEND: Remedy.RETRY,
    _E.KAFKA_STORAGE_ERROR: Remedy.RETRY,
    _E.LEADER_NOT_AVAILABLE: Remedy.RETRY,
    _E.NOT_LEADER_OR_FOLLOWER: Remedy.FIND,
    # The id has a newer epoch, or another producer id.
    _E.PRODUCER_FENCED: Remedy.FENCED,
    _E.INVALID_PRODUCER_EPOCH: Remedy.FENCED,
    # The coordinator forgot the producer id: an abort and a new one mend it.
    _E.UNKNOWN_PRODUCER_ID: Remedy.RENEW,
    _E.INVALID_PRODUCER_ID_MAPPING: Remedy.RENEW,
    _E.TRANSACTION_ABORTABLE: Remedy.ABORT,
}

_INIT: Final[dict[int, Remedy]] = {
    # Nothing was sent yet: once the right is given, the start may be tried again.
    _E.TRANSACTIONAL_ID_AUTHORIZATION_FAILED: Remedy.DENIED,
    _E.CLUSTER_AUTHORIZATION_FAILED: Remedy.DENIED,
    # Nothing is left to be aborted when an id is asked for.
    _E.TRANSACTION_ABORTABLE: Remedy.RETRY,
    _E.UNKNOWN_PRODUCER_ID: Remedy.FATAL,
    _E.INVALID_PRODUCER_ID_MAPPING: Remedy.FATAL,
    _E.UNKNOWN_SERVER_ERROR: Remedy.RETRY,
}

_ADD_PARTITIONS: Final[dict[int, Remedy]] = {
    _E.UNKNOWN_TOPIC_OR_PARTITION: Remedy.RETRY,
    _E.TOPIC_AUTHORIZATION_FAILED: Remedy.ABORT,
    # Told of the partitions that another one's error kept from being tried.
    _E.OPERATION_NOT_ATTEMPTED: Remedy.RETRY,
    _E.UNKNOWN_SERVER_ERROR: Remedy.ABORT,
}

_ADD_OFFSETS: Final[dict[int, Remedy]] = {
    _E.UNKNOWN_SERVER_ERROR: Remedy.ABORT,
    _E.GROUP_AUTHORIZATION_FAILED: Remedy.ABORT,
    _E.INVALID_GROUP_ID: Remedy.ABORT,
}

_COMMIT_OFFSETS: Final[dict[int, Remedy]] = {
    _E.UNKNOWN_SERVER_ERROR: Remedy.ABORT,
    _E.UNKNOWN_TOPIC_OR_PARTITION: Remedy.RETRY,
    _E.GROUP_AUTHORIZATION_FAILED: Remedy.ABORT,
    _E.TOPIC_AUTHORIZATION_FAILED: Remedy.ABORT,
    _E.INVALID_GROUP_ID: Remedy.ABORT,
    _E.GROUP_ID_NOT_FOUND: Remedy.ABORT,
    _E.INVALID_COMMIT_OFFSET_SIZE: Remedy.ABORT,
    _E.OFFSET_METADATA_TOO_LARGE: Remedy.ABORT,
    # The consumer was replaced in its group: what it read is another's to commit (KIP-447).
    _E.UNKNOWN_MEMBER_ID: Remedy.ABORT,
    _E.ILLEGAL_GENERATION: Remedy.ABORT,
    _E.REBALANCE_IN_PROGRESS: Remedy.ABORT,
    _E.FENCED_INSTANCE_ID: Remedy.ABORT,
    _E.STALE_MEMBER_EPOCH: Remedy.ABORT,
    _E.FENCED_MEMBER_EPOCH: Remedy.ABORT,
    _E.INVALID_TXN_STATE: Remedy.ABORT,
}

_FIND: Final[dict[int, Remedy]] = {
    _E.TRANSACTIONAL_ID_AUTHORIZATION_FAILED: Remedy.DENIED,
    _E.COORDINATOR_NOT_AVAILABLE: Remedy.RETRY,
    _E.NOT_COORDINATOR: Remedy.RETRY,
    _E.REQUEST_TIMED_OUT: Remedy.RETRY,
    _E.NETWORK_EXCEPTION: Remedy.RETRY,
    _E.NOT_LEADER_OR_FOLLOWER: Remedy.RETRY,
    _E.GROUP_AUTHORIZATION_FAILED: Remedy.ABORT,
    _E.INVALID_GROUP_ID: Remedy.ABORT,
    _E.UNKNOWN_SERVER_ERROR: Remedy.RETRY,
}

#: The remedy of each error code, for each API. What is not here is asked again if Kafka calls the
#: code retriable, and fatal if it does not.
TABLE: Final[Mapping[int, Mapping[int, Remedy]]] = MappingProxyType(
    {
        ApiKey.FIND_COORDINATOR: MappingProxyType(_COMMON | _FIND),
        ApiKey.INIT_PRODUCER_ID: MappingProxyType(_COMMON | _INIT),
        ApiKey.ADD_PARTITIONS_TO_TXN: MappingProxyType(_COMMON | _ADD_PARTITIONS),
        ApiKey.ADD_OFFSETS_TO_TXN: MappingProxyType(_COMMON | _ADD_OFFSETS),
        ApiKey.TXN_OFFSET_COMMIT: MappingProxyType(_COMMON | _COMMIT_OFFSETS),
        ApiKey.END_TXN: MappingProxyType(_COMMON),
    }
)

_REPLACED: Final = (
    " (the group has given its partitions to another consumer: poll, and work on what comes then)"
)

#: Answers after which the coordinator has certainly not done what was asked.
NOT_DONE: Final = {
    _E.COORDINATOR_LOAD_IN_PROGRESS,
    _E.CONCURRENT_TRANSACTIONS,
    _E.THROTTLING_QUOTA_EXCEEDED,
}

#: What a person can do about some of them.
ADVICE: Final[Mapping[int, str]] = MappingProxyType(
    {
        _E.INVALID_TRANSACTION_TIMEOUT: " (transaction_timeout_ms is above the brokers' "
        "transaction.max.timeout.ms: lower it)",
        _E.TRANSACTIONAL_ID_AUTHORIZATION_FAILED: " (grant this client Write and Describe on the "
        "transactional id)",
        _E.TOPIC_AUTHORIZATION_FAILED: " (grant this client Write on the topics it sends to, and "
        "Read on those whose offsets it commits)",
        _E.GROUP_AUTHORIZATION_FAILED: " (grant this client Read on the group)",
        **dict.fromkeys(
            (
                _E.UNKNOWN_MEMBER_ID,
                _E.ILLEGAL_GENERATION,
                _E.REBALANCE_IN_PROGRESS,
                _E.STALE_MEMBER_EPOCH,
                _E.FENCED_MEMBER_EPOCH,
            ),
            _REPLACED,
        ),
        _E.FENCED_INSTANCE_ID: " (another consumer has the same group.instance.id)",
    }
)


def remedy(api_key: int, code: int) -> Remedy:
    """The row of an error code for an API."""
    found = TABLE[api_key].get(code)
    if found is not None:
        return found
    return Remedy.RETRY if is_retriable(code) else Remedy.FATAL


def worst(api_key: int, codes: Sequence[int]) -> int:
    """Which of several codes in one answer decides."""
    return max(codes, key=lambda code: _SEVERITY[remedy(api_key, code)], default=0)
