"""Every codec: there and back, by level, from several threads, and against hostile data."""

from __future__ import annotations

import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import cramjam
import pytest
import zstandard
from hypothesis import given, settings
from hypothesis import strategies as st

from pyproducer.errors import CorruptRecord
from pyproducer.records.compression import (
    CODEC_NAMES,
    DECOMPRESSION_LIMIT,
    Codec,
    compress,
    decompress,
    has_linked_blocks,
    level_range,
)

COMPRESSING = [codec for codec in Codec if codec is not Codec.NONE]
TEXT = b"".join(b'{"id": %d, "name": "user%d"}' % (i, i * i) for i in range(12_000))
MIB = 1 << 20


@pytest.mark.parametrize("codec", Codec)
@pytest.mark.parametrize("size", [0, 1, 100, 32_767, 32_768, 32_769, 65_536, 65_537, 300_000])
@pytest.mark.parametrize("kind", ["text", "noise"])
def test_there_and_back(codec, size, kind):
    """
    What was compressed comes back, around every block size, and fits a limit of its own size.
    """
    data = TEXT[:size] if kind == "text" else os.urandom(size)

    compressed = compress(codec, data)

    assert data == decompress(codec, compressed, limit=size)
    assert bytes is type(compressed)


@given(st.sampled_from(list(Codec)), st.binary(max_size=400), st.integers(1, 50))
def test_there_and_back_at_random(codec, data, times):
    """
    Any bytes come back.
    """
    data *= times

    assert data == decompress(codec, compress(codec, data), limit=len(data))


@pytest.mark.parametrize("codec", Codec)
@pytest.mark.parametrize("kind", [bytes, bytearray, memoryview, lambda b: memoryview(bytearray(b))])
def test_any_buffer(codec, kind):
    """
    Buffers of every kind are compressed and decompressed alike.
    """
    compressed = compress(codec, kind(TEXT))

    assert compress(codec, TEXT) == compressed
    assert decompress(codec, kind(compressed)) == TEXT


@pytest.mark.parametrize("codec", Codec)
def test_limit(codec):
    """
    One byte more than the limit is refused, and the message has codec and limit.
    """
    compressed = compress(codec, TEXT)

    with pytest.raises(CorruptRecord, match=f"^{CODEC_NAMES[codec]}: .*{len(TEXT) - 1}"):
        decompress(codec, compressed, limit=len(TEXT) - 1)


@pytest.mark.parametrize("codec", [Codec.GZIP, Codec.LZ4, Codec.ZSTD])
def test_every_end_of_the_level_range_works(codec):
    """
    The lowest, highest and default level give data that comes back; a level matters.
    """
    low, high, default = level_range(codec)

    sizes = {level: len(compress(codec, TEXT, level)) for level in (low, high, default)}

    for level in sizes:
        assert decompress(codec, compress(codec, TEXT, level)) == TEXT
    assert sizes[high] < sizes[low]
    assert compress(codec, TEXT) == compress(codec, TEXT, default)


@pytest.mark.parametrize(("codec", "level"), [(Codec.GZIP, 10), (Codec.SNAPPY, 1), (Codec.NONE, 0)])
def test_illegal_level(codec, level):
    """
    A level that the codec does not take is refused.
    """
    with pytest.raises(ValueError, match=CODEC_NAMES[codec]):
        compress(codec, b"data", level)


def test_lz4_levels_mean_what_they_mean_in_java():
    """
    Level 9, the default, is the fast compressor, so that level 1, a high one, packs tighter.
    """
    fast = compress(Codec.LZ4, TEXT, 9)

    assert len(compress(Codec.LZ4, TEXT, 1)) < len(fast)
    assert compress(Codec.LZ4, TEXT, 1) == compress(Codec.LZ4, TEXT, 3)
    assert compress(Codec.LZ4, TEXT, 17) == compress(Codec.LZ4, TEXT, 12)


@pytest.mark.parametrize("codec", COMPRESSING)
def test_threads(codec):
    """
    Threads that compress and decompress at once do not disturb each other.
    """
    inputs = [TEXT[i * 1000 : i * 1000 + 50_000] for i in range(8)] * 8

    def there_and_back(data: bytes) -> bytes:
        return decompress(codec, compress(codec, data))

    with ThreadPoolExecutor(8) as pool:
        assert inputs == list(pool.map(there_and_back, inputs))


REFUSED = None


def verdict(codec: Codec, data: bytes | bytearray, limit: int) -> bytes | None:
    """The content, or REFUSED where the error is ours and starts with the codec's name."""
    try:
        return decompress(codec, data, limit=limit)
    except CorruptRecord as error:
        if not str(error).startswith(f"{CODEC_NAMES[codec]}: "):
            raise
    return REFUSED


@pytest.mark.parametrize("codec", COMPRESSING)
def test_cut_off_data(codec):
    """
    Compressed data cut off at any byte is refused; a codec of blocks may end at a block's end.
    """
    data = TEXT[:70_000]
    compressed = compress(codec, data)
    cuts = [
        *range(40),
        *range(len(compressed) - 40, len(compressed)),
        *range(40, len(compressed), 97),
    ]

    for cut in cuts:
        got = verdict(codec, compressed[:cut], DECOMPRESSION_LIMIT)
        if got is not REFUSED:
            # The xerial frame has neither a length nor an end mark.
            assert codec is Codec.SNAPPY
            assert len(got) % 32_768 == 0
            assert data.startswith(got)


@pytest.mark.parametrize("codec", COMPRESSING)
def test_every_flipped_byte(codec):
    """
    With any byte changed, data is refused by name or unfolds within the limit: nothing else.
    """
    data = TEXT[:1500]
    compressed = compress(codec, data)
    verdicts = []

    for place in range(len(compressed)):
        for change in (0x01, 0x80, 0xFF):
            broken = bytearray(compressed)
            broken[place] ^= change
            verdicts.append(verdict(codec, broken, 5000))

    assert REFUSED in verdicts
    assert max(len(content) for content in verdicts if content is not REFUSED) <= 5000


STARTS = {
    Codec.GZIP: b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\x03",
    Codec.SNAPPY: b"\x82SNAPPY\x00\x00\x00\x00\x01\x00\x00\x00\x01",
    Codec.LZ4: b"\x04\x22\x4d\x18\x60\x40\x82",
    Codec.ZSTD: b"\x28\xb5\x2f\xfd",
}


@settings(max_examples=300)
@given(st.sampled_from(COMPRESSING), st.booleans(), st.binary(max_size=60))
def test_noise(codec, started, noise):
    """
    Noise, bare or behind a right beginning, is refused by name or unfolds within the limit.
    """
    data = STARTS[codec] + noise if started else noise
    content = verdict(codec, data, MIB)

    assert content is REFUSED or len(content) <= MIB


MEMORY_OF_A_BOMB = """
import pathlib, re, resource, sys
from pyproducer.errors import CorruptRecord
from pyproducer.records.compression import Codec, decompress
def peak():
    status = pathlib.Path("/proc/self/status")
    if status.exists():  # Linux gives a child the ru_maxrss of its parent to start from.
        return int(re.search(r"VmHWM:\\s+(\\d+) kB", status.read_text())[1]) * 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)
codec, limit, whole = Codec(int(sys.argv[1])), int(sys.argv[2]), int(sys.argv[3])
bomb = sys.stdin.buffer.read()
idle = peak()
try:
    decompress(codec, bomb, limit=limit)
except CorruptRecord as error:
    print(error)
refused = peak()
assert len(decompress(codec, bomb, limit=whole)) == whole
print(refused - idle, peak() - idle)
"""


FOREIGN = {
    Codec.SNAPPY: lambda data: bytes(cramjam.snappy.compress_raw(data)),
    Codec.ZSTD: lambda data: zstandard.ZstdCompressor(write_content_size=False).compress(data),
}


@pytest.mark.skipif(sys.platform == "win32", reason="needs the resource module")
@pytest.mark.parametrize(
    ("codec", "make"),
    [(codec, partial(compress, codec)) for codec in COMPRESSING] + list(FOREIGN.items()),
    ids=[f"ours-{CODEC_NAMES[codec]}" for codec in COMPRESSING]
    + [f"foreign-{CODEC_NAMES[codec]}" for codec in FOREIGN],
)
def test_bomb_is_refused_while_it_unfolds(codec, make):
    """
    128 MiB of zeros behind a limit of 4 MiB take a few times the limit, not the whole.

    The foreign form is raw snappy, and zstd that does not say its size. To show that the
    measure sees it, the same child then unfolds all of it.
    """
    size = 128 * MIB

    done = subprocess.run(
        [sys.executable, "-c", MEMORY_OF_A_BOMB, str(int(codec)), str(4 * MIB), str(size)],
        input=make(bytes(size)),
        capture_output=True,
        check=False,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
        timeout=60,
    )

    assert b"" == done.stderr
    said, grown = done.stdout.decode().splitlines()
    refused, whole = map(int, grown.split())
    assert said.startswith(CODEC_NAMES[codec])
    assert said.endswith(f"more than {4 * MIB} bytes")
    assert refused < 20 * MIB
    assert whole > 100 * MIB


def test_default_limit():
    """
    Where no limit is given there is one.
    """
    assert DECOMPRESSION_LIMIT == 128 * MIB
    with pytest.raises(CorruptRecord, match=str(DECOMPRESSION_LIMIT)):
        decompress(Codec.ZSTD, compress(Codec.ZSTD, bytes(DECOMPRESSION_LIMIT + 1)))


@pytest.mark.parametrize("codec", Codec)
def test_our_own_blocks_are_never_linked(codec):
    """
    What we compress has no linked blocks, whatever the codec.
    """
    assert not has_linked_blocks(codec, compress(codec, TEXT))
