"""The nouns that users and all layers share."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import IntEnum
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

from pyproducer._pure import PURE

__all__ = [
    "Buffer",
    "DeliveryFailure",
    "FlushReport",
    "GroupMetadata",
    "Headers",
    "OffsetAndMetadata",
    "RecordMetadata",
    "TimestampType",
    "TopicPartition",
]

#: Bytes in memory, owned by whoever handed them over until they are written.
Buffer: TypeAlias = bytes | bytearray | memoryview

#: Record headers: a mapping, or pairs where a name may come twice. A str value is sent as UTF-8.
Headers: TypeAlias = Mapping[str, bytes | str | None] | Sequence[tuple[str, bytes | str | None]]


class TopicPartition(NamedTuple):
    """One partition of one topic."""

    topic: str
    partition: int

    def __str__(self) -> str:
        return f"{self.topic}-{self.partition}"


class TimestampType(IntEnum):
    """Who set a record's timestamp (``message.timestamp.type`` of the topic)."""

    CREATE_TIME = 0
    LOG_APPEND_TIME = 1


@dataclass(frozen=True, slots=True)
class RecordMetadata:
    """Where an acknowledged record is.

    Attributes:
        topic: topic name.
        partition: partition number.
        offset: the record's offset; -1 where the broker told none (``acks=0``, or a batch
            that the broker recognised as a duplicate without saying where it is).
        timestamp_ms: milliseconds since the epoch, the producer's or the broker's.
        timestamp_type: whose timestamp it is.
    """

    topic: str
    partition: int
    offset: int
    timestamp_ms: int
    timestamp_type: TimestampType = TimestampType.CREATE_TIME

    def __reduce__(self) -> tuple[Any, ...]:
        fields = (self.topic, self.partition, self.offset, self.timestamp_ms, self.timestamp_type)
        return _restored, fields


def _restored(*fields: Any) -> RecordMetadata:
    """Unpickle: the same bytes are read with the accelerator and without it."""
    return RecordMetadata(*fields)


if not TYPE_CHECKING and not PURE:
    _twin = RecordMetadata
    try:
        from pyproducer._metadata import RecordMetadata, bind
    except ImportError:
        pass
    else:
        bind(TimestampType, _restored, _twin)


@dataclass(frozen=True, slots=True)
class FlushReport:
    """What became of the records that a flush waited for.

    Attributes:
        delivered: records acknowledged.
        failed: records that ended in an error.
    """

    delivered: int
    failed: int


@dataclass(frozen=True, slots=True)
class DeliveryFailure:
    """Records that failed while nobody was waiting for their outcome.

    Attributes:
        topic: their topic.
        partition: their partition, or None where none had been chosen.
        count: how many records of one batch.
        error: why.
    """

    topic: str
    partition: int | None
    count: int
    error: Exception


class OffsetAndMetadata(NamedTuple):
    """What a consumer group commits for one partition.

    Attributes:
        offset: the next offset to read.
        metadata: a note of the application's.
        leader_epoch: of the last record read; -1 where it is not known (KIP-320).
    """

    offset: int
    metadata: str = ""
    leader_epoch: int = -1


@dataclass(frozen=True, slots=True)
class GroupMetadata:
    """Which member of a consumer group commits (KIP-447).

    With generation and member the group's coordinator refuses offsets of a member that the group
    has replaced meanwhile; without them it takes any.

    Attributes:
        group_id: the group.
        generation_id: the group's generation; -1 for none.
        member_id: the member; empty for none.
        group_instance_id: its static id; None for none.
    """

    group_id: str
    generation_id: int = -1
    member_id: str = ""
    group_instance_id: str | None = None
