"""A batch that a client wants appended: validated, and stored as the topic's settings say.

The input is the settings, then the batch, whose length and checksum are made right unless the
settings say otherwise: a stranger can make them right too.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator

from pyproducer.broker.errors import Refused
from pyproducer.broker.log.config import LogConfig
from pyproducer.broker.log.validation import validate
from pyproducer.model import TimestampType
from pyproducer.records.batch import ATTRIBUTES_POSITION, CRC_POSITION, HEADER_SIZE, LOG_OVERHEAD
from pyproducer.records.builder import build_batch
from pyproducer.records.codec import Codec
from pyproducer.records.crc import crc32c
from pyproducer.records.reader import iter_batches
from pyproducer.records.record import Record
from pyproducer.records.validation import scan_batch
from tests.fuzz.bites import Bites
from tests.fuzz.target import Target
from tests.helpers.record_batches import NOON, every_shape

_TYPES = ("producer", "uncompressed", "gzip", "snappy", "lz4", "zstd")
_STAMPS = (TimestampType.CREATE_TIME, TimestampType.LOG_APPEND_TIME)
_CONFIGS = [
    LogConfig(
        compression_type=kind,
        message_timestamp_type=stamps,
        cleanup_policy=frozenset({policy}),
        strict_offsets=strict,
        message_timestamp_before_max_ms=before,
        decompressed_limit=1 << 20,
    )
    for kind in _TYPES
    for stamps in _STAMPS
    for policy in ("delete", "compact")
    for strict in (True, False)
    for before in (1 << 62, 86_400_000)
]


def run(data: bytes) -> None:
    """A batch is Refused, or what is stored of it is sound by every reader of ours."""
    bites = Bites(data)
    config = bites.one_of(_CONFIGS)
    how = bites.byte()
    batch = bytearray(bites.rest())
    if how & 1 and len(batch) >= HEADER_SIZE:
        struct.pack_into(">qi", batch, 0, 0, len(batch) - LOG_OVERHEAD)
        batch[16] = 2
        if how & 2:
            # All counts in line, so that the records themselves are looked at.
            struct.pack_into(">i", batch, 23, (how >> 2) - 1)
            struct.pack_into(">i", batch, 57, how >> 2)
        checksum = crc32c(memoryview(batch)[ATTRIBUTES_POSITION:])
        struct.pack_into(">I", batch, CRC_POSITION, checksum)
    try:
        valid = validate(batch, config, now_ms=NOON, request_version=3 + how % 8)
    except Refused as refused:
        assert refused.code
        return
    start = struct.pack(">qii", 0, valid.header.batch_length, 0)
    stored = b"".join((start, *valid.content))
    [found] = iter_batches(stored)
    found.verify()
    summary = scan_batch(found).summary
    assert found.header.record_count > 0
    assert summary.sequential or not (config.strict_offsets or found.header.codec)
    assert len(stored) <= config.max_message_bytes


def seeds() -> Iterator[bytes]:
    """Sound batches of every codec, with producer, transaction, and odd records."""
    shapes = every_shape()[:11]
    for codec in Codec:
        for settings in (0, 17, 40, 80):
            yield bytes((settings, 3 * 4 + 3)) + build_batch(shapes[:3], codec=codec)
        yield bytes((5, 1)) + build_batch(
            [Record(0, NOON, key=b"k", value=bytes(200))] * 4,
            codec=codec,
            producer_id=7,
            producer_epoch=0,
            base_sequence=2**31 - 2,
            transactional=True,
        )
    for shape in shapes:
        yield b"\x03\x07" + build_batch([shape._replace(offset=0)])


TARGET = Target(run, seeds)
