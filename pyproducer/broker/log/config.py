"""The settings that a partition's log obeys."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any, Final, Literal

from pyproducer.model import TimestampType

__all__ = ["NO_LIMIT", "LogConfig"]

#: Kafka's way to say "never" where a long is wanted.
NO_LIMIT: Final = (1 << 63) - 1


@dataclass(frozen=True, slots=True, kw_only=True)
class LogConfig:
    """Topic settings under Kafka's names, with underscores for dots, and Kafka's defaults.

    Sizes are bytes, times are milliseconds.

    Attributes:
        segment_bytes: A segment is rolled before it would exceed this.
        segment_ms: A segment is rolled when a batch is this much younger than its first.
        index_interval_bytes: Log bytes between two index entries.
        segment_index_bytes: Largest offset index; the segment is rolled when it is full.
        max_message_bytes: Largest batch accepted, as received and as stored.
        compression_type: ``producer`` keeps what came; any other value is what is stored.
        compression_gzip_level: Level used when the broker compresses; -1 is zlib's default.
        compression_lz4_level: Level used when the broker compresses.
        compression_zstd_level: Level used when the broker compresses.
        message_timestamp_type: Whose timestamps records carry.
        message_timestamp_before_max_ms: How old a producer's timestamp may be.
        message_timestamp_after_max_ms: How far in the future it may be.
        flush_messages: Records after which the log is forced to disk.
        flush_ms: Time after which the log is forced to disk.
        cleanup_policy: Any of ``delete`` and ``compact``.
        retention_ms: Age at which whole segments go; -1 keeps them.
        retention_bytes: Size the log is cut back to in whole segments; -1 keeps them.
        delete_retention_ms: How long compaction keeps tombstones, from the first cleaning that
            sees them.
        min_cleanable_dirty_ratio: Share of dirty bytes above which a log is compacted.
        min_compaction_lag_ms: How long records are not compacted at least.
        max_compaction_lag_ms: After how long they are, however little is dirty.
        file_delete_delay_ms: How long the files of a deleted partition stay on disk.
        producer_id_expiration_ms: Idle time after which a producer id is forgotten.
        producer_expiry_clock: ``append`` counts idle time from the broker's last append,
            ``record`` from the last record's timestamp as Kafka does, which forgets a
            producer of old data at once.
        strict_unknown_producer: Refuse a first batch whose sequence is not 0
            (UNKNOWN_PRODUCER_ID) instead of accepting any.
        strict_offsets: Refuse a batch whose offset deltas are not 0, 1, 2...; Kafka rebuilds
            compressed ones and does not notice plain ones.
        decompressed_limit: Most bytes one compressed batch may unfold to: what the largest
            legal request could have carried uncompressed.
    """

    segment_bytes: int = 1 << 30
    segment_ms: int = 7 * 86_400_000
    index_interval_bytes: int = 4096
    segment_index_bytes: int = 10 << 20
    max_message_bytes: int = 1_048_588
    compression_type: str = "producer"
    compression_gzip_level: int = -1
    compression_lz4_level: int = 9
    compression_zstd_level: int = 3
    message_timestamp_type: TimestampType = TimestampType.CREATE_TIME
    message_timestamp_before_max_ms: int = NO_LIMIT
    message_timestamp_after_max_ms: int = 3_600_000
    flush_messages: int = NO_LIMIT
    flush_ms: int = NO_LIMIT
    cleanup_policy: frozenset[str] = frozenset({"delete"})
    retention_ms: int = 7 * 86_400_000
    retention_bytes: int = -1
    delete_retention_ms: int = 86_400_000
    min_cleanable_dirty_ratio: float = 0.5
    min_compaction_lag_ms: int = 0
    max_compaction_lag_ms: int = NO_LIMIT
    file_delete_delay_ms: int = 60_000
    producer_id_expiration_ms: int = 86_400_000
    producer_expiry_clock: Literal["append", "record"] = "append"
    strict_unknown_producer: bool = False
    strict_offsets: bool = True
    decompressed_limit: int = 100 << 20

    @classmethod
    def from_kafka(cls, values: Mapping[str, Any]) -> LogConfig:
        """A configuration from typed values under Kafka's dotted names.

        Names that the log does not know are left to others; ``cleanup.policy`` may be any
        collection of names, ``message.timestamp.type`` Kafka's word for it.
        """
        known: dict[str, Any] = {}
        for field in fields(cls):
            name = field.name.replace("_", ".")
            if name in values:
                known[field.name] = values[name]
        if "cleanup_policy" in known:
            policy = known["cleanup_policy"]
            words = policy.split(",") if isinstance(policy, str) else policy
            known["cleanup_policy"] = frozenset(word.strip() for word in words)
        kind = known.get("message_timestamp_type")
        if isinstance(kind, str):
            known["message_timestamp_type"] = (
                TimestampType.LOG_APPEND_TIME
                if kind == "LogAppendTime"
                else TimestampType.CREATE_TIME
            )
        return cls(**known)

    @property
    def compacted(self) -> bool:
        """Whether of each key the newest record alone is kept, so that every record needs one."""
        return "compact" in self.cleanup_policy

    @property
    def max_segment_ms(self) -> int:
        """Time span of a segment: the active one is not compacted, so it must not wait longer."""
        if self.compacted:
            return min(self.segment_ms, self.max_compaction_lag_ms)
        return self.segment_ms
