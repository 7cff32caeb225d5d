"""CRC32C over any buffers."""

from __future__ import annotations

import ctypes
import gc
import random
from importlib import import_module
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pyproducer.records import crc
from pyproducer.records.crc import crc32c
from tests.helpers.compiled_scan import COMPILED_SCAN, needs_compiled_scan

# RFC 3720, appendix B.4.
VECTORS = [
    (b"\x00" * 32, 0x8A9136AA),
    (b"\xff" * 32, 0x62A8AB43),
    (bytes(range(32)), 0x46DD794E),
    (bytes(reversed(range(32))), 0x113FDB5C),
    (b"123456789", 0xE3069283),
    (b"", 0),
]


@pytest.mark.parametrize(("data", "expected"), VECTORS)
@pytest.mark.parametrize("kind", [bytes, bytearray, memoryview, lambda b: memoryview(bytearray(b))])
def test_known_values(data, expected, kind):
    """
    The published values come out, whatever kind of buffer holds the data.
    """
    assert expected == crc32c(kind(data))


@given(st.binary(max_size=300), st.lists(st.integers(0, 300), max_size=5))
def test_pieces_are_summed_as_if_joined(data, cuts):
    """
    Buffers of mixed kinds give the sum of their joined bytes.
    """
    kinds = [bytes, bytearray, memoryview, lambda b: memoryview(bytearray(b))]
    ends = sorted({min(cut, len(data)) for cut in cuts} | {0, len(data)})
    pieces = [data[a:b] for a, b in pairwise(ends)]

    buffers = [kinds[i % 4](piece) for i, piece in enumerate(pieces)]

    assert crc32c(data) == crc32c(*buffers)


def test_views_of_part_of_a_buffer():
    """
    A view counts its own bytes only, also beyond the size of one copied piece.
    """
    data = bytes(range(256)) * 1000

    for whole in (data, bytearray(data)):
        view = memoryview(whole)[3:200_003]
        assert crc32c(data[3:200_003]) == crc32c(view)
        assert crc32c(data) == crc32c(memoryview(whole))


def test_views_of_wider_items():
    """
    A view of items wider than a byte is summed byte by byte.
    """
    data = bytes(range(64))

    assert crc32c(data) == crc32c(memoryview(bytearray(data)).cast("I"))


def test_extension_types():
    """
    An object of an extension type whose buffer needs no release is summed as it stands.
    """
    array = (ctypes.c_char * 9).from_buffer_copy(b"123456789")

    assert crc32c(array) == 0xE3069283


@pytest.mark.parametrize("size", [16 * 1024, 16 * 1024 + 1, 64 * 1024 + 1, 300_000])
def test_large_views_with_and_without_the_compiled_pin(size, monkeypatch):
    """
    A large view has the sum of its bytes, pinned as well as copied piece by piece.
    """
    data = random.Random(size).randbytes(size)
    view = memoryview(bytearray(b"before" + data + b"behind"))[6:-6]

    sums = {crc32c(view)}
    monkeypatch.setattr(crc, "pinned", None)
    sums.add(crc32c(view))

    assert {crc32c(data)} == sums


@needs_compiled_scan
def test_what_is_pinned_stays_where_it_is():
    """
    Memory cannot be moved while a pin or a view of one lives, and can once they are gone.
    """
    memory = bytearray(b"0123456789")
    pin = import_module(COMPILED_SCAN).Pinned(memoryview(memory)[2:5])
    view = memoryview(pin)
    del pin

    assert view.readonly
    assert view == b"234"
    with pytest.raises(BufferError):
        memory.extend(bytes(1000))
    del view
    gc.collect()
    memory.extend(bytes(1000))


@needs_compiled_scan
def test_what_has_no_bytes_cannot_be_pinned():
    """
    A pin of something without a buffer, or of a view in steps, is refused.
    """
    pinned = import_module(COMPILED_SCAN).Pinned

    with pytest.raises(TypeError, match="bytes-like"):
        pinned("text")
    with pytest.raises(BufferError):
        pinned(memoryview(b"0123456789")[::2])
