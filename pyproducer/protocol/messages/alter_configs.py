"""The AlterConfigs API. Written by tests/protocol/generate_messages.py."""

from __future__ import annotations

from typing import ClassVar

from pyproducer.protocol.primitives import BOOL, INT16, INT32, INT8, STRING, Array
from pyproducer.protocol.schema import Message, Struct, wire


class AlterableConfig(Struct):
    """Part of AlterConfigsRequest."""

    name: str = wire(STRING)
    value: str | None = wire(STRING, nullable=0)


class AlterConfigsResource(Struct):
    """Part of AlterConfigsRequest."""

    resource_type: int = wire(INT8)
    resource_name: str = wire(STRING)
    configs: list[AlterableConfig] = wire(Array(AlterableConfig))


class AlterConfigsRequest(Message):
    """AlterConfigsRequest, versions 0 to 2."""

    api_key: ClassVar[int] = 33
    min_version: ClassVar[int] = 0
    max_version: ClassVar[int] = 2
    flexible_since: ClassVar[int] = 2

    resources: list[AlterConfigsResource] = wire(Array(AlterConfigsResource))
    validate_only: bool = wire(BOOL)


class AlterConfigsResourceResponse(Struct):
    """Part of AlterConfigsResponse."""

    error_code: int = wire(INT16)
    error_message: str | None = wire(STRING, nullable=0)
    resource_type: int = wire(INT8)
    resource_name: str = wire(STRING)


class AlterConfigsResponse(Message):
    """AlterConfigsResponse, versions 0 to 2."""

    api_key: ClassVar[int] = 33
    min_version: ClassVar[int] = 0
    max_version: ClassVar[int] = 2
    flexible_since: ClassVar[int] = 2

    throttle_time_ms: int = wire(INT32)
    responses: list[AlterConfigsResourceResponse] = wire(Array(AlterConfigsResourceResponse))
