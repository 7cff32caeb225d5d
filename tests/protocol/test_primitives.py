"""Varints and tagged blocks."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pyproducer.protocol.primitives import Malformed, pack_uvarint, read_uvarint, skip_tags


@given(value=st.integers(0, 2**32 - 1), before=st.binary(max_size=3), after=st.binary(max_size=3))
def test_uvarint_round_trip(value, before, after):
    """What was packed is read back, and the position stands behind it."""
    packed = pack_uvarint(value)
    for buffer in (before + packed + after, memoryview(before + packed + after)):
        assert (value, len(before + packed)) == read_uvarint(buffer, len(before))
    assert len(packed) == max(1, -(-value.bit_length() // 7))


@pytest.mark.parametrize("data", ["", "80", "ffffffff"])
def test_uvarint_that_ends_early(data):
    """A varint cut short is an IndexError, which decoders report as a short message."""
    with pytest.raises(IndexError):
        read_uvarint(bytes.fromhex(data), 0)


@pytest.mark.parametrize("data", ["ffffffff10", "ffffffffff01", "8080808080808080"])
def test_uvarint_beyond_32_bits(data):
    """More than 32 bits are malformed."""
    with pytest.raises(Malformed):
        read_uvarint(bytes.fromhex(data), 0)


def test_skip_tags():
    """The position behind the block is found; a field that ends behind the buffer is refused."""
    block = bytes.fromhex("02 01 02 aabb 8101 00") + b"rest"
    assert len(block) - 4 == skip_tags(block, 1, len(block), block[0])
    with pytest.raises(Malformed, match="a tagged field of 9 bytes"):
        skip_tags(bytes.fromhex("01 01 09 aa"), 1, 4, 1)
