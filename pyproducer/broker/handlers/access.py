"""Whether the sender of a request may do what it asks for.

A handler asks with one of the needs below, and its route lists those that it asks with::

    if refusal := access.refusal(node, context, ALTER_CLUSTER):
        return AlterSomethingResponse(error_code=refusal)

    access.require(node, context, WRITE_TOPIC, topic)      # raises Refused

Without an authorizer everybody may do everything. With one, the audit log has each decision, but
those that only choose between ways or things, which are asked for with ``quiet=True``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from pyproducer.broker.errors import Refused
from pyproducer.broker.security.authorizer import OPERATIONS, bits
from pyproducer.protocol.acl_terms import CLUSTER_NAME, AclOperation, ResourceType
from pyproducer.protocol.error_codes import ErrorCode

if TYPE_CHECKING:
    from collections.abc import Iterable

    from pyproducer.broker.context import RequestContext
    from pyproducer.broker.node import Node


class Need(NamedTuple):
    """What a request takes.

    Attributes:
        operation: What is done.
        kind: The kind of resource that it is done with.
    """

    operation: AclOperation
    kind: ResourceType


READ_TOPIC = Need(AclOperation.READ, ResourceType.TOPIC)
WRITE_TOPIC = Need(AclOperation.WRITE, ResourceType.TOPIC)
CREATE_TOPIC = Need(AclOperation.CREATE, ResourceType.TOPIC)
DELETE_TOPIC = Need(AclOperation.DELETE, ResourceType.TOPIC)
ALTER_TOPIC = Need(AclOperation.ALTER, ResourceType.TOPIC)
DESCRIBE_TOPIC = Need(AclOperation.DESCRIBE, ResourceType.TOPIC)
DESCRIBE_TOPIC_CONFIGS = Need(AclOperation.DESCRIBE_CONFIGS, ResourceType.TOPIC)
ALTER_TOPIC_CONFIGS = Need(AclOperation.ALTER_CONFIGS, ResourceType.TOPIC)

READ_GROUP = Need(AclOperation.READ, ResourceType.GROUP)
DELETE_GROUP = Need(AclOperation.DELETE, ResourceType.GROUP)
DESCRIBE_GROUP = Need(AclOperation.DESCRIBE, ResourceType.GROUP)

WRITE_TRANSACTIONAL_ID = Need(AclOperation.WRITE, ResourceType.TRANSACTIONAL_ID)
DESCRIBE_TRANSACTIONAL_ID = Need(AclOperation.DESCRIBE, ResourceType.TRANSACTIONAL_ID)

CREATE_CLUSTER = Need(AclOperation.CREATE, ResourceType.CLUSTER)
#: Kafka lets whoever may do this delete every topic, though no tool makes such a rule.
DELETE_CLUSTER = Need(AclOperation.DELETE, ResourceType.CLUSTER)
ALTER_CLUSTER = Need(AclOperation.ALTER, ResourceType.CLUSTER)
DESCRIBE_CLUSTER = Need(AclOperation.DESCRIBE, ResourceType.CLUSTER)
CLUSTER_ACTION = Need(AclOperation.CLUSTER_ACTION, ResourceType.CLUSTER)
DESCRIBE_CLUSTER_CONFIGS = Need(AclOperation.DESCRIBE_CONFIGS, ResourceType.CLUSTER)
ALTER_CLUSTER_CONFIGS = Need(AclOperation.ALTER_CONFIGS, ResourceType.CLUSTER)
IDEMPOTENT_WRITE = Need(AclOperation.IDEMPOTENT_WRITE, ResourceType.CLUSTER)

CREATE_TOKENS = Need(AclOperation.CREATE_TOKENS, ResourceType.USER)

_CODES = {
    ResourceType.TOPIC: ErrorCode.TOPIC_AUTHORIZATION_FAILED,
    ResourceType.GROUP: ErrorCode.GROUP_AUTHORIZATION_FAILED,
    ResourceType.CLUSTER: ErrorCode.CLUSTER_AUTHORIZATION_FAILED,
    ResourceType.TRANSACTIONAL_ID: ErrorCode.TRANSACTIONAL_ID_AUTHORIZATION_FAILED,
    ResourceType.USER: ErrorCode.DELEGATION_TOKEN_AUTHORIZATION_FAILED,
}


def allowed(
    node: Node,
    context: RequestContext,
    need: Need,
    name: str = CLUSTER_NAME,
    *,
    quiet: bool = False,
) -> bool:
    """Whether the sender may do that with the resource of that name.

    Args:
        node: The broker.
        context: The request.
        need: What is done.
        name: The resource.
        quiet: Whether it is no refusal if it may not, which is then nothing for the audit log.
    """
    authorizer = node.authorizer
    if authorizer is None:
        return True
    connection = context.connection
    found = authorizer.allows(connection.principal, connection.peer_host, *need, name)
    if found or not quiet:
        node.audit.decided(context, authorizer, need, name, allowed=found)
    return found


def refusal(node: Node, context: RequestContext, need: Need, name: str = CLUSTER_NAME) -> int:
    """The error code of whoever may not do that; 0 for everybody else."""
    return ErrorCode.NONE if allowed(node, context, need, name) else _CODES[need.kind]


def require(node: Node, context: RequestContext, need: Need, name: str = CLUSTER_NAME) -> None:
    """Returns if the sender may do that.

    Raises:
        Refused: With the error code that Kafka has for that kind of resource.
    """
    if not allowed(node, context, need, name):
        raise refused(context, need, name)


def refused(context: RequestContext, need: Need, name: str = CLUSTER_NAME) -> Refused:
    """The refusal of whoever may not do that."""
    connection = context.connection
    what = need.kind.value.replace("_", " ")
    if need.kind is not ResourceType.CLUSTER:
        what = f"{what} {name!r}"
    return Refused(
        _CODES[need.kind],
        f"{connection.principal} from {connection.peer_host} may not "
        f"{need.operation.value.replace('_', ' ')} {what}",
    )


def allowed_any(node: Node, context: RequestContext, need: Need) -> bool:
    """Whether there can be a resource of that kind with which the sender may do that.

    The audit log has nothing of it, as in Kafka.
    """
    authorizer = node.authorizer
    if authorizer is None:
        return True
    connection = context.connection
    return authorizer.allows_any(connection.principal, connection.peer_host, *need)


def allowed_names(
    node: Node, context: RequestContext, need: Need, names: Iterable[str]
) -> frozenset[str]:
    """Those of the names with whose resources the sender may do that."""
    return frozenset(name for name in names if allowed(node, context, need, name))


def operations(
    node: Node, context: RequestContext, kind: ResourceType, name: str = CLUSTER_NAME
) -> int:
    """What the sender may do with the resource, as the bits that answers have for it."""
    authorizer = node.authorizer
    if authorizer is None:
        return bits(OPERATIONS[kind])
    connection = context.connection
    return authorizer.operations(connection.principal, connection.peer_host, kind, name)
