"""One pass over the batches of a ``.log`` file, whatever is in it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from pyproducer.errors import CorruptRecord
from pyproducer.records.batch import (
    ATTRIBUTES_POSITION,
    HEADER_SIZE,
    MAGIC,
    MIN_BATCH_LENGTH,
    BatchHeader,
    read_header,
)
from pyproducer.records.crc import crc32c
from pyproducer.records.reader import Batch
from pyproducer.records.scan import scan_records

_CHUNK: Final = 1 << 20
#: A batch above this size is read only once its checksum says that it is one.
_LARGE: Final = 64 << 20


@dataclass(frozen=True, slots=True)
class Damage:
    """A place where no batch can be read.

    Attributes:
        position: Byte in the file.
        what: What is there.
        torn: Whether the file ends there in the middle of a batch, as after a crash.
    """

    position: int
    what: str
    torn: bool = False


def read_batches(path: Path, size: int) -> Iterator[tuple[int, Batch | Damage]]:
    """(position, batch) of each batch in the first `size` bytes; damage ends it.

    Nothing but lengths and format is looked at. A batch lives until the next is asked for.

    Raises:
        OSError: The file cannot be read.
    """
    with path.open("rb", buffering=0) as file:
        chunk, start, position = memoryview(b""), 0, 0
        while position < size:
            at = position - start
            if at + HEADER_SIZE > len(chunk):
                chunk, start, at = _read(file.fileno(), position, min(_CHUNK, size - position))
            damage = _damage(chunk[at : at + HEADER_SIZE], position, size)
            if damage is not None:
                yield position, damage
                return
            header = read_header(chunk, at)
            if at + header.size > len(chunk):
                if header.size > _LARGE and not _adds_up(file.fileno(), position, header):
                    what = f"a batch of {header.size} bytes whose CRC32C does not match"
                    yield position, Damage(position, what)
                    return
                wanted = min(max(_CHUNK, header.size), size - position)
                chunk, start, at = _read(file.fileno(), position, wanted)
            yield position, Batch(header, chunk[at : at + header.size])
            position += header.size


def fault_of(batch: Batch) -> str | None:
    """What is wrong with a batch's checksum or records, or None."""
    try:
        batch.verify()
        header, payload = batch.header, batch.payload()
    except CorruptRecord as error:
        return str(error)
    try:
        summary = scan_records(payload, header.record_count, header.base_timestamp)
        if not summary.sequential:
            # Compaction leaves gaps; nothing turns offsets round.
            _check_offsets(batch)
    except CorruptRecord as error:
        return f"batch at offset {header.base_offset}: {error}"
    return None


def _check_offsets(batch: Batch) -> None:
    before = batch.header.base_offset - 1
    for record in batch.records():
        if not before < record.offset <= batch.header.last_offset:
            raise CorruptRecord(
                f"a record of offset {record.offset} behind {before}, in a batch that ends with "
                f"{batch.header.last_offset}"
            )
        before = record.offset


def _damage(head: memoryview, position: int, size: int) -> Damage | None:
    left = size - position
    if not any(head):
        # Space that was taken and never written, or lost with the power.
        return Damage(position, f"zeros, with {left} bytes to the end of the file", torn=True)
    if left < HEADER_SIZE:
        return Damage(position, f"{left} bytes, less than the header of a batch", torn=True)
    header = read_header(head)
    if header.magic != MAGIC:
        return Damage(position, f"record format {header.magic}, where {MAGIC} is the one read here")
    if header.batch_length < MIN_BATCH_LENGTH:
        return Damage(position, f"a batch length of {header.batch_length}, too little for any")
    if header.size > left:
        what = f"{left} bytes of a batch that says it has {header.size}"
        return Damage(position, what, torn=True)
    return None


def _read(fd: int, position: int, size: int) -> tuple[memoryview, int, int]:
    data = os.pread(fd, size, position)
    while len(data) < size:
        # Above 2 GiB a read is short; at the end of a file that was cut meanwhile it is empty.
        more = os.pread(fd, size - len(data), position + len(data))
        if not more:
            raise OSError(f"the file ends at byte {position + len(data)}: it was cut while read")
        data += more
    return memoryview(data), position, 0


def _adds_up(fd: int, position: int, header: BatchHeader) -> bool:
    at, end, crc = position + ATTRIBUTES_POSITION, position + header.size, 0
    while at < end:
        piece = os.pread(fd, min(_CHUNK, end - at), at)
        if not piece:
            return False
        crc = crc32c(piece, start=crc)
        at += len(piece)
    return crc == header.crc
