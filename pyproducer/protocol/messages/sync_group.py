"""The SyncGroup API. Written by tests/protocol/generate_messages.py."""

from __future__ import annotations

from typing import ClassVar

from pyproducer.protocol.primitives import BYTES, INT16, INT32, STRING, Array
from pyproducer.protocol.schema import Message, Struct, wire


class SyncGroupRequestAssignment(Struct):
    """Part of SyncGroupRequest."""

    member_id: str = wire(STRING)
    assignment: bytes = wire(BYTES)


class SyncGroupRequest(Message):
    """SyncGroupRequest, versions 0 to 5."""

    api_key: ClassVar[int] = 14
    min_version: ClassVar[int] = 0
    max_version: ClassVar[int] = 5
    flexible_since: ClassVar[int] = 4

    group_id: str = wire(STRING)
    generation_id: int = wire(INT32)
    member_id: str = wire(STRING)
    group_instance_id: str | None = wire(STRING, since=3, nullable=3, default=None)
    protocol_type: str | None = wire(STRING, since=5, nullable=5, ignorable=True, default=None)
    protocol_name: str | None = wire(STRING, since=5, nullable=5, ignorable=True, default=None)
    assignments: list[SyncGroupRequestAssignment] = wire(Array(SyncGroupRequestAssignment))


class SyncGroupResponse(Message):
    """SyncGroupResponse, versions 0 to 5."""

    api_key: ClassVar[int] = 14
    min_version: ClassVar[int] = 0
    max_version: ClassVar[int] = 5
    flexible_since: ClassVar[int] = 4

    throttle_time_ms: int = wire(INT32, since=1, ignorable=True)
    error_code: int = wire(INT16)
    protocol_type: str | None = wire(STRING, since=5, nullable=5, ignorable=True, default=None)
    protocol_name: str | None = wire(STRING, since=5, nullable=5, ignorable=True, default=None)
    assignment: bytes = wire(BYTES)
