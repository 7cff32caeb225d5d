"""Every codec: there and back, by level, from several threads, and against hostile data."""

from __future__ import annotations

import os
import sys
import tracemalloc
from concurrent.futures import ThreadPoolExecutor

import pytest
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


@pytest.mark.parametrize("codec", COMPRESSING)
def test_cut_off_data(codec):
    """
    Compressed data cut off at any byte is refused; a codec of blocks may end at a block's end.
    """
    data = TEXT[:70_000]
    compressed = compress(codec, data)
    cuts = [*range(40), *range(len(compressed) - 40, len(compressed)), *range(40, len(compressed), 97)]

    for cut in cuts:
        try:
            got = decompress(codec, compressed[:cut])
        except CorruptRecord as error:
            assert str(error).startswith(f"{CODEC_NAMES[codec]}: ")
        else:
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
    verdicts = set()

    for place in range(len(compressed)):
        for change in (0x01, 0x80, 0xFF):
            broken = bytearray(compressed)
            broken[place] ^= change
            try:
                verdicts.add(len(decompress(codec, broken, limit=5000)) <= 5000)
            except CorruptRecord as error:
                verdicts.add(CODEC_NAMES[codec])
                assert str(error).startswith(f"{CODEC_NAMES[codec]}: ")

    assert CODEC_NAMES[codec] in verdicts
    assert verdicts <= {CODEC_NAMES[codec], True}


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
    try:
        assert len(decompress(codec, data, limit=MIB)) <= MIB
    except CorruptRecord as error:
        assert str(error).startswith(f"{CODEC_NAMES[codec]}: ")


@pytest.mark.parametrize("codec", COMPRESSING)
def test_bomb_is_refused_while_it_unfolds(codec):
    """
    256 MiB of zeros behind a limit of 4 MiB take no more memory than a few times the limit.

    The high-water mark of the whole process is taken, since the libraries allocate past Python.
    """
    resource = pytest.importorskip("resource")
    bomb = compress(codec, bytes(256 * MIB))
    if codec is Codec.SNAPPY:
        assert len(bomb) > 256 * MIB // 22
    unit = 1 if sys.platform == "darwin" else 1024

    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit
    tracemalloc.start()
    try:
        with pytest.raises(CorruptRecord, match=f"^{CODEC_NAMES[codec]}: .* {4 * MIB} bytes"):
            decompress(codec, bomb, limit=4 * MIB)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    after = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit

    assert peak < 24 * MIB
    assert after - before < 32 * MIB


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
