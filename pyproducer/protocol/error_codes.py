"""The codes by which a broker says why it refused, with what they mean in a sentence."""

from __future__ import annotations

from enum import IntEnum
from typing import Self

__all__ = ["ErrorCode", "code_name", "error_name", "is_retriable"]


class ErrorCode(IntEnum):
    """An error code of the Kafka protocol, under Kafka's name.

    Messages carry plain ints, so that a code from a newer broker survives; ``ErrorCode(code)``
    raises ValueError for one that is not here.

    Attributes:
        retriable: True where Kafka holds that the same request may succeed later.
        text: what it means.
    """

    retriable: bool
    text: str

    # Defaults only for type checkers, who take ErrorCode(code) for a call of this.
    def __new__(cls, code: int, retriable: bool = False, text: str = "") -> Self:
        member = int.__new__(cls, code)
        member._value_ = code
        member.retriable = retriable
        member.text = text
        return member

    UNKNOWN_SERVER_ERROR = -1, False, "the broker failed in a way it has no code for"
    NONE = 0, False, "no error"
    OFFSET_OUT_OF_RANGE = 1, False, "the offset is not, or no longer, in the log"
    CORRUPT_MESSAGE = 2, True, "a record batch has a wrong checksum or broken contents"
    UNKNOWN_TOPIC_OR_PARTITION = 3, True, "the broker knows no such topic or partition"
    INVALID_FETCH_SIZE = 4, False, "the fetch size is not valid"
    LEADER_NOT_AVAILABLE = 5, True, "the partition has no leader at the moment"
    NOT_LEADER_OR_FOLLOWER = 6, True, "this broker does not lead the partition"
    REQUEST_TIMED_OUT = 7, True, "the broker could not finish within the request's timeout"
    BROKER_NOT_AVAILABLE = 8, False, "the broker is not available"
    REPLICA_NOT_AVAILABLE = 9, True, "this broker has no usable replica of the partition"
    MESSAGE_TOO_LARGE = 10, False, "the batch is larger than max.message.bytes of the topic"
    STALE_CONTROLLER_EPOCH = 11, False, "another controller has taken over"
    OFFSET_METADATA_TOO_LARGE = 12, False, "the metadata of a committed offset is too long"
    NETWORK_EXCEPTION = 13, True, "the connection was lost before the answer came"
    COORDINATOR_LOAD_IN_PROGRESS = 14, True, "the coordinator is still loading its state"
    COORDINATOR_NOT_AVAILABLE = 15, True, "there is no coordinator at the moment"
    NOT_COORDINATOR = 16, True, "another broker coordinates this group or transaction"
    INVALID_TOPIC_EXCEPTION = 17, False, "the topic name is illegal, or the topic is internal"
    RECORD_LIST_TOO_LARGE = 18, False, "the batch is larger than a segment of the log"
    NOT_ENOUGH_REPLICAS = 19, True, "fewer replicas are in sync than required; nothing written"
    NOT_ENOUGH_REPLICAS_AFTER_APPEND = (
        20,
        True,
        "written, but fewer replicas are in sync than required",
    )
    INVALID_REQUIRED_ACKS = 21, False, "acks is none of 0, 1 and -1"
    ILLEGAL_GENERATION = 22, False, "the group is in another generation"
    INCONSISTENT_GROUP_PROTOCOL = 23, False, "no protocol in common with the group's members"
    INVALID_GROUP_ID = 24, False, "the group id is not valid"
    UNKNOWN_MEMBER_ID = 25, False, "the group has no such member"
    INVALID_SESSION_TIMEOUT = 26, False, "the session timeout is outside the broker's bounds"
    REBALANCE_IN_PROGRESS = 27, False, "the group is rebalancing; join again"
    INVALID_COMMIT_OFFSET_SIZE = 28, False, "the offsets to commit are too large"
    TOPIC_AUTHORIZATION_FAILED = 29, False, "not allowed on this topic"
    GROUP_AUTHORIZATION_FAILED = 30, False, "not allowed on this group"
    CLUSTER_AUTHORIZATION_FAILED = 31, False, "not allowed on this cluster"
    INVALID_TIMESTAMP = 32, False, "a record's timestamp is outside the topic's bounds"
    UNSUPPORTED_SASL_MECHANISM = 33, False, "the broker does not offer this SASL mechanism"
    ILLEGAL_SASL_STATE = 34, False, "the request is out of order for SASL"
    UNSUPPORTED_VERSION = 35, False, "the broker does not know this version of the request"
    TOPIC_ALREADY_EXISTS = 36, False, "a topic of this name exists"
    INVALID_PARTITIONS = 37, False, "the number of partitions is not valid"
    INVALID_REPLICATION_FACTOR = 38, False, "the replication factor is not valid for the cluster"
    INVALID_REPLICA_ASSIGNMENT = 39, False, "the assignment of replicas is not valid"
    INVALID_CONFIG = 40, False, "a configuration is not valid"
    NOT_CONTROLLER = 41, True, "this broker is not the controller"
    INVALID_REQUEST = 42, False, "the request contradicts itself or the protocol"
    UNSUPPORTED_FOR_MESSAGE_FORMAT = 43, False, "the log's message format lacks this"
    POLICY_VIOLATION = 44, False, "a policy of the broker forbids it"
    OUT_OF_ORDER_SEQUENCE_NUMBER = 45, False, "a batch before this one is missing"
    DUPLICATE_SEQUENCE_NUMBER = 46, False, "the batch was written before"
    INVALID_PRODUCER_EPOCH = 47, False, "a newer epoch of this producer has written"
    INVALID_TXN_STATE = 48, False, "the transaction is in no state for this"
    INVALID_PRODUCER_ID_MAPPING = 49, False, "the transactional id has another producer id"
    INVALID_TRANSACTION_TIMEOUT = 50, False, "the transaction timeout is beyond the broker's limit"
    CONCURRENT_TRANSACTIONS = 51, True, "the previous transaction is still being completed"
    TRANSACTION_COORDINATOR_FENCED = 52, False, "a newer transaction coordinator has taken over"
    TRANSACTIONAL_ID_AUTHORIZATION_FAILED = 53, False, "not allowed on this transactional id"
    SECURITY_DISABLED = 54, False, "the broker has no security set up"
    OPERATION_NOT_ATTEMPTED = 55, False, "not tried, because another part of the request failed"
    KAFKA_STORAGE_ERROR = 56, True, "the broker's disk failed"
    LOG_DIR_NOT_FOUND = 57, False, "the broker has no such log directory"
    SASL_AUTHENTICATION_FAILED = 58, False, "the credentials were refused"
    UNKNOWN_PRODUCER_ID = 59, False, "the broker has forgotten this producer"
    REASSIGNMENT_IN_PROGRESS = 60, False, "the partition is being moved"
    DELEGATION_TOKEN_AUTH_DISABLED = 61, False, "delegation tokens are switched off"
    DELEGATION_TOKEN_NOT_FOUND = 62, False, "there is no such delegation token"
    DELEGATION_TOKEN_OWNER_MISMATCH = 63, False, "the delegation token is another principal's"
    DELEGATION_TOKEN_REQUEST_NOT_ALLOWED = 64, False, "no delegation token over this connection"
    DELEGATION_TOKEN_AUTHORIZATION_FAILED = 65, False, "not allowed on this delegation token"
    DELEGATION_TOKEN_EXPIRED = 66, False, "the delegation token has expired"
    INVALID_PRINCIPAL_TYPE = 67, False, "principals of this type are not supported"
    NON_EMPTY_GROUP = 68, False, "the group has members"
    GROUP_ID_NOT_FOUND = 69, False, "there is no such group"
    FETCH_SESSION_ID_NOT_FOUND = 70, True, "the broker has dropped the fetch session"
    INVALID_FETCH_SESSION_EPOCH = 71, True, "the fetch session is at another epoch"
    LISTENER_NOT_FOUND = 72, True, "the leader lacks the listener that the client uses"
    TOPIC_DELETION_DISABLED = 73, False, "deleting topics is switched off"
    FENCED_LEADER_EPOCH = 74, True, "the client's leader epoch is older than the broker's"
    UNKNOWN_LEADER_EPOCH = 75, True, "the client's leader epoch is newer than the broker's"
    UNSUPPORTED_COMPRESSION_TYPE = 76, False, "the request's version rules out this codec"
    STALE_BROKER_EPOCH = 77, False, "the broker was registered anew since"
    OFFSET_NOT_AVAILABLE = 78, True, "the new leader does not know its high watermark yet"
    MEMBER_ID_REQUIRED = 79, False, "join again with the member id given"
    PREFERRED_LEADER_NOT_AVAILABLE = 80, True, "the preferred leader is not available"
    GROUP_MAX_SIZE_REACHED = 81, False, "the group has as many members as it may have"
    FENCED_INSTANCE_ID = 82, False, "another member has joined with this static id"
    ELIGIBLE_LEADERS_NOT_AVAILABLE = 83, True, "no replica may become leader"
    ELECTION_NOT_NEEDED = 84, True, "the partition has the leader it should have"
    NO_REASSIGNMENT_IN_PROGRESS = 85, False, "the partition is not being moved"
    GROUP_SUBSCRIBED_TO_TOPIC = 86, False, "a member of the group still consumes the topic"
    INVALID_RECORD = 87, False, "the broker refused a record or the shape of the batch"
    UNSTABLE_OFFSET_COMMIT = 88, True, "a transaction over these offsets is still open"
    THROTTLING_QUOTA_EXCEEDED = 89, True, "the quota is used up"
    PRODUCER_FENCED = 90, False, "a newer producer has this transactional id"
    RESOURCE_NOT_FOUND = 91, False, "there is no such resource"
    DUPLICATE_RESOURCE = 92, False, "the request names a resource twice"
    UNACCEPTABLE_CREDENTIAL = 93, False, "the credential does not meet the broker's rules"
    INCONSISTENT_VOTER_SET = 94, False, "sender and receiver disagree about the voters"
    INVALID_UPDATE_VERSION = 95, False, "the update has an unexpected version"
    FEATURE_UPDATE_FAILED = 96, False, "the features could not be updated"
    PRINCIPAL_DESERIALIZATION_FAILURE = 97, False, "a forwarded principal could not be read"
    SNAPSHOT_NOT_FOUND = 98, False, "there is no such snapshot"
    POSITION_OUT_OF_RANGE = 99, False, "the position is outside the snapshot"
    UNKNOWN_TOPIC_ID = 100, True, "the broker knows no topic with this id"
    DUPLICATE_BROKER_REGISTRATION = 101, False, "another broker has this id"
    BROKER_ID_NOT_REGISTERED = 102, False, "no broker is registered with this id"
    INCONSISTENT_TOPIC_ID = 103, True, "the log belongs to another topic id"
    INCONSISTENT_CLUSTER_ID = 104, False, "the request is for another cluster"
    TRANSACTIONAL_ID_NOT_FOUND = 105, False, "the coordinator knows no such transactional id"
    FETCH_SESSION_TOPIC_ID_ERROR = 106, True, "the fetch session mixes topic ids and names"
    INELIGIBLE_REPLICA = 107, False, "the replica may not join those in sync"
    NEW_LEADER_ELECTED = 108, False, "the change made another broker the leader"
    OFFSET_MOVED_TO_TIERED_STORAGE = 109, False, "the offset is in remote storage now"
    FENCED_MEMBER_EPOCH = 110, False, "the member's epoch was fenced; join again"
    UNRELEASED_INSTANCE_ID = 111, False, "the static id still belongs to a live member"
    UNSUPPORTED_ASSIGNOR = 112, False, "the group does not know this assignor"
    STALE_MEMBER_EPOCH = 113, False, "the member's epoch is behind the coordinator's"
    MISMATCHED_ENDPOINT_TYPE = 114, False, "the request came to the wrong kind of endpoint"
    UNSUPPORTED_ENDPOINT_TYPE = 115, False, "this kind of endpoint is not supported"
    UNKNOWN_CONTROLLER_ID = 116, False, "there is no such controller"
    UNKNOWN_SUBSCRIPTION_ID = 117, False, "the telemetry subscription has changed"
    TELEMETRY_TOO_LARGE = 118, False, "the telemetry is larger than the broker takes"
    INVALID_REGISTRATION = 119, False, "the controller refused the broker's registration"
    TRANSACTION_ABORTABLE = 120, False, "the transaction has to be aborted and may be tried anew"
    INVALID_RECORD_STATE = 121, False, "the record is in no state for this acknowledgement"
    SHARE_SESSION_NOT_FOUND = 122, True, "the broker has dropped the share session"
    INVALID_SHARE_SESSION_EPOCH = 123, True, "the share session is at another epoch"
    FENCED_STATE_EPOCH = 124, False, "the share coordinator has a newer state epoch"
    INVALID_VOTER_KEY = 125, False, "the voter key is not the receiver's"
    DUPLICATE_VOTER = 126, False, "the voter is in the set"
    VOTER_NOT_FOUND = 127, False, "the voter is not in the set"
    INVALID_REGULAR_EXPRESSION = 128, False, "the regular expression is not valid"
    REBOOTSTRAP_REQUIRED = 129, False, "the client has to start from its bootstrap servers again"
    STREAMS_INVALID_TOPOLOGY = 130, False, "the streams topology is not valid"
    STREAMS_INVALID_TOPOLOGY_EPOCH = 131, False, "the streams topology epoch is not valid"
    STREAMS_TOPOLOGY_FENCED = 132, False, "the streams topology epoch is out of date"
    SHARE_SESSION_LIMIT_REACHED = 133, True, "the broker has as many share sessions as it may have"


def error_name(code: int) -> str:
    """``"NAME (code)"``, also for a code that is not in the table."""
    try:
        return f"{ErrorCode(code).name} ({code})"
    except ValueError:
        return f"unknown error code {code}"


def code_name(code: int) -> str:
    """``"NAME"``; for a code that is not in the table, the same words as :func:`error_name`."""
    try:
        return ErrorCode(code).name
    except ValueError:
        return error_name(code)


def is_retriable(code: int) -> bool:
    """True where Kafka holds that the same request may succeed later; not for unknown codes."""
    try:
        return ErrorCode(code).retriable
    except ValueError:
        return False
