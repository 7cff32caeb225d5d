"""The WriteTxnMarkers API. Written by tests/protocol/generate_messages.py."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from pyproducer.protocol.primitives import BOOL, INT16, INT32, INT64, INT8, STRING, Array
from pyproducer.protocol.schema import Message, Struct, wire


@dataclass(slots=True, kw_only=True)
class WritableTxnMarkerTopic(Struct):
    """Part of WriteTxnMarkersRequest."""

    name: str = wire(STRING)
    partition_indexes: list[int] = wire(Array(INT32))


@dataclass(slots=True, kw_only=True)
class WritableTxnMarker(Struct):
    """Part of WriteTxnMarkersRequest."""

    producer_id: int = wire(INT64)
    producer_epoch: int = wire(INT16)
    transaction_result: bool = wire(BOOL)
    topics: list[WritableTxnMarkerTopic] = wire(Array(WritableTxnMarkerTopic))
    coordinator_epoch: int = wire(INT32)
    transaction_version: int = wire(INT8, since=2, ignorable=True)


@dataclass(slots=True, kw_only=True)
class WriteTxnMarkersRequest(Message):
    """WriteTxnMarkersRequest, versions 0 to 2."""

    api_key: ClassVar[int] = 27
    min_version: ClassVar[int] = 0
    max_version: ClassVar[int] = 2
    flexible_since: ClassVar[int] = 1

    markers: list[WritableTxnMarker] = wire(Array(WritableTxnMarker))


@dataclass(slots=True, kw_only=True)
class WritableTxnMarkerPartitionResult(Struct):
    """Part of WriteTxnMarkersResponse."""

    partition_index: int = wire(INT32)
    error_code: int = wire(INT16)


@dataclass(slots=True, kw_only=True)
class WritableTxnMarkerTopicResult(Struct):
    """Part of WriteTxnMarkersResponse."""

    name: str = wire(STRING)
    partitions: list[WritableTxnMarkerPartitionResult] = wire(
        Array(WritableTxnMarkerPartitionResult)
    )


@dataclass(slots=True, kw_only=True)
class WritableTxnMarkerResult(Struct):
    """Part of WriteTxnMarkersResponse."""

    producer_id: int = wire(INT64)
    topics: list[WritableTxnMarkerTopicResult] = wire(Array(WritableTxnMarkerTopicResult))


@dataclass(slots=True, kw_only=True)
class WriteTxnMarkersResponse(Message):
    """WriteTxnMarkersResponse, versions 0 to 2."""

    api_key: ClassVar[int] = 27
    min_version: ClassVar[int] = 0
    max_version: ClassVar[int] = 2
    flexible_since: ClassVar[int] = 1

    markers: list[WritableTxnMarkerResult] = wire(Array(WritableTxnMarkerResult))
