"""CreateAcls, versions 0 to 3: rules about who may do what.

Version 1 has prefixed patterns.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pyproducer.broker.errors import Refused
from pyproducer.broker.handlers import access
from pyproducer.broker.handlers.access import ALTER_CLUSTER
from pyproducer.broker.handlers.acl_wire import created, no_authorizer
from pyproducer.protocol.error_codes import ErrorCode
from pyproducer.protocol.messages.create_acls import (
    AclCreationResult,
    CreateAclsRequest,
    CreateAclsResponse,
)

if TYPE_CHECKING:
    from pyproducer.broker.context import RequestContext
    from pyproducer.broker.node import Node
    from pyproducer.protocol.acl import Acl

NEEDS = (ALTER_CLUSTER,)


async def handle(
    node: Node, request: CreateAclsRequest, context: RequestContext
) -> CreateAclsResponse:
    """All that are rules hold when this is answered; a rule that there is already is no error."""
    try:
        access.require(node, context, ALTER_CLUSTER)
        no_authorizer(node)
    except Refused as refused:
        return CreateAclsResponse(results=[_result(refused) for _ in request.creations])
    found: list[Acl | Refused] = []
    for creation in request.creations:
        try:
            found.append(created(creation))
        except Refused as refused:
            found.append(refused)
    try:
        acls = [one for one in found if not isinstance(one, Refused)]
        node.acls.add(acls)
    except OSError as error:
        failure = Refused(ErrorCode.KAFKA_STORAGE_ERROR, f"cannot be written: {error}")
        found = [one if isinstance(one, Refused) else failure for one in found]
    else:
        node.audit.changed(context, "adds the rule", map(str, acls))
    return CreateAclsResponse(
        results=[
            _result(one) if isinstance(one, Refused) else AclCreationResult(error_message=None)
            for one in found
        ]
    )


def _result(refused: Refused) -> AclCreationResult:
    return AclCreationResult(error_code=refused.code, error_message=refused.message)
