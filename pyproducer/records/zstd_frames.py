"""zstd frames: one with its content size when written, any number of any kind when read.

Frames of other clients may not say how much they hold, and a frame that says so may lie. So
before anything is unfolded the blocks of each frame are walked by their lengths, which gives
the end of the frame and the most it can hold; that, or the caller's limit, bounds the memory.
"""

from __future__ import annotations

from typing import Final, NamedTuple

import zstandard

from pyproducer.errors import CorruptRecord

__all__ = ["compress", "decompress"]

_MAGIC: Final = 0xFD2FB528
_SKIPPABLE: Final = range(0x184D2A50, 0x184D2A60)
_LARGEST_BLOCK: Final = 128 * 1024

#: Bytes below which a frame is copied, so that it takes no more memory than it has bytes.
_COPIED_BELOW: Final = 64 * 1024

# Types of a block, in bits 1 and 2 of its header.
_RAW: Final = 0
_REPEAT: Final = 1
_RESERVED: Final = 3

# Compressors and decompressors are costly to make (10 us and more) and must not be used by
# two threads at once. Each call takes one out of a pool and puts it back; list.pop and
# list.append are atomic, so no lock is needed. One that failed is not put back.
_POOL_SIZE: Final = 4
_compressors: dict[int, list[zstandard.ZstdCompressor]] = {}
_decompressors: list[zstandard.ZstdDecompressor] = []


def compress(data: bytes | memoryview, level: int) -> bytes:
    """One frame, with its content size and no checksum."""
    pool = _compressors.setdefault(level, [])
    try:
        compressor = pool.pop()
    except IndexError:
        compressor = zstandard.ZstdCompressor(level=level)
    compressed = compressor.compress(data)
    if len(pool) < _POOL_SIZE:
        pool.append(compressor)
    # The library asks for as much as the frame may need at worst and cuts it to size, which
    # leaves whole pages behind a frame of a few bytes. A copy has its own size.
    return bytes(memoryview(compressed)) if len(compressed) < _COPIED_BELOW else compressed


def decompress(view: memoryview, limit: int) -> bytes:
    """The content of all frames, at most ``limit`` bytes.

    Raises:
        CorruptRecord: the data is broken, ends early or unfolds to more than the limit.
    """
    try:
        decompressor = _decompressors.pop()
    except IndexError:
        decompressor = zstandard.ZstdDecompressor()
    parts: list[bytes] = []
    room = limit
    for frame in _frames(view):
        # The library allocates the declared size, so it must not exceed what the blocks,
        # which have arrived, can hold.
        if frame.declared is not None and frame.declared > frame.largest_content:
            raise CorruptRecord(
                f"zstd: the frame's blocks cannot hold the {frame.declared} bytes it declares"
            )
        if frame.declared is not None and frame.declared > room:
            raise CorruptRecord(f"zstd: the data unfolds to more than {limit} bytes")
        allowed = min(frame.largest_content, room)
        try:
            content = decompressor.decompress(
                view[frame.start : frame.end], max_output_size=max(1, allowed)
            )
        except zstandard.ZstdError as error:
            if frame.declared is None and allowed < frame.largest_content:
                raise CorruptRecord(
                    f"zstd: the data is broken or unfolds to more than {limit} bytes"
                ) from error
            raise CorruptRecord(f"zstd: broken data: {error}") from error
        if len(content) > room:
            raise CorruptRecord(f"zstd: the data unfolds to more than {limit} bytes")
        parts.append(content)
        room -= len(content)
    if len(_decompressors) < _POOL_SIZE:
        _decompressors.append(decompressor)
    return parts[0] if len(parts) == 1 else b"".join(parts)


class _Frame(NamedTuple):
    start: int
    end: int
    largest_content: int
    declared: int | None


def _frames(view: memoryview) -> list[_Frame]:
    frames: list[_Frame] = []
    position = 0
    while position < len(view):
        magic = _number(view, position, 4)
        if magic in _SKIPPABLE:
            position += 8 + _number(view, position + 4, 4)
            if position > len(view):
                raise CorruptRecord("zstd: the data ends inside a frame")
            continue
        if magic != _MAGIC:
            raise CorruptRecord("zstd: the data does not start with a frame")
        frame = _walk(view, position)
        frames.append(frame)
        position = frame.end
    if not frames:
        raise CorruptRecord("zstd: the data has no frame")
    return frames


def _walk(view: memoryview, start: int) -> _Frame:
    descriptor = _number(view, start + 4, 1)
    single_segment = bool(descriptor & 0x20)
    position = start + 5 + (0 if single_segment else 1) + (0, 1, 2, 4)[descriptor & 3]
    size_bytes = (1 if single_segment else 0, 2, 4, 8)[descriptor >> 6]
    declared = None
    if size_bytes:
        # Two bytes count from 256 on, since less fits into one.
        declared = _number(view, position, size_bytes) + (256 if size_bytes == 2 else 0)
    position += size_bytes
    content, last = 0, False
    while not last:
        header = _number(view, position, 3)
        last, kind, length = bool(header & 1), header >> 1 & 3, header >> 3
        if kind == _RESERVED or length > _LARGEST_BLOCK:
            raise CorruptRecord("zstd: broken data: a block of no legal type or size")
        content += length if kind in {_RAW, _REPEAT} else _LARGEST_BLOCK
        position += 3 + (1 if kind == _REPEAT else length)
    position += 4 if descriptor & 4 else 0
    if position > len(view):
        raise CorruptRecord("zstd: the data ends inside a frame")
    return _Frame(start, position, content, declared)


def _number(view: memoryview, position: int, size: int) -> int:
    if position + size > len(view):
        raise CorruptRecord("zstd: the data ends inside a frame")
    return int.from_bytes(view[position : position + size], "little")
