"""DeleteGroups, versions 0 to 2: groups without members go, with their offsets."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pyproducer.broker.handlers import access
from pyproducer.broker.handlers.access import DELETE_GROUP
from pyproducer.protocol.messages.delete_groups import (
    DeletableGroupResult,
    DeleteGroupsRequest,
    DeleteGroupsResponse,
)

if TYPE_CHECKING:
    from pyproducer.broker.context import RequestContext
    from pyproducer.broker.node import Node

NEEDS = (DELETE_GROUP,)


async def handle(
    node: Node, request: DeleteGroupsRequest, context: RequestContext
) -> DeleteGroupsResponse:
    """The answer, once the tombstones are stored."""
    # A name that comes twice is one group: its second deletion would find nothing.
    return DeleteGroupsResponse(
        results=[
            DeletableGroupResult(group_id=group_id, error_code=_delete(node, context, group_id))
            for group_id in dict.fromkeys(request.groups_names)
        ]
    )


def _delete(node: Node, context: RequestContext, group_id: str) -> int:
    return access.refusal(node, context, DELETE_GROUP, group_id) or node.groups.delete(group_id)
