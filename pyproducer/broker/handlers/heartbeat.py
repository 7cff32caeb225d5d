"""Heartbeat, versions 0 to 4: a member is alive, and learns whether it has to rejoin."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pyproducer.broker.handlers import access
from pyproducer.broker.handlers.access import READ_GROUP
from pyproducer.protocol.messages.heartbeat import HeartbeatRequest, HeartbeatResponse

if TYPE_CHECKING:
    from pyproducer.broker.context import RequestContext
    from pyproducer.broker.node import Node

NEEDS = (READ_GROUP,)


async def handle(
    node: Node, request: HeartbeatRequest, context: RequestContext
) -> HeartbeatResponse:
    """The answer, at once."""
    if refusal := access.refusal(node, context, READ_GROUP, request.group_id):
        return HeartbeatResponse(error_code=refusal)
    error = node.groups.heartbeat(
        request.group_id, request.member_id, request.group_instance_id, request.generation_id
    )
    return HeartbeatResponse(error_code=error)
