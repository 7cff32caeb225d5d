"""Rules, and filters for them, out of requests."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

from pyproducer.broker.context import CloseConnection
from pyproducer.broker.errors import Refused
from pyproducer.errors import ConfigError
from pyproducer.protocol.acl import Acl
from pyproducer.protocol.acl_filter import AclFilter
from pyproducer.protocol.acl_terms import AclOperation, AclPermission, PatternType, ResourceType
from pyproducer.protocol.error_codes import ErrorCode

if TYPE_CHECKING:
    from pyproducer.broker.node import Node
    from pyproducer.protocol.messages.create_acls import AclCreation
    from pyproducer.protocol.messages.delete_acls import DeleteAclsFilter
    from pyproducer.protocol.messages.describe_acls import DescribeAclsRequest

_T = TypeVar("_T", ResourceType, PatternType, AclOperation, AclPermission)

#: First version that has pattern types.
PATTERNS_SINCE = 1


def no_authorizer(node: Node) -> None:
    """Returns if there are rules that count.

    Raises:
        Refused: SECURITY_DISABLED: everybody may do everything.
    """
    if node.authorizer is None:
        raise Refused(ErrorCode.SECURITY_DISABLED, "No Authorizer is configured on the broker")


def created(creation: AclCreation) -> Acl:
    """The rule to be made.

    Raises:
        Refused: INVALID_REQUEST: it is none.
        CloseConnection: It says itself that it is none.
    """
    fields = {
        "resource_type": ResourceType.of_code(creation.resource_type),
        "pattern_type": PatternType.of_code(creation.resource_pattern_type),
        "operation": AclOperation.of_code(creation.operation),
        "permission": AclPermission.of_code(creation.permission_type),
    }
    if 0 in {
        creation.resource_type,
        creation.resource_pattern_type,
        creation.operation,
        creation.permission_type,
    }:
        raise _unknown()
    for name, term in fields.items():
        if term is None or term in {"any", "match"}:
            told = "UNKNOWN" if term is None else term.upper()
            raise Refused(ErrorCode.INVALID_REQUEST, f"Invalid {_spelled(name)} {told}")
    try:
        return Acl(
            principal=creation.principal,
            resource_name=creation.resource_name,
            host=creation.host,
            **fields,  # type: ignore[arg-type]
        )
    except ConfigError as error:
        raise Refused(ErrorCode.INVALID_REQUEST, str(error)) from None


def wanted(request: DescribeAclsRequest | DeleteAclsFilter, version: int) -> AclFilter:
    """The rules that a filter means.

    Raises:
        Refused: INVALID_REQUEST: it has terms that there are not.
        CloseConnection: It says so itself.
    """
    pattern = _term(PatternType, request.pattern_type_filter)
    if version < PATTERNS_SINCE:
        # There were no others, and "*" was one of them.
        pattern = PatternType.LITERAL
    return AclFilter(
        resource_type=_term(ResourceType, request.resource_type_filter),
        resource_name=request.resource_name_filter,
        pattern_type=pattern,
        principal=request.principal_filter,
        host=request.host_filter,
        operation=_term(AclOperation, request.operation),
        permission=_term(AclPermission, request.permission_type),
    )


def _term(kind: type[_T], code: int) -> _T:
    if code == 0:
        raise _unknown()
    found = kind.of_code(code)
    if found is None:
        raise Refused(ErrorCode.INVALID_REQUEST, f"there is no {kind.__name__} {code}")
    return found


def _unknown() -> CloseConnection:
    # 0 is what a client turns a term into that it does not know: it must not send that on.
    return CloseConnection("a request about ACLs has terms that are marked as unknown")


def _spelled(name: str) -> str:
    """Kafka's own spelling of a field in its messages."""
    return {
        "resource_type": "resourceType",
        "pattern_type": "patternType",
        "operation": "operation",
        "permission": "permissionType",
    }[name]
