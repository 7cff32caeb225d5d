"""Storing a batch under another codec than it came with (``compression.type`` of the topic).

The records are not decoded for that: the compressed block of a batch is nothing but the plain
block compressed, so producer id, sequences, timestamps, keys, values and headers stay byte for
byte what they were.
"""

from __future__ import annotations

from pyproducer.broker.log.config import LogConfig
from pyproducer.model import Buffer
from pyproducer.records.batch import (
    ATTRIBUTES_POSITION,
    CODEC_MASK,
    HEADER_SIZE,
    LOG_OVERHEAD,
    BatchHeader,
    pack_header,
)
from pyproducer.records.codec import CODECS_BY_NAME, Codec
from pyproducer.records.compression import compress
from pyproducer.records.crc import crc32c

__all__ = ["repack_header", "stored_form", "target_codec"]


def target_codec(config: LogConfig, received: Codec) -> Codec:
    """The codec that a batch is stored with."""
    if config.compression_type == "producer":
        return received
    if config.compression_type == "uncompressed":
        return Codec.NONE
    return CODECS_BY_NAME[config.compression_type]


def _level(config: LogConfig, codec: Codec) -> int | None:
    if codec is Codec.GZIP:
        return config.compression_gzip_level
    if codec is Codec.LZ4:
        return config.compression_lz4_level
    if codec is Codec.ZSTD:
        return config.compression_zstd_level
    return None


def stored_form(
    header: BatchHeader, plain: Buffer, codec: Codec, config: LogConfig
) -> tuple[BatchHeader, Buffer]:
    """Header and record block of the batch under ``codec``; the header's CRC is not set yet."""
    block: Buffer = plain
    if codec is not Codec.NONE:
        block = compress(codec, plain, _level(config, codec))
    return (
        header._replace(
            batch_length=HEADER_SIZE - LOG_OVERHEAD + len(block),
            attributes=header.attributes & ~CODEC_MASK | codec,
        ),
        block,
    )


def repack_header(header: BatchHeader, block: Buffer) -> tuple[BatchHeader, bytes]:
    """The header with the CRC that its fields and ``block`` give, and its 61 bytes."""
    draft = pack_header(**header._asdict())
    header = header._replace(crc=crc32c(draft[ATTRIBUTES_POSITION:], block))
    return header, pack_header(**header._asdict())
