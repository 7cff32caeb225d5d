"""The CreateAcls API. Written by tests/protocol/generate_messages.py."""

from __future__ import annotations

from typing import ClassVar

from pyproducer.protocol.primitives import INT16, INT32, INT8, STRING, Array
from pyproducer.protocol.schema import Message, Struct, wire


class AclCreation(Struct):
    """Part of CreateAclsRequest."""

    resource_type: int = wire(INT8)
    resource_name: str = wire(STRING)
    resource_pattern_type: int = wire(INT8, since=1, default=3)
    principal: str = wire(STRING)
    host: str = wire(STRING)
    operation: int = wire(INT8)
    permission_type: int = wire(INT8)


class CreateAclsRequest(Message):
    """CreateAclsRequest, versions 0 to 3."""

    api_key: ClassVar[int] = 30
    min_version: ClassVar[int] = 0
    max_version: ClassVar[int] = 3
    flexible_since: ClassVar[int] = 2

    creations: list[AclCreation] = wire(Array(AclCreation))


class AclCreationResult(Struct):
    """Part of CreateAclsResponse."""

    error_code: int = wire(INT16)
    error_message: str | None = wire(STRING, nullable=0)


class CreateAclsResponse(Message):
    """CreateAclsResponse, versions 0 to 3."""

    api_key: ClassVar[int] = 30
    min_version: ClassVar[int] = 0
    max_version: ClassVar[int] = 3
    flexible_since: ClassVar[int] = 2

    throttle_time_ms: int = wire(INT32)
    results: list[AclCreationResult] = wire(Array(AclCreationResult))
