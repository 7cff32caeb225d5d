"""The InitProducerId API. Written by tests/protocol/generate_messages.py."""

from __future__ import annotations

from typing import ClassVar

from pyproducer.protocol.primitives import BOOL, INT16, INT32, INT64, STRING
from pyproducer.protocol.schema import Message, wire


class InitProducerIdRequest(Message):
    """InitProducerIdRequest, versions 0 to 6."""

    api_key: ClassVar[int] = 22
    min_version: ClassVar[int] = 0
    max_version: ClassVar[int] = 6
    flexible_since: ClassVar[int] = 2

    transactional_id: str | None = wire(STRING, nullable=0)
    transaction_timeout_ms: int = wire(INT32)
    producer_id: int = wire(INT64, since=3, default=-1)
    producer_epoch: int = wire(INT16, since=3, default=-1)
    enable2_pc: bool = wire(BOOL, since=6)
    keep_prepared_txn: bool = wire(BOOL, since=6)


class InitProducerIdResponse(Message):
    """InitProducerIdResponse, versions 0 to 6."""

    api_key: ClassVar[int] = 22
    min_version: ClassVar[int] = 0
    max_version: ClassVar[int] = 6
    flexible_since: ClassVar[int] = 2

    throttle_time_ms: int = wire(INT32, ignorable=True)
    error_code: int = wire(INT16)
    producer_id: int = wire(INT64, default=-1)
    producer_epoch: int = wire(INT16)
    ongoing_txn_producer_id: int = wire(INT64, since=6, default=-1)
    ongoing_txn_producer_epoch: int = wire(INT16, since=6, default=-1)
