"""Small batches that unfold to gigabytes, or are made to keep a reader busy."""

from __future__ import annotations

import struct
import subprocess
import sys
import zlib
from functools import cache

import pytest

from pyproducer.records.codec import Codec
from pyproducer.records.compression import compress
from pyproducer.records.snappy_blocks import XERIAL_HEADER

MIB = 1 << 20
LIMIT = 16 * MIB
#: What a reader may take beside twice the limit: libraries, their windows, the input.
BESIDE = 24 * MIB

_ZSTD = b"\x28\xb5\x2f\xfd"


def gzip_of_zeros() -> bytes:
    packer = zlib.compressobj(9, wbits=31)
    return b"".join(packer.compress(bytes(MIB)) for _ in range(300)) + packer.flush()


def zstd_of_repeats(blocks: int, window: int) -> bytes:
    """Blocks of four bytes that stand for 128 KiB each, behind a window of that logarithm."""
    head = ((128 * 1024) << 3 | 2).to_bytes(3, "little") + b"\x00"
    last = ((128 * 1024) << 3 | 3).to_bytes(3, "little") + b"\x00"
    return _ZSTD + bytes((0, (window - 10) << 3)) + head * (blocks - 1) + last


def lz4_of_zeros() -> bytes:
    """Blocks that hold 4 MiB each, in a frame that allows for them."""
    # One literal, then a match of all the rest, whose length is told in bytes of 255.
    body = b"\x1f\x00\x01\x00" + b"\xff" * 16_448 + b"\x00" + b"\x50" + bytes(5)
    block = struct.pack("<I", len(body)) + body
    return b"\x04\x22\x4d\x18\x60\x70\x73" + block * 40 + bytes(4)


BOMBS = {
    "gzip, 300 MiB of zeros": (Codec.GZIP, gzip_of_zeros),
    "gzip, 50,000 members": (Codec.GZIP, lambda: zlib.compress(b"", 9, 31) * 50_000),
    "zstd, 30 GiB of repeats": (Codec.ZSTD, lambda: zstd_of_repeats(250_000, 18)),
    "zstd, a window of 128 MiB": (Codec.ZSTD, lambda: zstd_of_repeats(1, 27)),
    "zstd, 1,000 windows of 128 MiB": (Codec.ZSTD, lambda: zstd_of_repeats(1, 27) * 1000),
    "zstd, a window of 2 TiB": (Codec.ZSTD, lambda: zstd_of_repeats(1, 41)),
    "lz4, 160 MiB of zeros": (Codec.LZ4, lz4_of_zeros),
    "snappy, 60 MiB of zeros": (Codec.SNAPPY, lambda: compress(Codec.SNAPPY, bytes(60 * MIB))),
    "snappy, a length of 4 GiB": (Codec.SNAPPY, lambda: b"\xff\xff\xff\xff\x0f\x00a"),
    "snappy, 200,000 empty blocks": (
        Codec.SNAPPY,
        lambda: XERIAL_HEADER + b"\x00\x00\x00\x01\x00" * 200_000,
    ),
}

CHILD = """
import re, sys
from pathlib import Path
from pyproducer.errors import CorruptRecord
from pyproducer.records.codec import Codec
from pyproducer.records.compression import compress, decompress
codec, limit = Codec(int(sys.argv[1])), int(sys.argv[2])
data = sys.stdin.buffer.read()
decompress(codec, compress(codec, b"x"))
# Not getrusage: what the parent of a process took once counts there too.
def peak():
    return int(re.search(r"VmHWM:\\s+(\\d+)", Path("/proc/self/status").read_text())[1]) * 1024

before = peak()
try:
    told = len(decompress(codec, data, limit=limit))
except CorruptRecord as error:
    told = str(error)
print(peak() - before, told, sep="|")
"""


@cache
def bomb(name: str) -> tuple[Codec, bytes]:
    codec, make = BOMBS[name]
    return codec, make()


@pytest.mark.skipif(sys.platform != "linux", reason="counts memory as Linux does")
@pytest.mark.parametrize("name", BOMBS)
def test_a_bomb_takes_no_more_than_the_limit_twice(name):
    """
    A process that unfolds it stays within twice the limit, and has all of it or a refusal.
    """
    codec, data = bomb(name)
    assert len(data) < 4 * MIB
    done = subprocess.run(
        [sys.executable, "-c", CHILD, str(int(codec)), str(LIMIT)],
        input=data,
        capture_output=True,
        check=True,
        timeout=120,
    )
    taken, told = done.stdout.decode().strip().split("|", 1)

    assert int(taken) <= 2 * LIMIT + BESIDE
    assert told.isdecimal() or told.startswith(f"{codec.name.lower()}: ")
    assert not told.isdecimal() or int(told) <= LIMIT
