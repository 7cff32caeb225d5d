"""The AddOffsetsToTxn API. Written by tests/protocol/generate_messages.py."""

from __future__ import annotations

from typing import ClassVar

from pyproducer.protocol.primitives import INT16, INT32, INT64, STRING
from pyproducer.protocol.schema import Message, wire


class AddOffsetsToTxnRequest(Message):
    """AddOffsetsToTxnRequest, versions 0 to 4."""

    api_key: ClassVar[int] = 25
    min_version: ClassVar[int] = 0
    max_version: ClassVar[int] = 4
    flexible_since: ClassVar[int] = 3

    transactional_id: str = wire(STRING)
    producer_id: int = wire(INT64)
    producer_epoch: int = wire(INT16)
    group_id: str = wire(STRING)


class AddOffsetsToTxnResponse(Message):
    """AddOffsetsToTxnResponse, versions 0 to 4."""

    api_key: ClassVar[int] = 25
    min_version: ClassVar[int] = 0
    max_version: ClassVar[int] = 4
    flexible_since: ClassVar[int] = 3

    throttle_time_ms: int = wire(INT32)
    error_code: int = wire(INT16)
