"""snappy: the frame Kafka's Java client writes, raw blocks, and lengths that lie."""

from __future__ import annotations

import cramjam
import pytest

from pyproducer.errors import CorruptRecord
from pyproducer.records.snappy_blocks import XERIAL_HEADER, compress, decompress

TEXT = b"".join(b"line %d\n" % number for number in range(20_000))


def raw(data: bytes) -> bytes:
    return bytes(cramjam.snappy.compress_raw(data))


def block(data: bytes) -> bytes:
    return len(raw(data)).to_bytes(4, "big") + raw(data)


def test_header_bytes():
    """
    The header is the magic and twice version 1, 16 bytes.
    """
    assert bytes.fromhex("82534e41505059000000000100000001") == XERIAL_HEADER
    assert compress(b"") == XERIAL_HEADER


def test_blocks_hold_1_mib():
    """
    Content is cut into blocks of 1 MiB, each behind its big endian length.
    """
    mebibyte = 1 << 20
    content = TEXT * (2 * mebibyte // len(TEXT) + 1)
    expected = XERIAL_HEADER + b"".join(
        block(content[start : start + mebibyte]) for start in range(0, len(content), mebibyte)
    )

    assert compress(content) == expected
    assert compress(memoryview(content)) == expected
    assert compress(TEXT) == XERIAL_HEADER + block(TEXT)


@pytest.mark.parametrize("data", [b"", b"a", TEXT])
def test_raw_is_read(data):
    """
    One raw block without a frame is read.
    """
    assert data == decompress(memoryview(raw(data)), len(data))


def test_foreign_frames_are_read():
    """
    Blocks of any size, a later version, and a second header between blocks are read.
    """
    later = XERIAL_HEADER[:8] + b"\x00\x00\x00\x02\x00\x00\x00\x01"
    data = later + block(TEXT) + XERIAL_HEADER + block(b"") + block(b"end")

    assert TEXT + b"end" == decompress(memoryview(data), len(TEXT) + 3)


@pytest.mark.parametrize(
    ("data", "text"),
    [
        (b"", "does not start with its length"),
        (b"\x80\x80\x80\x80\x80\x01", "does not start with its length"),
        (b"\xff\xff\xff\xff\x1f", "does not start with its length"),
        (b"\xff\xff\xff\xff\x0f" + b"\xfe\x01\x00" * 20, "cannot hold the 4294967295"),
        (b"\x05\x00", "cannot hold|broken"),
        (b"\x40\xfe\x01\x00", "broken data"),
        (XERIAL_HEADER[:12], "xerial header is broken"),
        (XERIAL_HEADER[:8] + b"\x00" * 8, "xerial header is broken"),
        (XERIAL_HEADER + b"\x00\x00", "where 0 are left"),
        (XERIAL_HEADER + b"\x7f\xff\xff\xff\x00", "2147483647 bytes where 1 are left"),
        (XERIAL_HEADER + b"\xff\xff\xff\xff\x00", "where 1 are left"),
        (XERIAL_HEADER + b"\x00\x00\x00\x00", "does not start with its length"),
        (XERIAL_HEADER + block(b"a") + b"?", "where 0 are left"),
    ],
)
def test_broken(data, text):
    """
    Lengths that lie and headers that are cut are refused before anything is allocated.
    """
    with pytest.raises(CorruptRecord, match=rf"^snappy: .*(?:{text})"):
        decompress(memoryview(data), 2**40)


def test_blocks_share_the_limit():
    """
    The limit counts all blocks together.
    """
    data = XERIAL_HEADER + block(b"12345") * 3

    assert len(decompress(memoryview(data), 15)) == 15
    with pytest.raises(CorruptRecord, match="more than 14 bytes"):
        decompress(memoryview(data), 14)


def test_densest_block_is_within_the_bound():
    """
    Zeros, which snappy packs tightest, stay below the expansion that is taken for impossible.
    """
    zeros = bytes(1 << 20)

    assert zeros == decompress(memoryview(raw(zeros)), len(zeros))
