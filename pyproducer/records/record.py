"""What a batch gives back: its records, or a summary of them."""

from __future__ import annotations

from typing import NamedTuple

from pyproducer.model import TimestampType

__all__ = ["Record", "Retained", "ScanSummary"]


class Record(NamedTuple):
    """One record of a batch.

    Attributes:
        offset: place in the partition.
        timestamp_ms: milliseconds since the epoch.
        timestamp_type: whose timestamp it is.
        key: None for no key, which differs from an empty one.
        value: None for a tombstone, which differs from an empty value.
        headers: name and value of each, in order; a name may come twice.
    """

    offset: int
    timestamp_ms: int
    timestamp_type: TimestampType = TimestampType.CREATE_TIME
    key: bytes | None = None
    value: bytes | None = None
    headers: tuple[tuple[str, bytes | None], ...] = ()


class ScanSummary(NamedTuple):
    """What one pass over the records of a batch finds.

    Attributes:
        max_timestamp: the largest timestamp, in milliseconds; -1 without records.
        offset_of_max_timestamp: offset delta of the first record that has it; -1 without records.
        min_timestamp: the smallest timestamp, in milliseconds; -1 without records.
        null_key_index: index of the first record without a key; -1 if there is none.
        sequential: True where the offset deltas are 0, 1, 2 and so on.
    """

    max_timestamp: int
    offset_of_max_timestamp: int
    min_timestamp: int
    null_key_index: int
    sequential: bool


class Retained(NamedTuple):
    """What compaction leaves of the records of a batch.

    Attributes:
        kept: how many stay.
        tombstones: True if one of them has no value.
        max_timestamp: the largest timestamp among them, in milliseconds; -1 without records.
        records: their bytes, uncompressed; None where all stay, and the bytes are what they were.
    """

    kept: int
    tombstones: bool
    max_timestamp: int
    records: bytes | None
