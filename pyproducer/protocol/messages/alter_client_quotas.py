"""The AlterClientQuotas API. Written by tests/protocol/generate_messages.py."""

from __future__ import annotations

from typing import ClassVar

from pyproducer.protocol.primitives import BOOL, FLOAT64, INT16, INT32, STRING, Array
from pyproducer.protocol.schema import Message, Struct, wire


class EntityData(Struct):
    """Part of AlterClientQuotasRequest."""

    entity_type: str = wire(STRING)
    entity_name: str | None = wire(STRING, nullable=0)


class OpData(Struct):
    """Part of AlterClientQuotasRequest."""

    key: str = wire(STRING)
    value: float = wire(FLOAT64)
    remove: bool = wire(BOOL)


class EntryData(Struct):
    """Part of AlterClientQuotasRequest."""

    entity: list[EntityData] = wire(Array(EntityData))
    ops: list[OpData] = wire(Array(OpData))


class AlterClientQuotasRequest(Message):
    """AlterClientQuotasRequest, versions 0 to 1."""

    api_key: ClassVar[int] = 49
    min_version: ClassVar[int] = 0
    max_version: ClassVar[int] = 1
    flexible_since: ClassVar[int] = 1

    entries: list[EntryData] = wire(Array(EntryData))
    validate_only: bool = wire(BOOL)


class ResponseEntryData(Struct):
    """Part of AlterClientQuotasResponse."""

    error_code: int = wire(INT16)
    error_message: str | None = wire(STRING, nullable=0)
    entity: list[EntityData] = wire(Array(EntityData))


class AlterClientQuotasResponse(Message):
    """AlterClientQuotasResponse, versions 0 to 1."""

    api_key: ClassVar[int] = 49
    min_version: ClassVar[int] = 0
    max_version: ClassVar[int] = 1
    flexible_since: ClassVar[int] = 1

    throttle_time_ms: int = wire(INT32)
    entries: list[ResponseEntryData] = wire(Array(ResponseEntryData))
