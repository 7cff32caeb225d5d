"""The DescribeDelegationToken API. Written by tests/protocol/generate_messages.py."""

from __future__ import annotations

from typing import ClassVar

from pyproducer.protocol.primitives import BYTES, INT16, INT32, INT64, STRING, Array
from pyproducer.protocol.schema import Message, Struct, wire


class DescribeDelegationTokenOwner(Struct):
    """Part of DescribeDelegationTokenRequest."""

    principal_type: str = wire(STRING)
    principal_name: str = wire(STRING)


class DescribeDelegationTokenRequest(Message):
    """DescribeDelegationTokenRequest, versions 1 to 3."""

    api_key: ClassVar[int] = 41
    min_version: ClassVar[int] = 1
    max_version: ClassVar[int] = 3
    flexible_since: ClassVar[int] = 2

    owners: list[DescribeDelegationTokenOwner] | None = wire(
        Array(DescribeDelegationTokenOwner), nullable=0
    )


class DescribedDelegationTokenRenewer(Struct):
    """Part of DescribeDelegationTokenResponse."""

    principal_type: str = wire(STRING)
    principal_name: str = wire(STRING)


class DescribedDelegationToken(Struct):
    """Part of DescribeDelegationTokenResponse."""

    principal_type: str = wire(STRING)
    principal_name: str = wire(STRING)
    token_requester_principal_type: str = wire(STRING, since=3)
    token_requester_principal_name: str = wire(STRING, since=3)
    issue_timestamp: int = wire(INT64)
    expiry_timestamp: int = wire(INT64)
    max_timestamp: int = wire(INT64)
    token_id: str = wire(STRING)
    hmac: bytes = wire(BYTES)
    renewers: list[DescribedDelegationTokenRenewer] = wire(Array(DescribedDelegationTokenRenewer))


class DescribeDelegationTokenResponse(Message):
    """DescribeDelegationTokenResponse, versions 1 to 3."""

    api_key: ClassVar[int] = 41
    min_version: ClassVar[int] = 1
    max_version: ClassVar[int] = 3
    flexible_since: ClassVar[int] = 2

    error_code: int = wire(INT16)
    tokens: list[DescribedDelegationToken] = wire(Array(DescribedDelegationToken))
    throttle_time_ms: int = wire(INT32)
