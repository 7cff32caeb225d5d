"""DeleteAcls, versions 0 to 3: removes the rules that filters mean, and tells which they were."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pyproducer.broker.errors import Refused
from pyproducer.broker.handlers import access
from pyproducer.broker.handlers.access import ALTER_CLUSTER
from pyproducer.broker.handlers.acl_wire import no_authorizer, wanted
from pyproducer.protocol.error_codes import ErrorCode
from pyproducer.protocol.messages.delete_acls import (
    DeleteAclsFilter,
    DeleteAclsFilterResult,
    DeleteAclsMatchingAcl,
    DeleteAclsRequest,
    DeleteAclsResponse,
)

if TYPE_CHECKING:
    from pyproducer.broker.context import RequestContext
    from pyproducer.broker.node import Node
    from pyproducer.protocol.acl import Acl
    from pyproducer.protocol.acl_filter import AclFilter

NEEDS = (ALTER_CLUSTER,)


async def handle(
    node: Node, request: DeleteAclsRequest, context: RequestContext
) -> DeleteAclsResponse:
    """None of the rules holds any more when this is answered.

    A rule that several filters mean is told for each of them.
    """
    meant = [_meant(one, context.api_version) for one in request.filters]
    try:
        access.require(node, context, ALTER_CLUSTER)
        no_authorizer(node)
        found = [one if isinstance(one, Refused) else node.acls.matching(one) for one in meant]
        gone = {acl for acls in found if isinstance(acls, list) for acl in acls}
        _remove(node, gone)
        node.audit.changed(context, "removes the rule", sorted(map(str, gone)))
    except Refused as refused:
        found = [refused for _ in meant]
    return DeleteAclsResponse(filter_results=[_result(one) for one in found])


def _meant(one: DeleteAclsFilter, version: int) -> AclFilter | Refused:
    try:
        return wanted(one, version)
    except Refused as refused:
        return refused


def _result(found: list[Acl] | Refused) -> DeleteAclsFilterResult:
    if isinstance(found, Refused):
        return DeleteAclsFilterResult(error_code=found.code, error_message=found.message)
    return DeleteAclsFilterResult(error_message=None, matching_acls=[_told(acl) for acl in found])


def _remove(node: Node, acls: set[Acl]) -> None:
    try:
        node.acls.remove(acls)
    except OSError as error:
        raise Refused(ErrorCode.KAFKA_STORAGE_ERROR, f"cannot be written: {error}") from error


def _told(acl: Acl) -> DeleteAclsMatchingAcl:
    return DeleteAclsMatchingAcl(
        error_message=None,
        resource_type=acl.resource_type.code,
        resource_name=acl.resource_name,
        pattern_type=acl.pattern_type.code,
        principal=acl.principal,
        host=acl.host,
        operation=acl.operation.code,
        permission_type=acl.permission.code,
    )
