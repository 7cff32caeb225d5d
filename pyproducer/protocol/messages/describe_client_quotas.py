"""The DescribeClientQuotas API. Written by tests/protocol/generate_messages.py."""

from __future__ import annotations

from typing import ClassVar

from pyproducer.protocol.primitives import BOOL, FLOAT64, INT16, INT32, INT8, STRING, Array
from pyproducer.protocol.schema import Message, Struct, wire


class ComponentData(Struct):
    """Part of DescribeClientQuotasRequest."""

    entity_type: str = wire(STRING)
    match_type: int = wire(INT8)
    match: str | None = wire(STRING, nullable=0)


class DescribeClientQuotasRequest(Message):
    """DescribeClientQuotasRequest, versions 0 to 1."""

    api_key: ClassVar[int] = 48
    min_version: ClassVar[int] = 0
    max_version: ClassVar[int] = 1
    flexible_since: ClassVar[int] = 1

    components: list[ComponentData] = wire(Array(ComponentData))
    strict: bool = wire(BOOL)


class EntityData(Struct):
    """Part of DescribeClientQuotasResponse."""

    entity_type: str = wire(STRING)
    entity_name: str | None = wire(STRING, nullable=0)


class ValueData(Struct):
    """Part of DescribeClientQuotasResponse."""

    key: str = wire(STRING)
    value: float = wire(FLOAT64)


class EntryData(Struct):
    """Part of DescribeClientQuotasResponse."""

    entity: list[EntityData] = wire(Array(EntityData))
    values: list[ValueData] = wire(Array(ValueData))


class DescribeClientQuotasResponse(Message):
    """DescribeClientQuotasResponse, versions 0 to 1."""

    api_key: ClassVar[int] = 48
    min_version: ClassVar[int] = 0
    max_version: ClassVar[int] = 1
    flexible_since: ClassVar[int] = 1

    throttle_time_ms: int = wire(INT32)
    error_code: int = wire(INT16)
    error_message: str | None = wire(STRING, nullable=0)
    entries: list[EntryData] | None = wire(Array(EntryData), nullable=0)
