"""SyncGroup, versions 0 to 5: a member asks for its share, the leader hands in everybody's.

The answer of all but the leader waits for the leader. Version 3 has static members, 5 names the
protocol so that a mismatch shows.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from pyproducer.broker.groups.model import SyncRequest, SyncResult
from pyproducer.broker.groups.parking import ticket_for
from pyproducer.broker.handlers import access
from pyproducer.broker.handlers.access import READ_GROUP
from pyproducer.protocol.messages.sync_group import SyncGroupRequest, SyncGroupResponse

if TYPE_CHECKING:
    from pyproducer.broker.context import RequestContext
    from pyproducer.broker.node import Node

NEEDS = (READ_GROUP,)


async def handle(
    node: Node, request: SyncGroupRequest, context: RequestContext
) -> SyncGroupResponse:
    """The answer, once the leader's assignment is stored."""
    if refusal := access.refusal(node, context, READ_GROUP, request.group_id):
        return SyncGroupResponse(
            error_code=refusal, protocol_type=None, protocol_name=None, assignment=b""
        )
    sync = SyncRequest(
        member_id=request.member_id,
        instance_id=request.group_instance_id,
        generation=request.generation_id,
        protocol_type=request.protocol_type,
        protocol=request.protocol_name,
        assignments={share.member_id: bytes(share.assignment) for share in request.assignments},
    )
    answer: asyncio.Future[SyncResult] = asyncio.get_running_loop().create_future()
    node.groups.sync(request.group_id, sync, ticket_for(answer))
    result = await answer
    return SyncGroupResponse(
        error_code=result.error,
        protocol_type=result.protocol_type,
        protocol_name=result.protocol,
        assignment=result.assignment,
    )
