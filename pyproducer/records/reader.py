"""Reads record batches out of bytes that somebody else made.

``iter_batches`` cuts a run of bytes (a fetched partition, a segment file) into batches without
copying; a ``Batch`` verifies itself and gives its records. Nothing is trusted: every length is
held against the bytes that are there before it is used.
"""

from __future__ import annotations

from collections.abc import Iterator

from pyproducer.errors import CorruptRecord
from pyproducer.model import Buffer, TimestampType
from pyproducer.records.batch import (
    ATTRIBUTES_POSITION,
    HEADER_SIZE,
    LOG_OVERHEAD,
    MAGIC,
    MAGIC_POSITION,
    MIN_BATCH_LENGTH,
    BatchHeader,
    read_header,
)
from pyproducer.records.codec import Codec
from pyproducer.records.compression import DECOMPRESSION_LIMIT, decompress
from pyproducer.records.crc import crc32c
from pyproducer.records.record import Record
from pyproducer.records.scan import read_records

__all__ = ["Batch", "Record", "iter_batches", "read_batch"]


class Batch:
    """One whole batch: its bytes, uncopied, and its header.

    Attributes:
        header: the header's fields, unverified until ``verify`` has returned.
        view: all bytes of the batch. It lives as long as the memory it is a view of.
    """

    __slots__ = ("header", "view")

    def __init__(self, header: BatchHeader, view: memoryview) -> None:
        self.header = header
        self.view = view

    def __repr__(self) -> str:
        header = self.header
        return (
            f"<Batch offsets {header.base_offset}-{header.last_offset}: "
            f"{header.record_count} records in {header.size} bytes>"
        )

    def verify(self) -> None:
        """Returns if the checksum and the header's counts hold.

        Records are not looked at: ``records`` checks them while it reads them.

        Raises:
            CorruptRecord: the CRC does not match, the codec does not exist, or the header
                counts more records than it has offsets for.
        """
        header = self.header
        computed = crc32c(self.view[ATTRIBUTES_POSITION:])
        if computed != header.crc:
            raise CorruptRecord(
                f"batch at offset {header.base_offset}: CRC32C is {computed:#010x}, "
                f"the header says {header.crc:#010x}"
            )
        _ = header.codec
        if not 0 <= header.record_count <= header.last_offset_delta + 1:
            raise CorruptRecord(
                f"batch at offset {header.base_offset}: {header.record_count} records with a "
                f"last offset delta of {header.last_offset_delta}"
            )

    def payload(self, *, limit: int = DECOMPRESSION_LIMIT) -> bytes | memoryview:
        """The records' bytes, uncompressed: a view where they were never compressed.

        Args:
            limit: bytes that compressed records may unfold to.

        Raises:
            CorruptRecord: the compressed data is broken or unfolds to more than the limit.
        """
        codec = self.header.codec
        body = self.view[HEADER_SIZE:]
        if codec is Codec.NONE:
            return body
        try:
            return decompress(codec, body, limit=limit)
        except CorruptRecord as error:
            raise self._located(error) from error

    def records(self, *, limit: int = DECOMPRESSION_LIMIT) -> Iterator[Record]:
        """The records in order; all of them are checked before the first is given.

        A control batch's records are given as well: see ``header.is_control``.

        Args:
            limit: bytes that compressed records may unfold to.

        Raises:
            CorruptRecord: the compressed data or a record is broken, or the data unfolds to
                more than the limit. ``verify`` is not called: whoever needs the checksum calls
                it first.
        """
        header = self.header
        append_timestamp = None
        if header.timestamp_type is TimestampType.LOG_APPEND_TIME:
            append_timestamp = header.max_timestamp
        payload = self.payload(limit=limit)
        try:
            return iter(
                read_records(
                    payload,
                    header.record_count,
                    header.base_offset,
                    header.base_timestamp,
                    append_timestamp,
                )
            )
        except CorruptRecord as error:
            raise self._located(error) from error

    def _located(self, error: CorruptRecord) -> CorruptRecord:
        return CorruptRecord(f"batch at offset {self.header.base_offset}: {error}")


def read_batch(buffer: Buffer, position: int = 0) -> Batch | None:
    """The batch that starts at ``position``, or None where the bytes end before it does.

    Raises:
        CorruptRecord: what starts there is not a batch of format version 2.
    """
    view = memoryview(buffer)
    left = len(view) - position
    if left > MAGIC_POSITION and (magic := view[position + MAGIC_POSITION]) != MAGIC:
        raise CorruptRecord(
            f"byte {position}: record format {magic}; only format {MAGIC} is read, "
            "which Kafka writes since 0.11"
        )
    if left < LOG_OVERHEAD:
        return None
    length = int.from_bytes(view[position + 8 : position + LOG_OVERHEAD], "big", signed=True)
    if length < MIN_BATCH_LENGTH:
        raise CorruptRecord(
            f"byte {position}: a batch length of {length}, below the {MIN_BATCH_LENGTH} "
            "bytes of a batch without records"
        )
    if left < LOG_OVERHEAD + length:
        return None
    return Batch(read_header(view, position), view[position : position + LOG_OVERHEAD + length])


def iter_batches(buffer: Buffer) -> Iterator[Batch]:
    """The batches in the buffer, in order; ends without a word at one that is cut off.

    Raises:
        CorruptRecord: a batch has an impossible length or an old format. The batches before
            it have been given.
    """
    view = memoryview(buffer)
    position = 0
    while (batch := read_batch(view, position)) is not None:
        yield batch
        position += len(batch.view)
