"""The AlterUserScramCredentials API. Written by tests/protocol/generate_messages.py."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from pyproducer.protocol.primitives import BYTES, INT16, INT32, INT8, STRING, Array
from pyproducer.protocol.schema import Message, Struct, wire


@dataclass(slots=True, kw_only=True)
class ScramCredentialDeletion(Struct):
    """Part of AlterUserScramCredentialsRequest."""

    name: str = wire(STRING)
    mechanism: int = wire(INT8)


@dataclass(slots=True, kw_only=True)
class ScramCredentialUpsertion(Struct):
    """Part of AlterUserScramCredentialsRequest."""

    name: str = wire(STRING)
    mechanism: int = wire(INT8)
    iterations: int = wire(INT32)
    salt: bytes = wire(BYTES)
    salted_password: bytes = wire(BYTES)


@dataclass(slots=True, kw_only=True)
class AlterUserScramCredentialsRequest(Message):
    """AlterUserScramCredentialsRequest, versions 0 to 0."""

    api_key: ClassVar[int] = 51
    min_version: ClassVar[int] = 0
    max_version: ClassVar[int] = 0
    flexible_since: ClassVar[int] = 0

    deletions: list[ScramCredentialDeletion] = wire(Array(ScramCredentialDeletion))
    upsertions: list[ScramCredentialUpsertion] = wire(Array(ScramCredentialUpsertion))


@dataclass(slots=True, kw_only=True)
class AlterUserScramCredentialsResult(Struct):
    """Part of AlterUserScramCredentialsResponse."""

    user: str = wire(STRING)
    error_code: int = wire(INT16)
    error_message: str | None = wire(STRING, nullable=0)


@dataclass(slots=True, kw_only=True)
class AlterUserScramCredentialsResponse(Message):
    """AlterUserScramCredentialsResponse, versions 0 to 0."""

    api_key: ClassVar[int] = 51
    min_version: ClassVar[int] = 0
    max_version: ClassVar[int] = 0
    flexible_since: ClassVar[int] = 0

    throttle_time_ms: int = wire(INT32)
    results: list[AlterUserScramCredentialsResult] = wire(Array(AlterUserScramCredentialsResult))
