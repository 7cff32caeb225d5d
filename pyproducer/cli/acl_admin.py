"""Makes, shows and removes rules about access (ACLs), on any cluster."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from pyproducer.cli.cluster import Cluster
from pyproducer.cli.refusals import check
from pyproducer.errors import ConfigError
from pyproducer.protocol.acl import Acl
from pyproducer.protocol.acl_filter import AclFilter
from pyproducer.protocol.acl_terms import AclOperation, AclPermission, PatternType, ResourceType
from pyproducer.protocol.error_codes import ErrorCode
from pyproducer.protocol.messages.create_acls import (
    AclCreation,
    CreateAclsRequest,
    CreateAclsResponse,
)
from pyproducer.protocol.messages.delete_acls import (
    DeleteAclsFilter,
    DeleteAclsRequest,
    DeleteAclsResponse,
)
from pyproducer.protocol.messages.describe_acls import DescribeAclsRequest, DescribeAclsResponse

__all__ = ["AclAdmin", "filter_of"]

#: Seconds that a broker may take for a change.
_CHANGE_TIMEOUT: Final = 30.0


class AclAdmin:
    """The rules of a cluster.

    Args:
        cluster: an open one.
    """

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster

    async def find(self, meant: AclFilter) -> list[Acl]:
        """The rules that the filter means, those of a resource together.

        Raises:
            CliError: the cluster refused it.
        """
        response = await self._cluster.ask(
            DescribeAclsRequest(**_fields(meant)), DescribeAclsResponse
        )
        _check("the ACLs cannot be listed", response.error_code, response.error_message)
        found = [
            acl
            for resource in response.resources
            for entry in resource.acls
            if (acl := _acl(resource, entry, resource.pattern_type)) is not None
        ]
        return sorted(found, key=_order)

    async def add(self, acls: Sequence[Acl]) -> None:
        """The rules hold; one that held already still does.

        Raises:
            CliError: the cluster refused one of them.
        """
        response = await self._cluster.ask(
            CreateAclsRequest(creations=[_creation(acl) for acl in acls]),
            CreateAclsResponse,
            wait=_CHANGE_TIMEOUT,
        )
        for acl, result in zip(acls, response.results, strict=True):
            _check(f"not added: {acl}", result.error_code, result.error_message)

    async def remove(self, acls: Sequence[Acl]) -> list[Acl]:
        """These rules and no others hold no more; returns those that did.

        Raises:
            CliError: the cluster refused it.
        """
        response = await self._cluster.ask(
            DeleteAclsRequest(
                filters=[DeleteAclsFilter(**_fields(filter_of(acl))) for acl in acls]
            ),
            DeleteAclsResponse,
            wait=_CHANGE_TIMEOUT,
        )
        removed: list[Acl] = []
        for acl, result in zip(acls, response.filter_results, strict=True):
            _check(f"not removed: {acl}", result.error_code, result.error_message)
            for one in result.matching_acls:
                _check(f"not removed: {acl}", one.error_code, one.error_message)
                removed.append(acl)
        return removed


def filter_of(acl: Acl) -> AclFilter:
    """The filter that means this rule alone."""
    return AclFilter(
        resource_type=acl.resource_type,
        resource_name=acl.resource_name,
        pattern_type=acl.pattern_type,
        principal=acl.principal,
        host=acl.host,
        operation=acl.operation,
        permission=acl.permission,
    )


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


def _creation(acl: Acl) -> AclCreation:
    return AclCreation(
        resource_type=acl.resource_type.code,
        resource_name=acl.resource_name,
        resource_pattern_type=acl.pattern_type.code,
        principal=acl.principal,
        host=acl.host,
        operation=acl.operation.code,
        permission_type=acl.permission.code,
    )


def _acl(resource: Any, entry: Any, pattern: int) -> Acl | None:
    """The rule as it was told; None for one with terms of a Kafka that we do not know yet."""
    terms: dict[str, Any] = {
        "operation": AclOperation.of_code(entry.operation),
        "resource_type": ResourceType.of_code(resource.resource_type),
        "pattern_type": PatternType.of_code(pattern),
        "permission": AclPermission.of_code(entry.permission_type),
    }
    try:
        return Acl(
            principal=entry.principal,
            resource_name=resource.resource_name,
            host=entry.host,
            **terms,
        )
    except ConfigError:
        return None


def _order(acl: Acl) -> tuple[object, ...]:
    return (
        acl.resource_type.code,
        acl.resource_name,
        acl.pattern_type,
        acl.principal,
        acl.permission.code,
        acl.host,
        acl.operation.code,
    )


def _check(what: str, code: int, message: str | None) -> None:
    if code == ErrorCode.SECURITY_DISABLED:
        message = "the cluster has no authorizer, so that everybody may do everything"
    check(what, code, message)
