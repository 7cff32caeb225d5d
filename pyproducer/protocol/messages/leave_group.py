"""The LeaveGroup API. Written by tests/protocol/generate_messages.py."""

from __future__ import annotations

from typing import ClassVar

from pyproducer.protocol.primitives import INT16, INT32, STRING, Array
from pyproducer.protocol.schema import Message, Struct, wire


class MemberIdentity(Struct):
    """Part of LeaveGroupRequest."""

    member_id: str = wire(STRING, since=3)
    group_instance_id: str | None = wire(STRING, since=3, nullable=3, default=None)
    reason: str | None = wire(STRING, since=5, nullable=5, ignorable=True, default=None)


class LeaveGroupRequest(Message):
    """LeaveGroupRequest, versions 0 to 5."""

    api_key: ClassVar[int] = 13
    min_version: ClassVar[int] = 0
    max_version: ClassVar[int] = 5
    flexible_since: ClassVar[int] = 4

    group_id: str = wire(STRING)
    member_id: str = wire(STRING, until=2)
    members: list[MemberIdentity] = wire(Array(MemberIdentity), since=3)


class MemberResponse(Struct):
    """Part of LeaveGroupResponse."""

    member_id: str = wire(STRING, since=3)
    group_instance_id: str | None = wire(STRING, since=3, nullable=3)
    error_code: int = wire(INT16, since=3)


class LeaveGroupResponse(Message):
    """LeaveGroupResponse, versions 0 to 5."""

    api_key: ClassVar[int] = 13
    min_version: ClassVar[int] = 0
    max_version: ClassVar[int] = 5
    flexible_since: ClassVar[int] = 4

    throttle_time_ms: int = wire(INT32, since=1, ignorable=True)
    error_code: int = wire(INT16)
    members: list[MemberResponse] = wire(Array(MemberResponse), since=3)
