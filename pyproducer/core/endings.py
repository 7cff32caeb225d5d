"""The errors of records that end with something larger than themselves."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias

from pyproducer.errors import (
    BrokerRejected,
    ClusterAuthorizationFailed,
    DeliveryError,
    GroupAuthorizationFailed,
    OffsetsAuthorizationFailed,
    TopicAuthorizationFailed,
    TransactionAborted,
    TransactionalIdAuthorizationFailed,
    TransactionError,
)
from pyproducer.protocol.error_codes import ErrorCode

__all__ = [
    "MakeError",
    "advice",
    "denied_by",
    "dropped_with",
    "rejected",
    "stopped_by",
    "transaction_refused",
]

#: Makes the error for records of (topic, partition), after so many seconds, being maybe written or
#: not, after so many attempts.
MakeError: TypeAlias = Callable[[str, int | None, float, bool, int], Exception]


def dropped_with(reason: str) -> MakeError:
    """For records that are dropped with their transaction."""

    def make(
        topic: str, partition: int | None, elapsed: float, maybe: bool, attempts: int
    ) -> TransactionAborted:
        return TransactionAborted(
            f"the record to {topic!r} was dropped with its transaction, after {attempts} "
            f"attempt(s) in {elapsed:.1f} s: {reason}",
            topic=topic,
            partition=partition,
            attempts=attempts,
            elapsed=elapsed,
            maybe_written=maybe,
        )

    return make


def stopped_by(error: BrokerRejected | TransactionError) -> MakeError:
    """For records of a producer that was refused as a whole."""
    return _as(error, f"the producer stopped: {error}")


def denied_by(error: BrokerRejected) -> MakeError:
    """For records that cannot be sent for want of a right that all of them need."""
    return _as(error, str(error))


def _as(error: BrokerRejected | TransactionError, text: str) -> MakeError:
    def make(
        topic: str, partition: int | None, elapsed: float, maybe: bool, attempts: int
    ) -> DeliveryError:
        # What was refused is not what these records met: they may be written.
        details: dict[str, Any] = {
            "topic": topic,
            "partition": partition,
            "attempts": attempts,
            "elapsed": elapsed,
            "maybe_written": maybe,
        }
        if isinstance(error, BrokerRejected):
            details["broker_error"] = error.broker_error
            return rejected(text, code=error.code, reason=error.reason, **details)
        return DeliveryError(text, **details)

    return make


def rejected(message: str, *, code: int, topic: str, **details: Any) -> BrokerRejected:
    """The error of a record that a broker refused: its own class where a right is lacking."""
    if code == ErrorCode.TOPIC_AUTHORIZATION_FAILED:
        return TopicAuthorizationFailed(message, resource=topic, code=code, topic=topic, **details)
    if code == ErrorCode.CLUSTER_AUTHORIZATION_FAILED:
        return ClusterAuthorizationFailed(
            message, resource="cluster", code=code, topic=topic, **details
        )
    return BrokerRejected(message, code=code, topic=topic, **details)


def advice(code: int) -> str:
    """What a person can do about a refusal; "" where nobody can tell."""
    if code == ErrorCode.TOPIC_AUTHORIZATION_FAILED:
        return "; grant this client Write and Describe on the topic"
    if code == ErrorCode.CLUSTER_AUTHORIZATION_FAILED:
        return "; grant this client IdempotentWrite on the cluster, or Write on a topic"
    if code == ErrorCode.TRANSACTIONAL_ID_AUTHORIZATION_FAILED:
        return "; grant this client Write and Describe on the transactional id"
    return ""


def transaction_refused(
    message: str, code: int, resource: str, **details: bool
) -> TransactionError:
    """The error of a transaction that is refused: its own class where a right is lacking.

    Args:
        message: what happened.
        code: the broker's.
        resource: the transactional id, or the group or topics whose offsets were to be committed.
        details: what follows from it.
    """
    if code == ErrorCode.TRANSACTIONAL_ID_AUTHORIZATION_FAILED:
        return TransactionalIdAuthorizationFailed(message, resource=resource, **details)
    if code == ErrorCode.GROUP_AUTHORIZATION_FAILED:
        text = f"{message} (group {resource!r})"
        return GroupAuthorizationFailed(text, resource=resource, **details)
    if code == ErrorCode.TOPIC_AUTHORIZATION_FAILED and resource:
        text = f"{message} (topics {resource!r})"
        return OffsetsAuthorizationFailed(text, resource=resource, **details)
    return TransactionError(message, **details)
