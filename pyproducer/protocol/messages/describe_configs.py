"""The DescribeConfigs API. Written by tests/protocol/generate_messages.py."""

from __future__ import annotations

from typing import ClassVar

from pyproducer.protocol.primitives import BOOL, INT16, INT32, INT8, STRING, Array
from pyproducer.protocol.schema import Message, Struct, wire


class DescribeConfigsResource(Struct):
    """Part of DescribeConfigsRequest."""

    resource_type: int = wire(INT8)
    resource_name: str = wire(STRING)
    configuration_keys: list[str] | None = wire(Array(STRING), nullable=0)


class DescribeConfigsRequest(Message):
    """DescribeConfigsRequest, versions 0 to 4."""

    api_key: ClassVar[int] = 32
    min_version: ClassVar[int] = 0
    max_version: ClassVar[int] = 4
    flexible_since: ClassVar[int] = 4

    resources: list[DescribeConfigsResource] = wire(Array(DescribeConfigsResource))
    include_synonyms: bool = wire(BOOL, since=1)
    include_documentation: bool = wire(BOOL, since=3)


class DescribeConfigsSynonym(Struct):
    """Part of DescribeConfigsResponse."""

    name: str = wire(STRING, since=1)
    value: str | None = wire(STRING, since=1, nullable=0)
    source: int = wire(INT8, since=1)


class DescribeConfigsResourceResult(Struct):
    """Part of DescribeConfigsResponse."""

    name: str = wire(STRING)
    value: str | None = wire(STRING, nullable=0)
    read_only: bool = wire(BOOL)
    config_source: int = wire(INT8, since=1, ignorable=True, default=-1)
    is_default: bool = wire(BOOL, until=0)
    is_sensitive: bool = wire(BOOL)
    synonyms: list[DescribeConfigsSynonym] = wire(
        Array(DescribeConfigsSynonym), since=1, ignorable=True
    )
    config_type: int = wire(INT8, since=3, ignorable=True)
    documentation: str | None = wire(STRING, since=3, nullable=0, ignorable=True)


class DescribeConfigsResult(Struct):
    """Part of DescribeConfigsResponse."""

    error_code: int = wire(INT16)
    error_message: str | None = wire(STRING, nullable=0)
    resource_type: int = wire(INT8)
    resource_name: str = wire(STRING)
    configs: list[DescribeConfigsResourceResult] = wire(Array(DescribeConfigsResourceResult))


class DescribeConfigsResponse(Message):
    """DescribeConfigsResponse, versions 0 to 4."""

    api_key: ClassVar[int] = 32
    min_version: ClassVar[int] = 0
    max_version: ClassVar[int] = 4
    flexible_since: ClassVar[int] = 4

    throttle_time_ms: int = wire(INT32)
    results: list[DescribeConfigsResult] = wire(Array(DescribeConfigsResult))
