"""The Heartbeat API. Written by tests/protocol/generate_messages.py."""

from __future__ import annotations

from typing import ClassVar

from pyproducer.protocol.primitives import INT16, INT32, STRING
from pyproducer.protocol.schema import Message, wire


class HeartbeatRequest(Message):
    """HeartbeatRequest, versions 0 to 4."""

    api_key: ClassVar[int] = 12
    min_version: ClassVar[int] = 0
    max_version: ClassVar[int] = 4
    flexible_since: ClassVar[int] = 4

    group_id: str = wire(STRING)
    generation_id: int = wire(INT32)
    member_id: str = wire(STRING)
    group_instance_id: str | None = wire(STRING, since=3, nullable=3, default=None)


class HeartbeatResponse(Message):
    """HeartbeatResponse, versions 0 to 4."""

    api_key: ClassVar[int] = 12
    min_version: ClassVar[int] = 0
    max_version: ClassVar[int] = 4
    flexible_since: ClassVar[int] = 4

    throttle_time_ms: int = wire(INT32, since=1, ignorable=True)
    error_code: int = wire(INT16)
