"""The DescribeUserScramCredentials API. Written by tests/protocol/generate_messages.py."""

from __future__ import annotations

from typing import ClassVar

from pyproducer.protocol.primitives import INT16, INT32, INT8, STRING, Array
from pyproducer.protocol.schema import Message, Struct, wire


class UserName(Struct):
    """Part of DescribeUserScramCredentialsRequest."""

    name: str = wire(STRING)


class DescribeUserScramCredentialsRequest(Message):
    """DescribeUserScramCredentialsRequest, versions 0 to 0."""

    api_key: ClassVar[int] = 50
    min_version: ClassVar[int] = 0
    max_version: ClassVar[int] = 0
    flexible_since: ClassVar[int] = 0

    users: list[UserName] | None = wire(Array(UserName), nullable=0)


class CredentialInfo(Struct):
    """Part of DescribeUserScramCredentialsResponse."""

    mechanism: int = wire(INT8)
    iterations: int = wire(INT32)


class DescribeUserScramCredentialsResult(Struct):
    """Part of DescribeUserScramCredentialsResponse."""

    user: str = wire(STRING)
    error_code: int = wire(INT16)
    error_message: str | None = wire(STRING, nullable=0)
    credential_infos: list[CredentialInfo] = wire(Array(CredentialInfo))


class DescribeUserScramCredentialsResponse(Message):
    """DescribeUserScramCredentialsResponse, versions 0 to 0."""

    api_key: ClassVar[int] = 50
    min_version: ClassVar[int] = 0
    max_version: ClassVar[int] = 0
    flexible_since: ClassVar[int] = 0

    throttle_time_ms: int = wire(INT32)
    error_code: int = wire(INT16)
    error_message: str | None = wire(STRING, nullable=0)
    results: list[DescribeUserScramCredentialsResult] = wire(
        Array(DescribeUserScramCredentialsResult)
    )
