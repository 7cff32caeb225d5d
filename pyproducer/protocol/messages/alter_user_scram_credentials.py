"""The AlterUserScramCredentials API. Written by tests/protocol/generate_messages.py."""

from __future__ import annotations

from typing import ClassVar

from pyproducer.protocol.primitives import BYTES, INT16, INT32, INT8, STRING, Array
from pyproducer.protocol.schema import Message, Struct, wire


class ScramCredentialDeletion(Struct):
    """Part of AlterUserScramCredentialsRequest."""

    name: str = wire(STRING)
    mechanism: int = wire(INT8)


class ScramCredentialUpsertion(Struct):
    """Part of AlterUserScramCredentialsRequest."""

    name: str = wire(STRING)
    mechanism: int = wire(INT8)
    iterations: int = wire(INT32)
    salt: bytes = wire(BYTES)
    salted_password: bytes = wire(BYTES)


class AlterUserScramCredentialsRequest(Message):
    """AlterUserScramCredentialsRequest, versions 0 to 0."""

    api_key: ClassVar[int] = 51
    min_version: ClassVar[int] = 0
    max_version: ClassVar[int] = 0
    flexible_since: ClassVar[int] = 0

    deletions: list[ScramCredentialDeletion] = wire(Array(ScramCredentialDeletion))
    upsertions: list[ScramCredentialUpsertion] = wire(Array(ScramCredentialUpsertion))


class AlterUserScramCredentialsResult(Struct):
    """Part of AlterUserScramCredentialsResponse."""

    user: str = wire(STRING)
    error_code: int = wire(INT16)
    error_message: str | None = wire(STRING, nullable=0)


class AlterUserScramCredentialsResponse(Message):
    """AlterUserScramCredentialsResponse, versions 0 to 0."""

    api_key: ClassVar[int] = 51
    min_version: ClassVar[int] = 0
    max_version: ClassVar[int] = 0
    flexible_since: ClassVar[int] = 0

    throttle_time_ms: int = wire(INT32)
    results: list[AlterUserScramCredentialsResult] = wire(Array(AlterUserScramCredentialsResult))
