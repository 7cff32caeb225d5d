"""Compressed bodies of every codec, which may be bombs.

The input is the codec, the limit, and the body.
"""

from __future__ import annotations

import gzip
from collections.abc import Iterator

import lz4.frame
import zstandard

from pyproducer.errors import CorruptRecord
from pyproducer.records.codec import CODEC_NAMES, Codec
from pyproducer.records.compression import compress, decompress, has_linked_blocks
from tests.fuzz.bites import Bites
from tests.fuzz.target import Target

_LIMITS = (0, 1, 1000, 1 << 16, 1 << 20)


def run(data: bytes) -> None:
    """A body unfolds to at most the limit, or is refused by its codec's name."""
    bites = Bites(data)
    codec = bites.one_of(list(Codec))
    limit = bites.one_of(_LIMITS)
    body = bites.rest()
    try:
        has_linked_blocks(codec, body)
        content = decompress(codec, body, limit=limit)
    except CorruptRecord as error:
        assert str(error).startswith(f"{CODEC_NAMES[codec]}: ")
        return
    assert len(content) <= limit
    if codec is Codec.GZIP:
        assert content == gzip.decompress(body)


def seeds() -> Iterator[bytes]:
    """Each codec's frames: one, several, empty, of other writers, and bombs."""
    text = b'{"id": 1, "name": "user"}' * 8
    for codec in Codec:
        for content in (b"", b"a", text, bytes(300_000)):
            body = compress(codec, content)
            yield bytes((codec, 4)) + body[:900]
        yield bytes((codec, 3)) + compress(codec, text) * 3
    yield bytes((Codec.SNAPPY, 4)) + b"\x05\x10hello"
    for linked in (False, True):
        frame = lz4.frame.compress(
            text, block_linked=linked, content_checksum=True, block_checksum=True, store_size=True
        )
        yield bytes((Codec.LZ4, 4)) + frame
    yield bytes((Codec.LZ4, 4)) + b"\x50\x2a\x4d\x18\x03\x00\x00\x00abc" + lz4.frame.compress(b"x")
    for options in ({"write_checksum": True}, {"write_content_size": False}):
        yield bytes((Codec.ZSTD, 4)) + zstandard.ZstdCompressor(**options).compress(text)
    stream = zstandard.ZstdCompressor(level=19).compressobj()
    yield bytes((Codec.ZSTD, 4)) + stream.compress(bytes(200_000)) + stream.flush()
    # A window of 2 GiB, in a frame of nothing.
    yield bytes((Codec.ZSTD, 4)) + b"\x28\xb5\x2f\xfd\x00\xa8\x01\x00\x00"


TARGET = Target(run, seeds)
