"""The DescribeAcls API. Written by tests/protocol/generate_messages.py."""

from __future__ import annotations

from typing import ClassVar

from pyproducer.protocol.primitives import INT16, INT32, INT8, STRING, Array
from pyproducer.protocol.schema import Message, Struct, wire


class DescribeAclsRequest(Message):
    """DescribeAclsRequest, versions 0 to 3."""

    api_key: ClassVar[int] = 29
    min_version: ClassVar[int] = 0
    max_version: ClassVar[int] = 3
    flexible_since: ClassVar[int] = 2

    resource_type_filter: int = wire(INT8)
    resource_name_filter: str | None = wire(STRING, nullable=0)
    pattern_type_filter: int = wire(INT8, since=1, default=3)
    principal_filter: str | None = wire(STRING, nullable=0)
    host_filter: str | None = wire(STRING, nullable=0)
    operation: int = wire(INT8)
    permission_type: int = wire(INT8)


class AclDescription(Struct):
    """Part of DescribeAclsResponse."""

    principal: str = wire(STRING)
    host: str = wire(STRING)
    operation: int = wire(INT8)
    permission_type: int = wire(INT8)


class DescribeAclsResource(Struct):
    """Part of DescribeAclsResponse."""

    resource_type: int = wire(INT8)
    resource_name: str = wire(STRING)
    pattern_type: int = wire(INT8, since=1, default=3)
    acls: list[AclDescription] = wire(Array(AclDescription))


class DescribeAclsResponse(Message):
    """DescribeAclsResponse, versions 0 to 3."""

    api_key: ClassVar[int] = 29
    min_version: ClassVar[int] = 0
    max_version: ClassVar[int] = 3
    flexible_since: ClassVar[int] = 2

    throttle_time_ms: int = wire(INT32)
    error_code: int = wire(INT16)
    error_message: str | None = wire(STRING, nullable=0)
    resources: list[DescribeAclsResource] = wire(Array(DescribeAclsResource))
