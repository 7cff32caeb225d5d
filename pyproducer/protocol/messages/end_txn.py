"""The EndTxn API. Written by tests/protocol/generate_messages.py."""

from __future__ import annotations

from typing import ClassVar

from pyproducer.protocol.primitives import BOOL, INT16, INT32, INT64, STRING
from pyproducer.protocol.schema import Message, wire


class EndTxnRequest(Message):
    """EndTxnRequest, versions 0 to 5."""

    api_key: ClassVar[int] = 26
    min_version: ClassVar[int] = 0
    max_version: ClassVar[int] = 5
    flexible_since: ClassVar[int] = 3

    transactional_id: str = wire(STRING)
    producer_id: int = wire(INT64)
    producer_epoch: int = wire(INT16)
    committed: bool = wire(BOOL)


class EndTxnResponse(Message):
    """EndTxnResponse, versions 0 to 5."""

    api_key: ClassVar[int] = 26
    min_version: ClassVar[int] = 0
    max_version: ClassVar[int] = 5
    flexible_since: ClassVar[int] = 3

    throttle_time_ms: int = wire(INT32)
    error_code: int = wire(INT16)
    producer_id: int = wire(INT64, since=5, ignorable=True, default=-1)
    producer_epoch: int = wire(INT16, since=5, ignorable=True, default=-1)
