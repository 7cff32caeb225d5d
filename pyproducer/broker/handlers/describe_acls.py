"""DescribeAcls, versions 0 to 3: the rules that a filter means.

Version 1 has prefixed patterns, which version 0 is not told of.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pyproducer.broker.errors import Refused
from pyproducer.broker.handlers import access
from pyproducer.broker.handlers.access import DESCRIBE_CLUSTER
from pyproducer.broker.handlers.acl_wire import no_authorizer, wanted
from pyproducer.protocol.messages.describe_acls import (
    AclDescription,
    DescribeAclsRequest,
    DescribeAclsResource,
    DescribeAclsResponse,
)

if TYPE_CHECKING:
    from pyproducer.broker.context import RequestContext
    from pyproducer.broker.node import Node

NEEDS = (DESCRIBE_CLUSTER,)


async def handle(
    node: Node, request: DescribeAclsRequest, context: RequestContext
) -> DescribeAclsResponse:
    """Lists the rules by their resources."""
    try:
        meant = wanted(request, context.api_version)
    except Refused:
        # No rule has terms that there are not.
        meant = None
    try:
        access.require(node, context, DESCRIBE_CLUSTER)
        no_authorizer(node)
    except Refused as refused:
        return DescribeAclsResponse(error_code=refused.code, error_message=refused.message)
    resources: dict[tuple[str, str, str], DescribeAclsResource] = {}
    for acl in [] if meant is None else node.acls.matching(meant):
        key = (acl.resource_type, acl.resource_name, acl.pattern_type)
        resource = resources.get(key)
        if resource is None:
            resource = resources[key] = DescribeAclsResource(
                resource_type=acl.resource_type.code,
                resource_name=acl.resource_name,
                pattern_type=acl.pattern_type.code,
            )
        resource.acls.append(
            AclDescription(
                principal=acl.principal,
                host=acl.host,
                operation=acl.operation.code,
                permission_type=acl.permission.code,
            )
        )
    return DescribeAclsResponse(error_message=None, resources=list(resources.values()))
