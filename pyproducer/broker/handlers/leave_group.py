"""LeaveGroup, versions 0 to 5: members go at once instead of timing out.

Up to version 2 one member leaves and its error is the request's; from 3 on several leave, each
with an error of its own, also by instance id alone.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pyproducer.broker.errors import Refused
from pyproducer.broker.groups.model import MemberIdentity
from pyproducer.broker.handlers import access
from pyproducer.broker.handlers.access import READ_GROUP
from pyproducer.protocol.messages.leave_group import (
    LeaveGroupRequest,
    LeaveGroupResponse,
    MemberResponse,
)

if TYPE_CHECKING:
    from pyproducer.broker.context import RequestContext
    from pyproducer.broker.node import Node

NEEDS = (READ_GROUP,)


async def handle(
    node: Node, request: LeaveGroupRequest, context: RequestContext
) -> LeaveGroupResponse:
    """The answer, at once."""
    if refusal := access.refusal(node, context, READ_GROUP, request.group_id):
        return LeaveGroupResponse(error_code=refusal)
    single = context.api_version < 3
    if single:
        leaving = [MemberIdentity(request.member_id, None)]
    else:
        leaving = [
            MemberIdentity(member.member_id, member.group_instance_id) for member in request.members
        ]
    try:
        errors = node.groups.leave(request.group_id, leaving)
    except Refused as refused:
        return LeaveGroupResponse(error_code=refused.code)
    if single:
        return LeaveGroupResponse(error_code=errors[0])
    return LeaveGroupResponse(
        members=[
            MemberResponse(
                member_id=member.member_id,
                group_instance_id=member.instance_id,
                error_code=error,
            )
            for member, error in zip(leaving, errors, strict=True)
        ]
    )
