"""snappy as Kafka's Java client frames it ("xerial"), and raw snappy when reading.

The frame is a header of 16 bytes (magic, version 1, oldest compatible version 1), then blocks:
four bytes of big endian length and as many bytes of raw snappy. Java's client has 32 KiB of content
in each, and every reader takes more. One of ours holds what a batch mostly has: the library lets go
of the interpreter and waits for it again with each call, which among busy threads takes far longer
than to compress 32 KiB.
"""

from __future__ import annotations

from typing import Final

import cramjam

from pyproducer.errors import CorruptRecord

__all__ = ["XERIAL_HEADER", "compress", "decompress"]

_MAGIC: Final = b"\x82SNAPPY\x00"
XERIAL_HEADER: Final = _MAGIC + (1).to_bytes(4, "big") + (1).to_bytes(4, "big")
_BLOCK: Final = 1024 * 1024


def compress(data: bytes | memoryview) -> bytes:
    """The data as a header and blocks of 1 MiB."""
    view = memoryview(data)
    parts: list[bytes | memoryview] = [XERIAL_HEADER]
    for start in range(0, len(view), _BLOCK):
        block = memoryview(cramjam.snappy.compress_raw(view[start : start + _BLOCK]))
        parts.append(len(block).to_bytes(4, "big"))
        parts.append(block)
    return b"".join(parts)


def decompress(view: memoryview, limit: int) -> bytes:
    """The content, at most ``limit`` bytes, of xerial frames or of one raw block.

    Raises:
        CorruptRecord: the data is broken, ends early or unfolds to more than the limit.
    """
    if bytes(view[:8]) != _MAGIC:
        return _unfold(view, limit, limit)
    parts: list[bytes] = []
    position, room, size = 0, limit, len(view)
    while position < size:
        # Frames may follow each other: a header can stand where a block's length would.
        if bytes(view[position : position + 8]) == _MAGIC:
            version = view[position + 8 : position + 12]
            if position + len(XERIAL_HEADER) > size or int.from_bytes(version, "big") < 1:
                raise CorruptRecord("snappy: the xerial header is broken")
            position += len(XERIAL_HEADER)
            continue
        length = int.from_bytes(view[position : position + 4], "big")
        start = position + 4
        position = start + length
        if start > size or position > size:
            raise CorruptRecord(
                f"snappy: a block of {length} bytes where {max(0, size - start)} are left"
            )
        content = _unfold(view[start:position], room, limit)
        room -= len(content)
        parts.append(content)
    return b"".join(parts)


def _unfold(block: memoryview, room: int, limit: int) -> bytes:
    # The length a block declares is its sender's word and the library allocates by it, so it
    # is first held against what the block can hold: the densest element, a copy of 64 bytes,
    # takes 3.
    declared, start = _declared_length(block)
    if declared * 3 > (len(block) - start) * 64:
        raise CorruptRecord(
            f"snappy: a block of {len(block)} bytes cannot hold the {declared} it declares"
        )
    if declared > room:
        raise CorruptRecord(f"snappy: the data unfolds to more than {limit} bytes")
    try:
        return bytes(cramjam.snappy.decompress_raw(block))
    except cramjam.DecompressionError as error:
        raise CorruptRecord(f"snappy: broken data: {error}") from error


def _declared_length(block: memoryview) -> tuple[int, int]:
    """The content length that a raw block starts with, and where the elements begin."""
    value = 0
    for index, byte in enumerate(block[:5]):
        value |= (byte & 0x7F) << (7 * index)
        if byte < 0x80:
            if value >= 1 << 32:
                break
            return value, index + 1
    raise CorruptRecord("snappy: a block does not start with its length")
