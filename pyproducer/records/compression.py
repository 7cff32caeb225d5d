"""Compression and decompression of a batch's records, by codec.

Everything here is safe to call from several threads at once, and lets other threads run while
a large payload is worked on. Decompression is bounded: no input, however made, unfolds to more
than the caller's limit, nor takes much more memory than that on the way.

A codec's library is loaded when it is first used: most programs use one of them, or none.
"""

from __future__ import annotations

from typing import Final

from pyproducer.errors import CorruptRecord
from pyproducer.model import Buffer
from pyproducer.records.codec import (
    CODEC_NAMES,
    CODECS_BY_NAME,
    Codec,
    LevelRange,
    check_level,
    level_range,
)

__all__ = [
    "CODECS_BY_NAME",
    "CODEC_NAMES",
    "DECOMPRESSION_LIMIT",
    "Codec",
    "LevelRange",
    "check_level",
    "compress",
    "decompress",
    "has_linked_blocks",
    "level_range",
    "load_codec",
]

#: Bytes that the records of one batch may unfold to where nobody says otherwise: 128 MiB.
DECOMPRESSION_LIMIT: Final = 128 * 1024 * 1024


def load_codec(codec: Codec) -> None:
    """Load what a codec needs, so that its first use finds it there."""
    compress(codec, b"")


def compress(codec: Codec, data: Buffer, level: int | None = None) -> bytes:
    """The data compressed, also where that makes it longer; a copy for ``Codec.NONE``.

    Raises:
        ValueError: the level is out of the codec's range, or the codec has no levels.
    """
    level = check_level(codec, level)
    source = data if isinstance(data, bytes) else memoryview(data)
    if codec is Codec.GZIP:
        from pyproducer.records import gzip_stream

        return gzip_stream.compress(source, level)
    if codec is Codec.SNAPPY:
        from pyproducer.records import snappy_blocks

        return snappy_blocks.compress(source)
    if codec is Codec.LZ4:
        from pyproducer.records import lz4_frames

        return lz4_frames.compress(source, level)
    if codec is Codec.ZSTD:
        from pyproducer.records import zstd_frames

        return zstd_frames.compress(source, level)
    return bytes(source)


def decompress(codec: Codec, data: Buffer, *, limit: int = DECOMPRESSION_LIMIT) -> bytes:
    """The content of compressed data, at most ``limit`` bytes.

    Raises:
        CorruptRecord: the data is broken, ends early or unfolds to more than the limit. The
            message starts with the codec's name.
    """
    view = memoryview(data)
    if codec is Codec.GZIP:
        from pyproducer.records import gzip_stream

        return gzip_stream.decompress(view, limit)
    if codec is Codec.SNAPPY:
        from pyproducer.records import snappy_blocks

        return snappy_blocks.decompress(view, limit)
    if codec is Codec.LZ4:
        from pyproducer.records import lz4_frames

        return lz4_frames.decompress(view, limit)
    if codec is Codec.ZSTD:
        from pyproducer.records import zstd_frames

        return zstd_frames.decompress(view, limit)
    if len(view) > limit:
        raise CorruptRecord(f"none: the data has more than {limit} bytes")
    return bytes(view)


def has_linked_blocks(codec: Codec, data: Buffer) -> bool:
    """True for lz4 data with linked blocks: we read it, Kafka's own readers do not.

    Raises:
        CorruptRecord: the data is not made of lz4 frames.
    """
    if codec is not Codec.LZ4:
        return False
    from pyproducer.records import lz4_frames

    return lz4_frames.has_linked_blocks(memoryview(data))
