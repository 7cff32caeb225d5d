"""The DescribeGroups API. Written by tests/protocol/generate_messages.py."""

from __future__ import annotations

from typing import ClassVar

from pyproducer.protocol.primitives import BOOL, BYTES, INT16, INT32, STRING, Array
from pyproducer.protocol.schema import Message, Struct, wire


class DescribeGroupsRequest(Message):
    """DescribeGroupsRequest, versions 0 to 6."""

    api_key: ClassVar[int] = 15
    min_version: ClassVar[int] = 0
    max_version: ClassVar[int] = 6
    flexible_since: ClassVar[int] = 5

    groups: list[str] = wire(Array(STRING))
    include_authorized_operations: bool = wire(BOOL, since=3)


class DescribedGroupMember(Struct):
    """Part of DescribeGroupsResponse."""

    member_id: str = wire(STRING)
    group_instance_id: str | None = wire(STRING, since=4, nullable=4, ignorable=True, default=None)
    client_id: str = wire(STRING)
    client_host: str = wire(STRING)
    member_metadata: bytes = wire(BYTES)
    member_assignment: bytes = wire(BYTES)


class DescribedGroup(Struct):
    """Part of DescribeGroupsResponse."""

    error_code: int = wire(INT16)
    error_message: str | None = wire(STRING, since=6, nullable=6, default=None)
    group_id: str = wire(STRING)
    group_state: str = wire(STRING)
    protocol_type: str = wire(STRING)
    protocol_data: str = wire(STRING)
    members: list[DescribedGroupMember] = wire(Array(DescribedGroupMember))
    authorized_operations: int = wire(INT32, since=3, default=-2147483648)


class DescribeGroupsResponse(Message):
    """DescribeGroupsResponse, versions 0 to 6."""

    api_key: ClassVar[int] = 15
    min_version: ClassVar[int] = 0
    max_version: ClassVar[int] = 6
    flexible_since: ClassVar[int] = 5

    throttle_time_ms: int = wire(INT32, since=1, ignorable=True)
    groups: list[DescribedGroup] = wire(Array(DescribedGroup))
