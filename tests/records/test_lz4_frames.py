"""lz4: frames as Kafka's reader wants them, frames of others, and frames that lie."""

from __future__ import annotations

import lz4.frame
import pytest

from pyproducer.errors import CorruptRecord
from pyproducer.records.lz4_frames import compress, decompress, has_linked_blocks

TEXT = b"".join(b"line %d of the text\n" % number for number in range(20_000))


def test_frame_header():
    """
    The frame says independent blocks of 64 KiB, no sizes, no checksums.
    """
    assert len(TEXT) > 262_144
    for data in (b"", b"a", TEXT[:65_536], TEXT[:65_537], TEXT):
        frame = compress(data, 9)
        # The last byte is the header's checksum: the second byte of xxh32 over the two before.
        assert frame.startswith(bytes.fromhex("04224d18 60 40 82")), frame[:7].hex()
        assert not lz4.frame.get_frame_info(frame)["block_linked"]
        assert frame.endswith(b"\x00\x00\x00\x00")


def test_blocks_stand_alone():
    """
    Each block of a long frame unfolds without the blocks before it.
    """
    frame = compress(TEXT, 9)
    position, contents = 7, []
    while word := int.from_bytes(frame[position : position + 4], "little"):
        end = position + 4 + (word & 0x7FFFFFFF)
        alone = frame[:7] + frame[position:end] + b"\x00\x00\x00\x00"
        contents.append(lz4.frame.decompress(alone))
        position = end

    assert len(contents) == -(-len(TEXT) // 65_536)
    assert b"".join(contents) == TEXT


@pytest.mark.parametrize("linked", [True, False])
@pytest.mark.parametrize("content_checksum", [True, False])
@pytest.mark.parametrize("block_checksum", [True, False])
@pytest.mark.parametrize("store_size", [True, False])
@pytest.mark.parametrize("block_size", [4, 5, 6, 7])
def test_foreign_frames_are_read(linked, content_checksum, block_checksum, store_size, block_size):
    """
    Frames with any option of the format are read, and linked blocks are told apart.
    """
    data = TEXT * 12
    frame = lz4.frame.compress(
        data,
        block_linked=linked,
        content_checksum=content_checksum,
        block_checksum=block_checksum,
        store_size=store_size,
        block_size=block_size,
    )

    assert data == decompress(memoryview(frame), len(data))
    assert linked == has_linked_blocks(memoryview(frame))


def test_frames_follow_each_other():
    """
    Several frames, skippable ones between them, give their contents joined, under one limit.
    """
    skippable = (0x184D2A57).to_bytes(4, "little") + (3).to_bytes(4, "little") + b"abc"
    data = skippable + compress(b"12345", 9) + skippable + compress(b"", 9) + compress(b"678", 9)

    assert b"12345678" == decompress(memoryview(data), 8)
    with pytest.raises(CorruptRecord, match="more than 7 bytes"):
        decompress(memoryview(data), 7)


def flipped(data: bytes, place: int) -> bytes:
    broken = bytearray(data)
    broken[place] ^= 0x40
    return bytes(broken)


@pytest.mark.parametrize(
    ("data", "text"),
    [
        (b"", "no frame"),
        (b"\x04\x22", "ends inside"),
        (b"plain text", "does not start with a frame"),
        (bytes.fromhex("02214c18 00000000"), "does not start with a frame"),
        (bytes.fromhex("04224d18 60"), "ends inside"),
        (bytes.fromhex("04224d18 60 10 82 00000000"), "block size"),
        (bytes.fromhex("04224d18 61 40 82 00000000 00000000"), "dictionary"),
        (bytes.fromhex("04224d18 60 40 82"), "ends inside"),
        (bytes.fromhex("04224d18 60 40 82 ffffff7f"), "a block of 2147483647 bytes"),
        (bytes.fromhex("04224d18 60 40 82 01000100 00"), "a block of 65537 bytes"),
        (bytes.fromhex("04224d18 60 40 82 05000080 6162"), "ends inside"),
        (bytes.fromhex("04224d18 60 40 83 00000000"), "broken data"),
        (bytes.fromhex("502a4d18 ffffffff"), "ends inside"),
        (compress(TEXT, 9)[:-4], "ends inside"),
        (compress(TEXT, 9) + b"?", "ends inside"),
        (compress(TEXT, 9) + b"????", "does not start with a frame"),
        (flipped(lz4.frame.compress(TEXT, content_checksum=True), -1), "broken data"),
    ],
)
def test_broken(data, text):
    """
    What is no frame, or not a whole one, is refused.
    """
    with pytest.raises(CorruptRecord, match=rf"^lz4: .*{text}"):
        decompress(memoryview(data), 2**30)


def test_declared_content_size_allocates_nothing():
    """
    A frame that declares a content of 2**60 bytes is held to what its blocks hold.
    """
    context = lz4.frame.create_compression_context()
    header = lz4.frame.compress_begin(context, source_size=1 << 60)
    frame = header + b"\x04\x00\x00\x80tiny" + b"\x00\x00\x00\x00"

    with pytest.raises(CorruptRecord, match=r"^lz4: broken data"):
        decompress(memoryview(frame), 2**61)
