"""The ListTransactions API. Written by tests/protocol/generate_messages.py."""

from __future__ import annotations

from typing import ClassVar

from pyproducer.protocol.primitives import INT16, INT32, INT64, STRING, Array
from pyproducer.protocol.schema import Message, Struct, wire


class ListTransactionsRequest(Message):
    """ListTransactionsRequest, versions 0 to 2."""

    api_key: ClassVar[int] = 66
    min_version: ClassVar[int] = 0
    max_version: ClassVar[int] = 2
    flexible_since: ClassVar[int] = 0

    state_filters: list[str] = wire(Array(STRING))
    producer_id_filters: list[int] = wire(Array(INT64))
    duration_filter: int = wire(INT64, since=1, default=-1)
    transactional_id_pattern: str | None = wire(STRING, since=2, nullable=2, default=None)


class TransactionState(Struct):
    """Part of ListTransactionsResponse."""

    transactional_id: str = wire(STRING)
    producer_id: int = wire(INT64)
    transaction_state: str = wire(STRING)


class ListTransactionsResponse(Message):
    """ListTransactionsResponse, versions 0 to 2."""

    api_key: ClassVar[int] = 66
    min_version: ClassVar[int] = 0
    max_version: ClassVar[int] = 2
    flexible_since: ClassVar[int] = 0

    throttle_time_ms: int = wire(INT32)
    error_code: int = wire(INT16)
    unknown_state_filters: list[str] = wire(Array(STRING))
    transaction_states: list[TransactionState] = wire(Array(TransactionState))
