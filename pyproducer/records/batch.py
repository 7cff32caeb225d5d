"""The header of a record batch, format version 2: 61 bytes that say all but the records.

Layout, big endian (the CRC covers everything from ``attributes`` to the end of the batch)::

    base offset          int64     0    assigned by the broker, outside the CRC
    batch length         int32     8    bytes after this field: 49 + records
    leader epoch         int32    12    stamped by the broker, outside the CRC
    magic                int8     16    2
    crc                  uint32   17    CRC32C
    attributes           int16    21    codec, timestamp type, transactional, control
    last offset delta    int32    23
    base timestamp       int64    27    milliseconds; each record holds a difference to it
    max timestamp        int64    35
    producer id          int64    43    -1: none
    producer epoch       int16    51
    base sequence        int32    53
    record count         int32    57
    records                       61    as they are, or compressed as one block
"""

from __future__ import annotations

import struct
from typing import Final, NamedTuple

from pyproducer.errors import CorruptRecord
from pyproducer.model import Buffer, TimestampType
from pyproducer.records.codec import Codec

__all__ = [
    "ATTRIBUTES_POSITION",
    "CODEC_MASK",
    "CONTROL_BIT",
    "CRC_POSITION",
    "DELETE_HORIZON_BIT",
    "HEADER_SIZE",
    "LOG_OVERHEAD",
    "MAGIC",
    "MAGIC_POSITION",
    "MIN_BATCH_LENGTH",
    "SEQUENCE_MODULUS",
    "TIMESTAMP_TYPE_BIT",
    "TRANSACTIONAL_BIT",
    "BatchHeader",
    "pack_attributes",
    "pack_header",
    "read_header",
]

#: Bytes of base offset and batch length: what the batch length does not count.
LOG_OVERHEAD: Final = 12
#: Bytes before the first record.
HEADER_SIZE: Final = 61
#: The smallest batch length: a header and no record.
MIN_BATCH_LENGTH: Final = HEADER_SIZE - LOG_OVERHEAD
MAGIC: Final = 2

MAGIC_POSITION: Final = 16
CRC_POSITION: Final = 17
ATTRIBUTES_POSITION: Final = 21

CODEC_MASK: Final = 0x07
TIMESTAMP_TYPE_BIT: Final = 0x08
TRANSACTIONAL_BIT: Final = 0x10
CONTROL_BIT: Final = 0x20
#: Set by compaction: the base timestamp holds the time at which tombstones may go.
DELETE_HORIZON_BIT: Final = 0x40

#: Sequence numbers live in 0..2**31-1 and start again at 0.
SEQUENCE_MODULUS: Final = 1 << 31

_HEADER: Final = struct.Struct(">qiibIhiqqqhii")
# By number, without the call that a look-up by value is.
_CODECS: Final = tuple(Codec)


class BatchHeader(NamedTuple):
    """Every field of a batch header, as it stands in the bytes: nothing is verified yet."""

    base_offset: int
    batch_length: int
    leader_epoch: int
    magic: int
    crc: int
    attributes: int
    last_offset_delta: int
    base_timestamp: int
    max_timestamp: int
    producer_id: int
    producer_epoch: int
    base_sequence: int
    record_count: int

    @property
    def size(self) -> int:
        """Bytes of the whole batch, the 12 before the length's own count included."""
        return LOG_OVERHEAD + self.batch_length

    @property
    def codec(self) -> Codec:
        """How the records are compressed.

        Raises:
            CorruptRecord: no codec has this number.
        """
        number = self.attributes & CODEC_MASK
        if number >= len(_CODECS):
            raise CorruptRecord(
                f"batch at offset {self.base_offset}: compression codec {number} does not exist"
            )
        return _CODECS[number]

    @property
    def timestamp_type(self) -> TimestampType:
        """Who set the timestamps: the record's creator, or the broker for the whole batch."""
        if self.attributes & TIMESTAMP_TYPE_BIT:
            return TimestampType.LOG_APPEND_TIME
        return TimestampType.CREATE_TIME

    @property
    def is_transactional(self) -> bool:
        """True for a batch written inside a transaction."""
        return bool(self.attributes & TRANSACTIONAL_BIT)

    @property
    def is_control(self) -> bool:
        """True for a marker (commit, abort...): its records are not for users."""
        return bool(self.attributes & CONTROL_BIT)

    @property
    def last_offset(self) -> int:
        """Offset of the last record, also where compaction has removed that record."""
        return self.base_offset + self.last_offset_delta

    @property
    def next_offset(self) -> int:
        """Offset at which the batch after this one may begin."""
        return self.base_offset + self.last_offset_delta + 1

    @property
    def last_sequence(self) -> int:
        """Sequence number of the last record, or -1 where the batch has no sequence."""
        if self.base_sequence < 0:
            return -1
        return (self.base_sequence + self.last_offset_delta) % SEQUENCE_MODULUS


def read_header(buffer: Buffer, position: int = 0) -> BatchHeader:
    """The header that starts at ``position``; only its presence is checked.

    Raises:
        CorruptRecord: fewer than 61 bytes are there.
    """
    try:
        return BatchHeader._make(_HEADER.unpack_from(buffer, position))
    except struct.error:
        left = max(0, len(buffer) - position)
        raise CorruptRecord(
            f"a batch header takes {HEADER_SIZE} bytes, only {left} are left"
        ) from None


def pack_attributes(
    codec: Codec = Codec.NONE,
    timestamp_type: TimestampType = TimestampType.CREATE_TIME,
    *,
    transactional: bool = False,
    control: bool = False,
) -> int:
    """The attributes field for these properties."""
    return (
        int(codec)
        | (TIMESTAMP_TYPE_BIT if timestamp_type is TimestampType.LOG_APPEND_TIME else 0)
        | (TRANSACTIONAL_BIT if transactional else 0)
        | (CONTROL_BIT if control else 0)
    )


def pack_header(
    *,
    batch_length: int,
    crc: int,
    attributes: int,
    last_offset_delta: int,
    base_timestamp: int,
    max_timestamp: int,
    record_count: int,
    base_offset: int = 0,
    leader_epoch: int = -1,
    magic: int = MAGIC,
    producer_id: int = -1,
    producer_epoch: int = -1,
    base_sequence: int = -1,
) -> bytes:
    """The 61 bytes of a header.

    The CRC is over ``header[21:]`` and the records, so a caller who does not know it yet packs
    with ``crc=0``, sums, and packs again.
    """
    return _HEADER.pack(
        base_offset,
        batch_length,
        leader_epoch,
        magic,
        crc,
        attributes,
        last_offset_delta,
        base_timestamp,
        max_timestamp,
        producer_id,
        producer_epoch,
        base_sequence,
        record_count,
    )
