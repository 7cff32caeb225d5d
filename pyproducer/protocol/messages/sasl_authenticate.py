"""The SaslAuthenticate API. Written by tests/protocol/generate_messages.py."""

from __future__ import annotations

from typing import ClassVar

from pyproducer.protocol.primitives import BYTES, INT16, INT64, STRING
from pyproducer.protocol.schema import Message, wire


class SaslAuthenticateRequest(Message):
    """SaslAuthenticateRequest, versions 0 to 2."""

    api_key: ClassVar[int] = 36
    min_version: ClassVar[int] = 0
    max_version: ClassVar[int] = 2
    flexible_since: ClassVar[int] = 2

    auth_bytes: bytes = wire(BYTES)


class SaslAuthenticateResponse(Message):
    """SaslAuthenticateResponse, versions 0 to 2."""

    api_key: ClassVar[int] = 36
    min_version: ClassVar[int] = 0
    max_version: ClassVar[int] = 2
    flexible_since: ClassVar[int] = 2

    error_code: int = wire(INT16)
    error_message: str | None = wire(STRING, nullable=0)
    auth_bytes: bytes = wire(BYTES)
    session_lifetime_ms: int = wire(INT64, since=1, ignorable=True)
