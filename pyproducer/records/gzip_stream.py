"""gzip: one member when written, any number of members when read."""

from __future__ import annotations

import zlib
from typing import Final

from pyproducer.errors import CorruptRecord

__all__ = ["compress", "decompress"]

# zlib's number for a gzip container around the largest window.
_GZIP_CONTAINER: Final = 31

# Input is fed in windows: zlib copies what it leaves unread, so that feeding everything after
# each of thousands of tiny members would take time that grows with the square of the input.
# A window starts small after a member's end and doubles while a member goes on.
_FIRST_WINDOW: Final = 512
_LARGEST_WINDOW: Final = 256 * 1024


def compress(data: bytes | memoryview, level: int) -> bytes:
    """One gzip member; -1 is zlib's default level."""
    return zlib.compress(data, level, _GZIP_CONTAINER)


def decompress(view: memoryview, limit: int) -> bytes:
    """The content of all members, at most ``limit`` bytes.

    Raises:
        CorruptRecord: the data is broken, ends early or unfolds to more than the limit.
    """
    parts: list[bytes] = []
    position, room, window = 0, limit, _LARGEST_WINDOW
    while True:
        member = zlib.decompressobj(_GZIP_CONTAINER)
        while not member.eof:
            if position >= len(view):
                raise CorruptRecord("gzip: the data ends inside a member")
            piece = view[position : position + window]
            try:
                # One byte more than there is room for tells "too much" from "just fits".
                content = member.decompress(piece, room + 1)
            except zlib.error as error:
                raise CorruptRecord(f"gzip: broken data: {error}") from error
            if len(content) > room:
                raise CorruptRecord(f"gzip: the data unfolds to more than {limit} bytes")
            if content:
                parts.append(content)
                room -= len(content)
            position += len(piece) - len(member.unused_data)
            window = min(window * 2, _LARGEST_WINDOW)
        if position == len(view):
            return parts[0] if len(parts) == 1 else b"".join(parts)
        window = _FIRST_WINDOW
