"""The SaslHandshake API. Written by tests/protocol/generate_messages.py."""

from __future__ import annotations

from typing import ClassVar

from pyproducer.protocol.primitives import INT16, STRING, Array
from pyproducer.protocol.schema import Message, wire


class SaslHandshakeRequest(Message):
    """SaslHandshakeRequest, versions 0 to 1."""

    api_key: ClassVar[int] = 17
    min_version: ClassVar[int] = 0
    max_version: ClassVar[int] = 1

    mechanism: str = wire(STRING)


class SaslHandshakeResponse(Message):
    """SaslHandshakeResponse, versions 0 to 1."""

    api_key: ClassVar[int] = 17
    min_version: ClassVar[int] = 0
    max_version: ClassVar[int] = 1

    error_code: int = wire(INT16)
    mechanisms: list[str] = wire(Array(STRING))
