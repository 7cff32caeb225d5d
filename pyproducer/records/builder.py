"""Builds a whole batch from records: for recompression, markers and tests.

The producer's own batches are made record by record by the appender, not here.
"""

from __future__ import annotations

from collections.abc import Iterable

from pyproducer.model import TimestampType
from pyproducer.records.batch import (
    ATTRIBUTES_POSITION,
    MIN_BATCH_LENGTH,
    pack_attributes,
    pack_header,
)
from pyproducer.records.codec import Codec
from pyproducer.records.compression import compress
from pyproducer.records.crc import crc32c
from pyproducer.records.record import Record
from pyproducer.records.varint import write_varint

__all__ = ["build_batch", "encode_record", "seal_batch"]


def build_batch(
    records: Iterable[Record],
    *,
    base_offset: int = 0,
    codec: Codec = Codec.NONE,
    level: int | None = None,
    producer_id: int = -1,
    producer_epoch: int = -1,
    base_sequence: int = -1,
    transactional: bool = False,
    control: bool = False,
    timestamp_type: TimestampType = TimestampType.CREATE_TIME,
    max_timestamp: int | None = None,
    leader_epoch: int = -1,
) -> bytes:
    """One batch of these records, whose offsets follow each other from ``base_offset`` on.

    The records' own offsets and timestamp types are not looked at. The codec is used even
    where it makes the records longer.

    Args:
        records: at least one.
        base_offset: offset of the first record.
        codec: how to compress the records.
        level: the codec's level, or None for its default.
        producer_id: -1 for none.
        producer_epoch: -1 for none.
        base_sequence: -1 for none.
        transactional: the batch is part of a transaction.
        control: the records are markers.
        timestamp_type: whose timestamps they are.
        max_timestamp: None for the largest of the records; a broker's append time otherwise.
        leader_epoch: -1 for a batch that no broker has seen.

    Raises:
        ValueError: there are no records, or the level is out of range.
    """
    body = bytearray()
    base_timestamp = largest = 0
    count = 0
    for record in records:
        if count == 0:
            base_timestamp = largest = record.timestamp_ms
        largest = max(largest, record.timestamp_ms)
        encode_record(body, record, count, record.timestamp_ms - base_timestamp)
        count += 1
    if count == 0:
        raise ValueError("a batch needs at least one record")
    return seal_batch(
        body if codec is Codec.NONE else compress(codec, body, level),
        record_count=count,
        last_offset_delta=count - 1,
        attributes=pack_attributes(
            codec, timestamp_type, transactional=transactional, control=control
        ),
        base_timestamp=base_timestamp,
        max_timestamp=largest if max_timestamp is None else max_timestamp,
        base_offset=base_offset,
        leader_epoch=leader_epoch,
        producer_id=producer_id,
        producer_epoch=producer_epoch,
        base_sequence=base_sequence,
    )


def seal_batch(
    body: bytes | bytearray | memoryview,
    *,
    record_count: int,
    last_offset_delta: int,
    attributes: int,
    base_timestamp: int,
    max_timestamp: int,
    base_offset: int = 0,
    leader_epoch: int = -1,
    producer_id: int = -1,
    producer_epoch: int = -1,
    base_sequence: int = -1,
) -> bytes:
    """A header with its checksum, then the body, which is compressed as ``attributes`` says."""

    def header(crc: int) -> bytes:
        return pack_header(
            batch_length=MIN_BATCH_LENGTH + len(body),
            crc=crc,
            attributes=attributes,
            last_offset_delta=last_offset_delta,
            base_timestamp=base_timestamp,
            max_timestamp=max_timestamp,
            record_count=record_count,
            base_offset=base_offset,
            leader_epoch=leader_epoch,
            producer_id=producer_id,
            producer_epoch=producer_epoch,
            base_sequence=base_sequence,
        )

    return b"".join((header(crc32c(header(0)[ATTRIBUTES_POSITION:], body)), body))


def encode_record(out: bytearray, record: Record, offset_delta: int, timestamp_delta: int) -> None:
    """Appends one record, as it stands in an uncompressed batch."""
    fields = bytearray(1)
    write_varint(fields, timestamp_delta)
    write_varint(fields, offset_delta)
    _write_bytes(fields, record.key)
    _write_bytes(fields, record.value)
    write_varint(fields, len(record.headers))
    for name, value in record.headers:
        _write_bytes(fields, name.encode())
        _write_bytes(fields, value)
    write_varint(out, len(fields))
    out += fields


def _write_bytes(out: bytearray, data: bytes | None) -> None:
    if data is None:
        write_varint(out, -1)
        return
    write_varint(out, len(data))
    out += data
