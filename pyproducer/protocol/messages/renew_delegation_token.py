"""The RenewDelegationToken API. Written by tests/protocol/generate_messages.py."""

from __future__ import annotations

from typing import ClassVar

from pyproducer.protocol.primitives import BYTES, INT16, INT32, INT64
from pyproducer.protocol.schema import Message, wire


class RenewDelegationTokenRequest(Message):
    """RenewDelegationTokenRequest, versions 1 to 2."""

    api_key: ClassVar[int] = 39
    min_version: ClassVar[int] = 1
    max_version: ClassVar[int] = 2
    flexible_since: ClassVar[int] = 2

    hmac: bytes = wire(BYTES)
    renew_period_ms: int = wire(INT64)


class RenewDelegationTokenResponse(Message):
    """RenewDelegationTokenResponse, versions 1 to 2."""

    api_key: ClassVar[int] = 39
    min_version: ClassVar[int] = 1
    max_version: ClassVar[int] = 2
    flexible_since: ClassVar[int] = 2

    error_code: int = wire(INT16)
    expiry_timestamp_ms: int = wire(INT64)
    throttle_time_ms: int = wire(INT32)
