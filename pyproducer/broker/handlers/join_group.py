"""JoinGroup, versions 0 to 9: a member asks to take part in the group's next generation.

The answer waits for the other members. Version 1 has a rebalance timeout of its own, 4 learns its
member id in a first round, 5 has static members, 9 can tell a leader not to assign anew.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from pyproducer.broker.groups.member import MemberProtocol
from pyproducer.broker.groups.model import JoinRequest, JoinResult
from pyproducer.broker.groups.parking import ticket_for
from pyproducer.broker.handlers import access
from pyproducer.broker.handlers.access import READ_GROUP
from pyproducer.protocol.messages.join_group import (
    JoinGroupRequest,
    JoinGroupResponse,
    JoinGroupResponseMember,
)

if TYPE_CHECKING:
    from pyproducer.broker.context import RequestContext
    from pyproducer.broker.node import Node

NEEDS = (READ_GROUP,)


async def handle(
    node: Node, request: JoinGroupRequest, context: RequestContext
) -> JoinGroupResponse:
    """The answer, once the join phase is over."""
    version = context.api_version
    if refusal := access.refusal(node, context, READ_GROUP, request.group_id):
        return JoinGroupResponse(
            error_code=refusal,
            generation_id=-1,
            protocol_type=None,
            protocol_name=None if version >= 7 else "",
        )
    session_ms = request.session_timeout_ms
    rebalance_ms = request.rebalance_timeout_ms if version >= 1 else session_ms
    join = JoinRequest(
        member_id=request.member_id,
        instance_id=request.group_instance_id,
        client_id=context.client_id,
        client_host=f"/{context.connection.peer_host}",
        session_timeout=session_ms / 1000,
        rebalance_timeout=max(rebalance_ms, 0) / 1000,
        protocol_type=request.protocol_type,
        protocols=tuple(
            MemberProtocol(protocol.name, bytes(protocol.metadata))
            for protocol in request.protocols
        ),
        require_known_member_id=version >= 4 and request.group_instance_id is None,
        can_skip_assignment=version >= 9,
    )
    answer: asyncio.Future[JoinResult] = asyncio.get_running_loop().create_future()
    node.groups.join(request.group_id, join, ticket_for(answer))
    result = await answer
    # Before version 7 there is no null for "no protocol".
    no_protocol = None if version >= 7 else ""
    return JoinGroupResponse(
        error_code=result.error,
        generation_id=result.generation,
        protocol_type=result.protocol_type,
        protocol_name=no_protocol if result.protocol is None else result.protocol,
        leader=result.leader,
        skip_assignment=result.skip_assignment,
        member_id=result.member_id,
        members=[
            JoinGroupResponseMember(
                member_id=member.member_id,
                group_instance_id=member.instance_id,
                metadata=member.metadata,
            )
            for member in result.members
        ],
    )
