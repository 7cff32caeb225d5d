"""The FindCoordinator API. Written by tests/protocol/generate_messages.py."""

from __future__ import annotations

from typing import ClassVar

from pyproducer.protocol.primitives import INT16, INT32, INT8, STRING, Array
from pyproducer.protocol.schema import Message, Struct, wire


class FindCoordinatorRequest(Message):
    """FindCoordinatorRequest, versions 0 to 6."""

    api_key: ClassVar[int] = 10
    min_version: ClassVar[int] = 0
    max_version: ClassVar[int] = 6
    flexible_since: ClassVar[int] = 3

    key: str = wire(STRING, until=3)
    key_type: int = wire(INT8, since=1)
    coordinator_keys: list[str] = wire(Array(STRING), since=4)


class Coordinator(Struct):
    """Part of FindCoordinatorResponse."""

    key: str = wire(STRING, since=4)
    node_id: int = wire(INT32, since=4)
    host: str = wire(STRING, since=4)
    port: int = wire(INT32, since=4)
    error_code: int = wire(INT16, since=4)
    error_message: str | None = wire(STRING, since=4, nullable=4, ignorable=True)


class FindCoordinatorResponse(Message):
    """FindCoordinatorResponse, versions 0 to 6."""

    api_key: ClassVar[int] = 10
    min_version: ClassVar[int] = 0
    max_version: ClassVar[int] = 6
    flexible_since: ClassVar[int] = 3

    throttle_time_ms: int = wire(INT32, since=1, ignorable=True)
    error_code: int = wire(INT16, until=3)
    error_message: str | None = wire(STRING, since=1, until=3, nullable=1, ignorable=True)
    node_id: int = wire(INT32, until=3)
    host: str = wire(STRING, until=3)
    port: int = wire(INT32, until=3)
    coordinators: list[Coordinator] = wire(Array(Coordinator), since=4)
