"""The JoinGroup API. Written by tests/protocol/generate_messages.py."""

from __future__ import annotations

from typing import ClassVar

from pyproducer.protocol.primitives import BOOL, BYTES, INT16, INT32, STRING, Array
from pyproducer.protocol.schema import Message, Struct, wire


class JoinGroupRequestProtocol(Struct):
    """Part of JoinGroupRequest."""

    name: str = wire(STRING)
    metadata: bytes = wire(BYTES)


class JoinGroupRequest(Message):
    """JoinGroupRequest, versions 0 to 9."""

    api_key: ClassVar[int] = 11
    min_version: ClassVar[int] = 0
    max_version: ClassVar[int] = 9
    flexible_since: ClassVar[int] = 6

    group_id: str = wire(STRING)
    session_timeout_ms: int = wire(INT32)
    rebalance_timeout_ms: int = wire(INT32, since=1, ignorable=True, default=-1)
    member_id: str = wire(STRING)
    group_instance_id: str | None = wire(STRING, since=5, nullable=5, default=None)
    protocol_type: str = wire(STRING)
    protocols: list[JoinGroupRequestProtocol] = wire(Array(JoinGroupRequestProtocol))
    reason: str | None = wire(STRING, since=8, nullable=8, ignorable=True, default=None)


class JoinGroupResponseMember(Struct):
    """Part of JoinGroupResponse."""

    member_id: str = wire(STRING)
    group_instance_id: str | None = wire(STRING, since=5, nullable=5, ignorable=True, default=None)
    metadata: bytes = wire(BYTES)


class JoinGroupResponse(Message):
    """JoinGroupResponse, versions 0 to 9."""

    api_key: ClassVar[int] = 11
    min_version: ClassVar[int] = 0
    max_version: ClassVar[int] = 9
    flexible_since: ClassVar[int] = 6

    throttle_time_ms: int = wire(INT32, since=2, ignorable=True)
    error_code: int = wire(INT16)
    generation_id: int = wire(INT32, default=-1)
    protocol_type: str | None = wire(STRING, since=7, nullable=7, ignorable=True, default=None)
    protocol_name: str | None = wire(STRING, nullable=7)
    leader: str = wire(STRING)
    skip_assignment: bool = wire(BOOL, since=9)
    member_id: str = wire(STRING)
    members: list[JoinGroupResponseMember] = wire(Array(JoinGroupResponseMember))
