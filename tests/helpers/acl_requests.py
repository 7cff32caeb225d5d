"""Requests about rules, and a cluster in which only rules decide, said in one line."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from pyproducer.protocol.acl import Acl
from pyproducer.protocol.acl_filter import AclFilter
from pyproducer.protocol.acl_terms import AclOperation, AclPermission, PatternType, ResourceType
from pyproducer.protocol.messages.create_acls import AclCreation, CreateAclsRequest
from pyproducer.protocol.messages.delete_acls import DeleteAclsFilter, DeleteAclsRequest
from pyproducer.protocol.messages.describe_acls import DescribeAclsRequest
from tests.helpers.wire_client import Asking

#: Where the tests' own connections come from, and a client that has nothing but what a test gives.
ADMIN_HOST, CLIENT_HOST = "127.0.0.1", "127.0.0.3"

#: Whom rules are about that nobody has to obey.
SOMEBODY = "User:somebody"

#: Broker properties with which rules decide. While there is none about a kind of resource
#: everybody may do everything, so that the first can be made on a listener without names.
RULED = {
    "authorizer.class.name": "org.apache.kafka.metadata.authorizer.StandardAuthorizer",
    "allow.everyone.if.no.acl.found": "true",
}

#: Rules after which nobody but the admin, which a broker is to itself, may do anything.
CLOSED = [
    Acl.allow("User:ANONYMOUS", "all", host=ADMIN_HOST, cluster=True),
    Acl.allow("User:ANONYMOUS", "all", host=ADMIN_HOST, topic="*"),
    Acl.allow("User:ANONYMOUS", "all", host=ADMIN_HOST, group="*"),
    Acl.allow("User:ANONYMOUS", "all", host=ADMIN_HOST, transactional_id="*"),
]


def creation(acl: Acl) -> AclCreation:
    """The rule as a part of CreateAcls."""
    return AclCreation(
        resource_type=acl.resource_type.code,
        resource_name=acl.resource_name,
        resource_pattern_type=acl.pattern_type.code,
        principal=acl.principal,
        host=acl.host,
        operation=acl.operation.code,
        permission_type=acl.permission.code,
    )


def create_acls(client: Asking, *creations: Acl | AclCreation, version: int = 3) -> list[Any]:
    """Make rules and return the result of each."""
    request = CreateAclsRequest(
        creations=[creation(one) if isinstance(one, Acl) else one for one in creations]
    )
    results: list[Any] = client.ask(request, version).results
    return results


def _fields(meant: AclFilter) -> dict[str, Any]:
    return {
        "resource_type_filter": meant.resource_type.code,
        "resource_name_filter": meant.resource_name,
        "pattern_type_filter": meant.pattern_type.code,
        "principal_filter": meant.principal,
        "host_filter": meant.host,
        "operation": meant.operation.code,
        "permission_type": meant.permission.code,
    }


def describe_acls(client: Asking, meant: AclFilter | None = None, version: int = 3) -> set[Acl]:
    """The rules that the filter means."""
    answer = client.ask(DescribeAclsRequest(**_fields(meant or AclFilter())), version)
    assert answer.error_code == 0, answer.error_message
    return {
        _acl(resource, one, resource.pattern_type)
        for resource in answer.resources
        for one in resource.acls
    }


def delete_acls(client: Asking, *meant: AclFilter, version: int = 3) -> list[set[Acl]]:
    """Remove the rules that the filters mean and return those of each."""
    request = DeleteAclsRequest(filters=[DeleteAclsFilter(**_fields(one)) for one in meant])
    results = client.ask(request, version).filter_results
    assert [one.error_code for one in results] == [0] * len(meant)
    return [{_acl(one, one, one.pattern_type) for one in found.matching_acls} for found in results]


def _acl(resource: Any, entry: Any, pattern: int) -> Acl:
    terms: dict[str, Any] = {
        "operation": AclOperation.of_code(entry.operation),
        "resource_type": ResourceType.of_code(resource.resource_type),
        "pattern_type": PatternType.of_code(pattern),
        "permission": AclPermission.of_code(entry.permission_type),
    }
    return Acl(
        principal=entry.principal, resource_name=resource.resource_name, host=entry.host, **terms
    )


def codes(answer: Any) -> list[int]:
    """The error codes in an answer, of the whole and of all parts, each once and in order."""
    return sorted(set(_codes(answer)) - {0})


def _codes(part: Any) -> Iterator[int]:
    if isinstance(part, list):
        for one in part:
            yield from _codes(one)
        return
    for name in getattr(type(part), "__annotations__", {}):
        value = getattr(part, name, None)
        if isinstance(value, int):
            if name.endswith("error_code"):
                yield value
        elif not isinstance(value, (str, bytes)):
            yield from _codes(value)
