"""The WriteTxnMarkers API. Written by tests/protocol/generate_messages.py."""

from __future__ import annotations

from typing import ClassVar

from pyproducer.protocol.primitives import BOOL, INT16, INT32, INT64, INT8, STRING, Array
from pyproducer.protocol.schema import Message, Struct, wire


class WritableTxnMarkerTopic(Struct):
    """Part of WriteTxnMarkersRequest."""

    name: str = wire(STRING)
    partition_indexes: list[int] = wire(Array(INT32))


class WritableTxnMarker(Struct):
    """Part of WriteTxnMarkersRequest."""

    producer_id: int = wire(INT64)
    producer_epoch: int = wire(INT16)
    transaction_result: bool = wire(BOOL)
    topics: list[WritableTxnMarkerTopic] = wire(Array(WritableTxnMarkerTopic))
    coordinator_epoch: int = wire(INT32)
    transaction_version: int = wire(INT8, since=2, ignorable=True)


class WriteTxnMarkersRequest(Message):
    """WriteTxnMarkersRequest, versions 0 to 2."""

    api_key: ClassVar[int] = 27
    min_version: ClassVar[int] = 0
    max_version: ClassVar[int] = 2
    flexible_since: ClassVar[int] = 1

    markers: list[WritableTxnMarker] = wire(Array(WritableTxnMarker))


class WritableTxnMarkerPartitionResult(Struct):
    """Part of WriteTxnMarkersResponse."""

    partition_index: int = wire(INT32)
    error_code: int = wire(INT16)


class WritableTxnMarkerTopicResult(Struct):
    """Part of WriteTxnMarkersResponse."""

    name: str = wire(STRING)
    partitions: list[WritableTxnMarkerPartitionResult] = wire(
        Array(WritableTxnMarkerPartitionResult)
    )


class WritableTxnMarkerResult(Struct):
    """Part of WriteTxnMarkersResponse."""

    producer_id: int = wire(INT64)
    topics: list[WritableTxnMarkerTopicResult] = wire(Array(WritableTxnMarkerTopicResult))


class WriteTxnMarkersResponse(Message):
    """WriteTxnMarkersResponse, versions 0 to 2."""

    api_key: ClassVar[int] = 27
    min_version: ClassVar[int] = 0
    max_version: ClassVar[int] = 2
    flexible_since: ClassVar[int] = 1

    markers: list[WritableTxnMarkerResult] = wire(Array(WritableTxnMarkerResult))
