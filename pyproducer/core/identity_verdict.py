"""What an error code in an InitProducerId response means for the producer: one table.

Nothing is at stake while there is no producer id: no record was sent under it. So whatever may
pass is asked again, for as long as the records have time; a right that is missing fails them at
once, and only what nothing can mend stops the producer. This is about producers without a
transactional id.
"""

from __future__ import annotations

from enum import Enum
from typing import Final

from pyproducer.core.endings import rejected
from pyproducer.errors import BrokerRejected
from pyproducer.protocol.error_codes import ErrorCode, code_name, error_name

__all__ = ["IDENTITY_TABLE", "IdentityAction", "identity_refused", "judge_identity"]


class IdentityAction(Enum):
    """What the producer does after one answer."""

    TAKE = "the producer id is taken"
    ASK = "asked again after a pause; records whose time is up meanwhile fail"
    DENY = "the records that wait for it fail, and it is asked for again with the next ones"
    STOP = "every record fails, and the producer takes no more"


_E = ErrorCode

#: What is not here is asked again.
IDENTITY_TABLE: Final[dict[int, IdentityAction]] = {
    _E.NONE: IdentityAction.TAKE,
    # The cluster lacks the permission IdempotentWrite for this client, or a client that may write
    # to any topic at all (KIP-679). A right may be given while the producer runs.
    _E.CLUSTER_AUTHORIZATION_FAILED: IdentityAction.DENY,
    _E.TRANSACTIONAL_ID_AUTHORIZATION_FAILED: IdentityAction.DENY,
    _E.SASL_AUTHENTICATION_FAILED: IdentityAction.STOP,
    # The broker does not have the request, or not in a form that this client has.
    _E.UNSUPPORTED_VERSION: IdentityAction.STOP,
    _E.INVALID_REQUEST: IdentityAction.STOP,
    _E.UNSUPPORTED_FOR_MESSAGE_FORMAT: IdentityAction.STOP,
    _E.POLICY_VIOLATION: IdentityAction.STOP,
    # About transactional ids, which this request does not have: the broker is confused.
    _E.INVALID_TRANSACTION_TIMEOUT: IdentityAction.STOP,
    _E.INVALID_PRODUCER_EPOCH: IdentityAction.STOP,
    _E.PRODUCER_FENCED: IdentityAction.STOP,
}


def judge_identity(code: int) -> IdentityAction:
    """The row of an error code."""
    return IDENTITY_TABLE.get(code, IdentityAction.ASK)


def identity_refused(code: int) -> BrokerRejected:
    """The error of records that cannot be sent without it."""
    return rejected(
        f"the broker gives this client no producer id: {error_name(code)}; allow it Write on its "
        "topic, or IdempotentWrite on the cluster, or set enable_idempotence=False",
        code=code,
        topic="",
        broker_error=code_name(code),
    )
