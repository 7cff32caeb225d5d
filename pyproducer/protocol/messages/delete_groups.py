"""The DeleteGroups API. Written by tests/protocol/generate_messages.py."""

from __future__ import annotations

from typing import ClassVar

from pyproducer.protocol.primitives import INT16, INT32, STRING, Array
from pyproducer.protocol.schema import Message, Struct, wire


class DeleteGroupsRequest(Message):
    """DeleteGroupsRequest, versions 0 to 2."""

    api_key: ClassVar[int] = 42
    min_version: ClassVar[int] = 0
    max_version: ClassVar[int] = 2
    flexible_since: ClassVar[int] = 2

    groups_names: list[str] = wire(Array(STRING))


class DeletableGroupResult(Struct):
    """Part of DeleteGroupsResponse."""

    group_id: str = wire(STRING)
    error_code: int = wire(INT16)


class DeleteGroupsResponse(Message):
    """DeleteGroupsResponse, versions 0 to 2."""

    api_key: ClassVar[int] = 42
    min_version: ClassVar[int] = 0
    max_version: ClassVar[int] = 2
    flexible_since: ClassVar[int] = 2

    throttle_time_ms: int = wire(INT32)
    results: list[DeletableGroupResult] = wire(Array(DeletableGroupResult))
