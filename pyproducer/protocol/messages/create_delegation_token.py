"""The CreateDelegationToken API. Written by tests/protocol/generate_messages.py."""

from __future__ import annotations

from typing import ClassVar

from pyproducer.protocol.primitives import BYTES, INT16, INT32, INT64, STRING, Array
from pyproducer.protocol.schema import Message, Struct, wire


class CreatableRenewers(Struct):
    """Part of CreateDelegationTokenRequest."""

    principal_type: str = wire(STRING)
    principal_name: str = wire(STRING)


class CreateDelegationTokenRequest(Message):
    """CreateDelegationTokenRequest, versions 1 to 3."""

    api_key: ClassVar[int] = 38
    min_version: ClassVar[int] = 1
    max_version: ClassVar[int] = 3
    flexible_since: ClassVar[int] = 2

    owner_principal_type: str | None = wire(STRING, since=3, nullable=3)
    owner_principal_name: str | None = wire(STRING, since=3, nullable=3)
    renewers: list[CreatableRenewers] = wire(Array(CreatableRenewers))
    max_lifetime_ms: int = wire(INT64)


class CreateDelegationTokenResponse(Message):
    """CreateDelegationTokenResponse, versions 1 to 3."""

    api_key: ClassVar[int] = 38
    min_version: ClassVar[int] = 1
    max_version: ClassVar[int] = 3
    flexible_since: ClassVar[int] = 2

    error_code: int = wire(INT16)
    principal_type: str = wire(STRING)
    principal_name: str = wire(STRING)
    token_requester_principal_type: str = wire(STRING, since=3)
    token_requester_principal_name: str = wire(STRING, since=3)
    issue_timestamp_ms: int = wire(INT64)
    expiry_timestamp_ms: int = wire(INT64)
    max_timestamp_ms: int = wire(INT64)
    token_id: str = wire(STRING)
    hmac: bytes = wire(BYTES)
    throttle_time_ms: int = wire(INT32)
