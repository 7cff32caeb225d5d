"""The pure twin of ``_compaction``: the newest offset of each key, and what stays of a batch.

Both twins check every record as the scan does, and raise its errors.
"""

from __future__ import annotations

from pyproducer.errors import CorruptRecord
from pyproducer.model import Buffer
from pyproducer.records import faults
from pyproducer.records._scan_py import _INT64, _Fault, _flat, _parse
from pyproducer.records.record import Retained
from pyproducer.records.varint import write_varint

__all__ = ["OffsetMap", "rebased"]


class OffsetMap:
    """The highest offset of each key.

    Args:
        capacity: keys that it holds at most.
        secret: 16 random bytes, so that nobody can choose keys that fall together.

    Attributes:
        capacity: the same.
    """

    def __init__(self, capacity: int, secret: bytes) -> None:
        if capacity < 1:
            raise ValueError(f"a map holds at least one key, not {capacity}")
        if len(secret) != 16:
            raise ValueError("the secret is 16 bytes long")
        self.capacity = capacity
        self._offsets: dict[bytes, int] = {}

    def __len__(self) -> int:
        return len(self._offsets)

    def add(self, payload: Buffer, count: int, base_offset: int, first_offset: int) -> bool:
        """The keys of a batch are in the map; offsets only grow from call to call.

        Args:
            payload: the records, uncompressed, and nothing else.
            count: how many the batch declares.
            base_offset: the batch's.
            first_offset: records below it are passed over.

        Returns:
            False if the map was full before the last record, and keys may be missing.

        Raises:
            CorruptRecord: a record is broken.
        """
        if count < 0:
            raise CorruptRecord(f"the batch declares {count} records")
        data = _flat(payload)
        position = 0
        for index in range(count):
            start = position
            position, _, delta, key, key_length, *_ = _checked(data, start, index)
            if key_length >= 0 and base_offset + delta >= first_offset:
                if len(self._offsets) >= self.capacity:
                    return False
                self._offsets[data[key : key + key_length]] = base_offset + delta
        if position != len(data):
            raise faults.fault(faults.LEFT_OVER, count, position)
        return True

    def get(self, key: bytes) -> int:
        """The highest offset of a key, or -1."""
        return self._offsets.get(key, -1)

    def retained(
        self,
        payload: Buffer,
        count: int,
        base_offset: int,
        base_timestamp: int,
        end_offset: int,
        keep_tombstones: bool,
    ) -> Retained:
        """What stays of a batch: of each key the record with the highest offset.

        Args:
            payload: the records, uncompressed, and nothing else.
            count: how many the batch declares.
            base_offset: the batch's.
            base_timestamp: the batch's, in milliseconds.
            end_offset: where the map ends; records from there on all stay.
            keep_tombstones: whether records without a value stay like others.

        Raises:
            CorruptRecord: a record is broken.
        """
        if count < 0:
            raise CorruptRecord(f"the batch declares {count} records")
        data = _flat(payload)
        position = kept = 0
        tombstones = False
        max_timestamp = -1
        parts: list[bytes] = []
        for index in range(count):
            start = position
            position, delta, offset_delta, key, key_length, _, value_length, _ = _checked(
                data, start, index
            )
            timestamp = base_timestamp + delta
            if timestamp not in _INT64:
                raise faults.fault(faults.BAD_TIMESTAMP, index, start)
            offset = base_offset + offset_delta
            if offset < end_offset:
                if key_length < 0 or (value_length < 0 and not keep_tombstones):
                    continue
                if offset < self._offsets.get(data[key : key + key_length], -1):
                    continue
            max_timestamp = max(max_timestamp, timestamp) if kept else timestamp
            tombstones = tombstones or value_length < 0
            parts.append(data[start:position])
            kept += 1
        if position != len(data):
            raise faults.fault(faults.LEFT_OVER, count, position)
        return Retained(kept, tombstones, max_timestamp, None if kept == count else b"".join(parts))


def rebased(payload: Buffer, count: int, shift: int) -> bytes:
    """The same records in a batch whose base timestamp is lower by ``shift`` milliseconds.

    Args:
        payload: the records, uncompressed, and nothing else.
        count: how many there are.
        shift: added to each timestamp delta.

    Raises:
        CorruptRecord: a record is broken, or a delta does not fit into 64 bits any more.
    """
    if count < 0:
        raise CorruptRecord(f"the batch declares {count} records")
    data = _flat(payload)
    out = bytearray()
    position = 0
    for index in range(count):
        start = position
        position, delta, offset_delta, key, key_length, *_ = _checked(data, start, index)
        if delta + shift not in _INT64:
            raise faults.fault(faults.BAD_TIMESTAMP, index, start)
        fields = bytearray(1)
        write_varint(fields, delta + shift)
        write_varint(fields, offset_delta)
        write_varint(fields, key_length)
        fields += data[key:position]
        write_varint(out, len(fields))
        out += fields
    if position != len(data):
        raise faults.fault(faults.LEFT_OVER, count, position)
    return bytes(out)


def _checked(data: bytes, start: int, index: int) -> tuple[int, int, int, int, int, int, int, int]:
    """As the scan's own parsing, and the error says of which record."""
    try:
        return _parse(data, start)
    except _Fault as error:
        raise faults.fault(error.number, index, start) from None
