"""The IncrementalAlterConfigs API. Written by tests/protocol/generate_messages.py."""

from __future__ import annotations

from typing import ClassVar

from pyproducer.protocol.primitives import BOOL, INT16, INT32, INT8, STRING, Array
from pyproducer.protocol.schema import Message, Struct, wire


class AlterableConfig(Struct):
    """Part of IncrementalAlterConfigsRequest."""

    name: str = wire(STRING)
    config_operation: int = wire(INT8)
    value: str | None = wire(STRING, nullable=0)


class AlterConfigsResource(Struct):
    """Part of IncrementalAlterConfigsRequest."""

    resource_type: int = wire(INT8)
    resource_name: str = wire(STRING)
    configs: list[AlterableConfig] = wire(Array(AlterableConfig))


class IncrementalAlterConfigsRequest(Message):
    """IncrementalAlterConfigsRequest, versions 0 to 1."""

    api_key: ClassVar[int] = 44
    min_version: ClassVar[int] = 0
    max_version: ClassVar[int] = 1
    flexible_since: ClassVar[int] = 1

    resources: list[AlterConfigsResource] = wire(Array(AlterConfigsResource))
    validate_only: bool = wire(BOOL)


class AlterConfigsResourceResponse(Struct):
    """Part of IncrementalAlterConfigsResponse."""

    error_code: int = wire(INT16)
    error_message: str | None = wire(STRING, nullable=0)
    resource_type: int = wire(INT8)
    resource_name: str = wire(STRING)


class IncrementalAlterConfigsResponse(Message):
    """IncrementalAlterConfigsResponse, versions 0 to 1."""

    api_key: ClassVar[int] = 44
    min_version: ClassVar[int] = 0
    max_version: ClassVar[int] = 1
    flexible_since: ClassVar[int] = 1

    throttle_time_ms: int = wire(INT32)
    responses: list[AlterConfigsResourceResponse] = wire(Array(AlterConfigsResourceResponse))
