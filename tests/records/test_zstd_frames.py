"""zstd: frames of others, frames that lie about their size, and the pools."""

from __future__ import annotations

import resource
import sys
from pathlib import Path

import pytest
import zstandard

from pyproducer.errors import CorruptRecord
from pyproducer.records import zstd_frames
from pyproducer.records.zstd_frames import compress, decompress

TEXT = b"".join(b"line %d of the text\n" % number for number in range(40_000))


def streamed(data: bytes, **options) -> bytes:
    """A frame made piece by piece, as clients do that do not know the size beforehand."""
    writer = zstandard.ZstdCompressor(**options).compressobj()
    pieces = [writer.compress(data[i : i + 70_000]) for i in range(0, len(data), 70_000)]
    return b"".join([*pieces, writer.flush()])


def test_frame_has_its_content_size():
    """
    Our frames say how much they hold, and have no checksum.
    """
    parameters = zstandard.get_frame_parameters(compress(TEXT, 3))

    assert len(TEXT) == parameters.content_size
    assert not parameters.has_checksum


@pytest.mark.parametrize("size", [0, 1, 255, 256, 257, 65_791, 65_792, 131_072, 131_073, 700_000])
@pytest.mark.parametrize("checksum", [True, False])
@pytest.mark.parametrize("level", [-5, 3, 19])
def test_foreign_frames_are_read(size, checksum, level):
    """
    Frames with and without size and checksum are read, within a limit of their very size.
    """
    data = TEXT[:size]
    known = zstandard.ZstdCompressor(level=level, write_checksum=checksum).compress(data)
    unknown = streamed(data, level=level, write_checksum=checksum)

    assert data == decompress(memoryview(known), size)
    assert data == decompress(memoryview(unknown), size)
    if size:
        with pytest.raises(CorruptRecord, match=f"more than {size - 1} bytes"):
            decompress(memoryview(known), size - 1)
        with pytest.raises(CorruptRecord, match=f"more than {size - 1} bytes"):
            decompress(memoryview(unknown), size - 1)


def test_frames_follow_each_other():
    """
    Several frames, skippable ones between them, give their contents joined, under one limit.
    """
    skippable = (0x184D2A50).to_bytes(4, "little") + (3).to_bytes(4, "little") + b"abc"
    data = skippable + streamed(b"12345") + skippable + compress(b"", 3) + compress(b"678", 3)

    assert b"12345678" == decompress(memoryview(data), 8)
    with pytest.raises(CorruptRecord, match="more than 7 bytes"):
        decompress(memoryview(data), 7)


def test_repeated_blocks_are_read():
    """
    Zeros and incompressible bytes, which make blocks of the other two types, are read.
    """
    noise = bytes((i * i * 2654435761 >> 7) & 0xFF for i in range(300_000))
    for data in (bytes(1_000_000), noise):
        assert data == decompress(memoryview(streamed(data)), len(data))


MAGIC = "28b52ffd"


@pytest.mark.parametrize(
    ("data", "text"),
    [
        (b"", "no frame"),
        (b"\x28\xb5", "ends inside"),
        (b"plain text", "does not start with a frame"),
        (bytes.fromhex(MAGIC), "ends inside"),
        (bytes.fromhex(MAGIC + "00 58"), "ends inside"),
        (bytes.fromhex(MAGIC + "00 58 070000"), "no legal type"),
        (bytes.fromhex(MAGIC + "00 58 f9ffff"), "no legal type or size"),
        (bytes.fromhex(MAGIC + "00 58 290000 6162"), "ends inside"),
        (bytes.fromhex(MAGIC + "04 58 010000"), "ends inside"),
        (
            bytes.fromhex(MAGIC + "e0 ffffffffffffff7f 010000"),
            "cannot hold the 9223372036854775807",
        ),
        (bytes.fromhex(MAGIC + "a0 00000010 010000"), "cannot hold the 268435456"),
        (bytes.fromhex(MAGIC + "00 ff 010000"), "broken data"),
        (bytes.fromhex(MAGIC + "00 58 250000 61626364"), "broken data"),
        (bytes.fromhex("502a4d18 ffffffff"), "ends inside"),
        (compress(TEXT, 3)[:-1], "ends inside"),
        (compress(TEXT, 3) + b"?", "ends inside"),
        (streamed(TEXT, write_checksum=True)[:-1] + b"?", "broken data"),
        (
            zstandard.ZstdCompressor(dict_data=zstandard.ZstdCompressionDict(TEXT)).compress(
                TEXT[:2000]
            ),
            "broken",
        ),
    ],
)
def test_broken(data, text):
    """
    What is no frame, not a whole one, or lies about its size is refused.
    """
    with pytest.raises(CorruptRecord, match=rf"^zstd: .*{text}"):
        decompress(memoryview(data), 2**63)


def test_pools_stay_small_and_drop_what_failed(monkeypatch):
    """
    A compressor is used again, and a decompressor that failed is not.
    """
    monkeypatch.setattr(zstd_frames, "_compressors", {})
    monkeypatch.setattr(zstd_frames, "_decompressors", [])

    for _ in range(10):
        decompress(memoryview(compress(TEXT, 3)), len(TEXT))
    assert {3: 1} == {level: len(pool) for level, pool in zstd_frames._compressors.items()}
    assert len(zstd_frames._decompressors) == 1

    with pytest.raises(CorruptRecord):
        decompress(memoryview(bytes.fromhex(MAGIC + "00 58 250000 61626364")), 100)
    assert len(zstd_frames._decompressors) == 0


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_small_frame_takes_little_memory():
    """
    Frames of a few bytes, made of a million, take no pages of their own while they are kept.
    """

    def resident():
        return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize()

    data = b"x" * 1_000_000
    kept = [compress(data, 3) for _ in range(50)]
    before = resident()
    kept += [compress(data, 3) for _ in range(1000)]

    assert sum(map(len, kept)) < 100_000
    assert resident() - before < 2_000_000
