"""ListGroups, versions 0 to 5: every group; from 4 on of some states, from 5 on of some types."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pyproducer.broker.handlers import access
from pyproducer.broker.handlers.access import DESCRIBE_CLUSTER, DESCRIBE_GROUP
from pyproducer.protocol.messages.list_groups import (
    ListedGroup,
    ListGroupsRequest,
    ListGroupsResponse,
)

if TYPE_CHECKING:
    from pyproducer.broker.context import RequestContext
    from pyproducer.broker.node import Node

NEEDS = (DESCRIBE_CLUSTER, DESCRIBE_GROUP)

_TYPE = "classic"


async def handle(
    node: Node, request: ListGroupsRequest, context: RequestContext
) -> ListGroupsResponse:
    """The answer, at once."""
    states = {state.casefold() for state in request.states_filter}
    types = {kind.casefold() for kind in request.types_filter}
    every = access.allowed(node, context, DESCRIBE_CLUSTER, quiet=True)
    if types and _TYPE not in types:
        return ListGroupsResponse()
    return ListGroupsResponse(
        groups=[
            ListedGroup(
                group_id=group.group_id,
                protocol_type=group.protocol_type,
                group_state=group.state,
                group_type=_TYPE,
            )
            for group in node.groups.list_groups()
            if not states or group.state.casefold() in states
            if every or access.allowed(node, context, DESCRIBE_GROUP, group.group_id, quiet=True)
        ]
    )
