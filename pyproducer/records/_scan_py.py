"""The pure twin of ``_scan``: walks the uncompressed records of a batch.

Both twins check the same things in the same order and raise the same errors. A record is::

    length varint, attributes int8, timestamp delta varlong, offset delta varint,
    key length varint (-1: null), key, value length varint (-1: null), value,
    header count varint, headers: name length varint, name, value length varint (-1: null), value

Varints and varlongs are zigzag, in at most 5 and 10 bytes. A longer one, or one whose value
does not fit, is refused: no encoder writes it.
"""

from __future__ import annotations

from typing import Final

from pyproducer.errors import CorruptRecord
from pyproducer.model import Buffer, TimestampType
from pyproducer.records import faults
from pyproducer.records.record import Record, ScanSummary

__all__ = ["read_records", "scan_records"]

_INT64: Final = range(-(1 << 63), 1 << 63)


class _Fault(Exception):
    """A fault found below the level at which the record's index is known."""

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.number = number


def scan_records(payload: Buffer, count: int, base_timestamp: int) -> ScanSummary:
    """A summary of the records, each of which is sound.

    Args:
        payload: the records of one batch, uncompressed, and nothing else.
        count: how many the batch declares.
        base_timestamp: the batch's, in milliseconds.

    Raises:
        CorruptRecord: a length, count or number does not hold; the message has the index of
            the record.
    """
    if count < 0:
        raise CorruptRecord(f"the batch declares {count} records")
    data = _flat(payload)
    max_timestamp = offset_of_max = min_timestamp = null_key_index = -1
    sequential = True
    position = 0
    for index in range(count):
        start = position
        try:
            position, delta, offset_delta, _, key_length, *_ = _parse(data, start)
        except _Fault as error:
            raise faults.fault(error.number, index, start) from None
        timestamp = base_timestamp + delta
        if timestamp not in _INT64:
            raise faults.fault(faults.BAD_TIMESTAMP, index, start)
        if timestamp > max_timestamp or index == 0:
            max_timestamp, offset_of_max = timestamp, offset_delta
        if timestamp < min_timestamp or index == 0:
            min_timestamp = timestamp
        if key_length < 0 and null_key_index < 0:
            null_key_index = index
        if offset_delta != index:
            sequential = False
    if position != len(data):
        raise faults.fault(faults.LEFT_OVER, count, position)
    return ScanSummary(max_timestamp, offset_of_max, min_timestamp, null_key_index, sequential)


def read_records(
    payload: Buffer,
    count: int,
    base_offset: int,
    base_timestamp: int,
    append_timestamp: int | None = None,
) -> list[Record]:
    """The records, each owning its bytes.

    Args:
        payload: the records of one batch, uncompressed, and nothing else.
        count: how many the batch declares.
        base_offset: the batch's.
        base_timestamp: the batch's, in milliseconds.
        append_timestamp: the one timestamp of all records where the broker set it, or None.

    Raises:
        CorruptRecord: a length, count or number does not hold, or a header's name is not
            UTF-8; the message has the index of the record.
    """
    if count < 0:
        raise CorruptRecord(f"the batch declares {count} records")
    data = _flat(payload)
    records: list[Record] = []
    kind = TimestampType.CREATE_TIME
    if append_timestamp is not None:
        kind = TimestampType.LOG_APPEND_TIME
    position = 0
    for index in range(count):
        start = position
        try:
            position, delta, offset_delta, key, key_length, value, value_length, names = _parse(
                data, start
            )
            timestamp = base_timestamp + delta
            if timestamp not in _INT64:
                raise _Fault(faults.BAD_TIMESTAMP)
            headers = _headers(data, names, position)
        except _Fault as error:
            raise faults.fault(error.number, index, start) from None
        records.append(
            Record(
                base_offset + offset_delta,
                timestamp if append_timestamp is None else append_timestamp,
                kind,
                None if key_length < 0 else data[key : key + key_length],
                None if value_length < 0 else data[value : value + value_length],
                headers,
            )
        )
    if position != len(data):
        raise faults.fault(faults.LEFT_OVER, count, position)
    return records


def _flat(payload: Buffer) -> bytes:
    return payload if isinstance(payload, bytes) else bytes(payload)


def _parse(data: bytes, position: int) -> tuple[int, int, int, int, int, int, int, int]:
    """Where one record and its parts lie, after checking all of it.

    Returns:
        Where the next record starts, timestamp delta, offset delta, start and length of the
        key, start and length of the value, and where the header count stands.
    """
    size = len(data)
    if position == size:
        raise _Fault(faults.MISSING)
    length, position = _varint(data, position, size, faults.BAD_LENGTH)
    if not 0 <= length <= size - position:
        raise _Fault(faults.BAD_LENGTH)
    end = position + length
    if length == 0:
        raise _Fault(faults.BAD_FIELD)
    delta, position = _varlong(data, position + 1, end)
    offset_delta, position = _varint(data, position, end)
    key_length, key = _varint(data, position, end)
    if not -1 <= key_length <= end - key:
        raise _Fault(faults.BAD_KEY)
    value_length, value = _varint(data, key + max(0, key_length), end)
    if not -1 <= value_length <= end - value:
        raise _Fault(faults.BAD_VALUE)
    names = value + max(0, value_length)
    header_count, position = _varint(data, names, end)
    # The smallest header, without name or value, takes two bytes.
    if not 0 <= header_count <= (end - position) // 2:
        raise _Fault(faults.BAD_HEADER_COUNT)
    for _ in range(header_count):
        length, position = _varint(data, position, end)
        if not 0 <= length <= end - position:
            raise _Fault(faults.BAD_HEADER_KEY)
        length, position = _varint(data, position + length, end)
        if not -1 <= length <= end - position:
            raise _Fault(faults.BAD_HEADER_VALUE)
        position += max(0, length)
    if position != end:
        raise _Fault(faults.TRAILING)
    return end, delta, offset_delta, key, key_length, value, value_length, names


def _headers(data: bytes, position: int, end: int) -> tuple[tuple[str, bytes | None], ...]:
    """The headers whose count stands at ``position``, already checked by ``_parse``."""
    count, position = _varint(data, position, end)
    headers: list[tuple[str, bytes | None]] = []
    for _ in range(count):
        length, position = _varint(data, position, end)
        try:
            name = data[position : position + length].decode()
        except UnicodeDecodeError:
            raise _Fault(faults.BAD_HEADER_NAME) from None
        length, position = _varint(data, position + length, end)
        if length < 0:
            headers.append((name, None))
        else:
            headers.append((name, data[position : position + length]))
            position += length
    return tuple(headers)


def _varint(
    data: bytes, position: int, end: int, number: int = faults.BAD_FIELD
) -> tuple[int, int]:
    """A zigzag integer of 32 bits, and where the next field starts."""
    # One or two bytes are the rule, and are read here without another call.
    if position < end:
        raw = data[position]
        if raw < 0x80:
            return raw >> 1 ^ -(raw & 1), position + 1
        if position + 1 < end:
            byte = data[position + 1]
            if byte < 0x80:
                raw = raw & 0x7F | byte << 7
                return raw >> 1 ^ -(raw & 1), position + 2
    raw, position = _unsigned(data, position, min(end, position + 5), number)
    if raw >= 1 << 32:
        raise _Fault(number)
    return raw >> 1 ^ -(raw & 1), position


def _varlong(data: bytes, position: int, end: int) -> tuple[int, int]:
    """A zigzag integer of 64 bits, and where the next field starts."""
    if position < end:
        raw = data[position]
        if raw < 0x80:
            return raw >> 1 ^ -(raw & 1), position + 1
    raw, position = _unsigned(data, position, min(end, position + 10), faults.BAD_FIELD)
    if raw >= 1 << 64:
        raise _Fault(faults.BAD_FIELD)
    return raw >> 1 ^ -(raw & 1), position


def _unsigned(data: bytes, position: int, end: int, number: int) -> tuple[int, int]:
    raw = shift = 0
    while position < end:
        byte = data[position]
        position += 1
        raw |= (byte & 0x7F) << shift
        if byte < 0x80:
            return raw, position
        shift += 7
    raise _Fault(number)
