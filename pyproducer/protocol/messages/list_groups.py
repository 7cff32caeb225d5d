"""The ListGroups API. Written by tests/protocol/generate_messages.py."""

from __future__ import annotations

from typing import ClassVar

from pyproducer.protocol.primitives import INT16, INT32, STRING, Array
from pyproducer.protocol.schema import Message, Struct, wire


class ListGroupsRequest(Message):
    """ListGroupsRequest, versions 0 to 5."""

    api_key: ClassVar[int] = 16
    min_version: ClassVar[int] = 0
    max_version: ClassVar[int] = 5
    flexible_since: ClassVar[int] = 3

    states_filter: list[str] = wire(Array(STRING), since=4)
    types_filter: list[str] = wire(Array(STRING), since=5)


class ListedGroup(Struct):
    """Part of ListGroupsResponse."""

    group_id: str = wire(STRING)
    protocol_type: str = wire(STRING)
    group_state: str = wire(STRING, since=4, ignorable=True)
    group_type: str = wire(STRING, since=5, ignorable=True)


class ListGroupsResponse(Message):
    """ListGroupsResponse, versions 0 to 5."""

    api_key: ClassVar[int] = 16
    min_version: ClassVar[int] = 0
    max_version: ClassVar[int] = 5
    flexible_since: ClassVar[int] = 3

    throttle_time_ms: int = wire(INT32, since=1, ignorable=True)
    error_code: int = wire(INT16)
    groups: list[ListedGroup] = wire(Array(ListedGroup))
