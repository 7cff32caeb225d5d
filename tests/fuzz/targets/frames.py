"""The stream that any peer sends: cut into frames, whatever the pieces it comes in.

The input is the limit, the sizes of the pieces, and the stream.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator

from pyproducer.errors import ProtocolError
from pyproducer.protocol.frame import FrameReader, decode_request_header, decode_response_header
from pyproducer.protocol.frame_pool import LARGE, FramePool
from tests.fuzz.bites import Bites
from tests.fuzz.target import Target

_POOL = FramePool(LARGE * 4)


def run(data: bytes) -> None:
    """Frames are what the sizes say, whichever way they come in, and memory follows the bytes."""
    bites = Bites(data)
    limit = bites.one_of((16, 300, 1 << 16, 1 << 30))
    pieces = [1 + bites.byte() for _ in range(bites.byte() % 8)] or [1 << 16]
    stream = bites.rest()
    expected, sound = _cut(stream, limit)
    pool = _POOL if len(pieces) % 2 else None
    reader = FrameReader(limit, pool=pool)
    found: list[bytes] = []
    position = turn = 0
    while position < len(stream):
        piece = stream[position : position + pieces[turn % len(pieces)]]
        position, turn = position + len(piece), turn + 1
        try:
            reader.feed(piece)
        except ProtocolError:
            assert not sound
            break
        finally:
            found.extend(_taken(reader, pool))
        # What is compiled does not show it; a pool's memory was there before.
        body = getattr(reader, "_body", None)
        assert pool is not None or body is None or len(body) <= max(2 * position, LARGE)
    else:
        assert sound or len(stream) < 4
    assert expected == found
    for frame in found:
        _headers(frame)


def _taken(reader: FrameReader, pool: FramePool | None) -> Iterator[bytes]:
    for frame in reader.frames():
        yield bytes(frame)
        if pool is not None:
            pool.give(frame)


def _cut(stream: bytes, limit: int) -> tuple[list[bytes], bool]:
    frames: list[bytes] = []
    position = 0
    while position + 4 <= len(stream):
        (size,) = struct.unpack_from(">i", stream, position)
        if not 0 <= size <= limit:
            return frames, False
        if position + 4 + size > len(stream):
            break
        frames.append(stream[position + 4 : position + 4 + size])
        position += 4 + size
    return frames, True


def _headers(frame: bytes) -> None:
    try:
        header = decode_request_header(frame)
    except ProtocolError:
        pass
    else:
        assert len(header.body) <= len(frame)
    for key, version in ((0, 9), (3, 1), (18, 3)):
        try:
            decode_response_header(frame, key, version)
        except ProtocolError:
            continue


def seeds() -> Iterator[bytes]:
    """Whole frames, broken sizes, and peers that speak something else."""
    yield (
        b"\x02\x00"
        + struct.pack(">i", 14)
        + b"\x00\x12\x00\x03\x00\x00\x00\x07\x00\x01x\x00\x01\x00"
    )
    yield b"\x01\x02\x03\x05" + (struct.pack(">i", 9) + b"123456789") * 3
    yield b"\x03\x01\x40" + struct.pack(">i", 1 << 29) + bytes(100)
    yield b"\x03\x00" + struct.pack(">i", -1)
    for start in (b"HTTP/1.1 400", b"\x16\x03\x01\x02\x00", b"SSH-2.0-x", b"\xff\xfe\xfd\xfc\xfb"):
        yield b"\x00\x00" + start
    yield b"\x02\x00" + struct.pack(">ihhih", 12, 3, 9, 1, 0) + b"\x02\x05\x00\x84\x07\x00"


TARGET = Target(run, seeds)
