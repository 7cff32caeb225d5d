"""The ApiVersions API. Written by tests/protocol/generate_messages.py."""

from __future__ import annotations

from typing import ClassVar

from pyproducer.protocol.primitives import BOOL, INT16, INT32, INT64, STRING, Array
from pyproducer.protocol.schema import Message, Struct, wire


class ApiVersionsRequest(Message):
    """ApiVersionsRequest, versions 0 to 4."""

    api_key: ClassVar[int] = 18
    min_version: ClassVar[int] = 0
    max_version: ClassVar[int] = 4
    flexible_since: ClassVar[int] = 3

    client_software_name: str = wire(STRING, since=3, ignorable=True)
    client_software_version: str = wire(STRING, since=3, ignorable=True)


class ApiVersion(Struct):
    """Part of ApiVersionsResponse."""

    api_key: int = wire(INT16)
    min_version: int = wire(INT16)
    max_version: int = wire(INT16)


class SupportedFeatureKey(Struct):
    """Part of ApiVersionsResponse."""

    name: str = wire(STRING, since=3)
    min_version: int = wire(INT16, since=3)
    max_version: int = wire(INT16, since=3)


class FinalizedFeatureKey(Struct):
    """Part of ApiVersionsResponse."""

    name: str = wire(STRING, since=3)
    max_version_level: int = wire(INT16, since=3)
    min_version_level: int = wire(INT16, since=3)


class ApiVersionsResponse(Message):
    """ApiVersionsResponse, versions 0 to 4."""

    api_key: ClassVar[int] = 18
    min_version: ClassVar[int] = 0
    max_version: ClassVar[int] = 4
    flexible_since: ClassVar[int] = 3

    error_code: int = wire(INT16)
    api_keys: list[ApiVersion] = wire(Array(ApiVersion))
    throttle_time_ms: int = wire(INT32, since=1, ignorable=True)
    supported_features: list[SupportedFeatureKey] = wire(
        Array(SupportedFeatureKey), since=3, tag=0, ignorable=True
    )
    finalized_features_epoch: int = wire(INT64, since=3, tag=1, ignorable=True, default=-1)
    finalized_features: list[FinalizedFeatureKey] = wire(
        Array(FinalizedFeatureKey), since=3, tag=2, ignorable=True
    )
    zk_migration_ready: bool = wire(BOOL, since=3, tag=3, ignorable=True)
