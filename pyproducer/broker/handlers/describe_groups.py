"""DescribeGroups, versions 0 to 6: state and members of groups.

A group that nobody knows is "Dead" without an error, which admin clients expect; from version 6
on it is an error.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pyproducer.broker.groups.state import GroupState
from pyproducer.broker.handlers import access
from pyproducer.broker.handlers.access import DESCRIBE_GROUP
from pyproducer.protocol.acl_terms import ResourceType
from pyproducer.protocol.error_codes import ErrorCode
from pyproducer.protocol.messages.describe_groups import (
    DescribedGroup,
    DescribedGroupMember,
    DescribeGroupsRequest,
    DescribeGroupsResponse,
)

if TYPE_CHECKING:
    from pyproducer.broker.context import RequestContext
    from pyproducer.broker.node import Node

NEEDS = (DESCRIBE_GROUP,)


async def handle(
    node: Node, request: DescribeGroupsRequest, context: RequestContext
) -> DescribeGroupsResponse:
    """The answer, at once."""
    groups = [_describe(node, group_id, context) for group_id in request.groups]
    if request.include_authorized_operations:
        for group in groups:
            # Of a group that nobody knows nothing is told, as in Kafka.
            if group.error_code == ErrorCode.NONE and group.group_state != GroupState.DEAD:
                group.authorized_operations = access.operations(
                    node, context, ResourceType.GROUP, group.group_id
                )
    return DescribeGroupsResponse(groups=groups)


def _describe(node: Node, group_id: str, context: RequestContext) -> DescribedGroup:
    if refusal := access.refusal(node, context, DESCRIBE_GROUP, group_id):
        return DescribedGroup(group_id=group_id, error_code=refusal)
    problem = node.groups.refusal(group_id)
    if problem is not None:
        return DescribedGroup(group_id=group_id, error_code=problem)
    group = node.groups.describe(group_id)
    if group is None:
        unknown = DescribedGroup(group_id=group_id, group_state=GroupState.DEAD)
        if context.api_version >= 6:
            unknown.error_code = ErrorCode.GROUP_ID_NOT_FOUND
            unknown.error_message = f"group {group_id!r} does not exist"
        return unknown
    return DescribedGroup(
        group_id=group_id,
        group_state=group.state,
        protocol_type=group.protocol_type,
        protocol_data=group.protocol,
        members=[
            DescribedGroupMember(
                member_id=member.member_id,
                group_instance_id=member.instance_id,
                client_id=member.client_id,
                client_host=member.client_host,
                member_metadata=member.metadata,
                member_assignment=member.assignment,
            )
            for member in group.members
        ],
    )
