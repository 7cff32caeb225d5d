"""Variable-length integers."""

from __future__ import annotations

from io import BytesIO

import pytest
from hypothesis import given
from hypothesis import strategies as st
from kio.serial.writers import write_signed_varint, write_signed_varlong

from pyproducer.records.varint import write_varint


def written(value: int) -> bytes:
    out = bytearray()
    write_varint(out, value)
    return bytes(out)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (0, "00"),
        (-1, "01"),
        (1, "02"),
        (63, "7e"),
        (-64, "7f"),
        (64, "8001"),
        (-65, "8101"),
        (2**31 - 1, "feffffff0f"),
        (-(2**31), "ffffffff0f"),
        (2**63 - 1, "feffffffffffffffff01"),
        (-(2**63), "ffffffffffffffffff01"),
    ],
)
def test_known_values(value, expected):
    """
    Zigzag, seven bits to a byte, the low end first.
    """
    assert bytes.fromhex(expected) == written(value)


@given(st.integers(-(2**31), 2**31 - 1))
def test_equal_to_kio_in_32_bits(value):
    """
    Another implementation writes the same bytes for every int32.
    """
    peer = BytesIO()
    write_signed_varint(peer, value)

    assert peer.getvalue() == written(value)


@given(st.integers(-(2**63), 2**63 - 1))
def test_equal_to_kio_in_64_bits(value):
    """
    Another implementation writes the same bytes for every int64.
    """
    peer = BytesIO()
    write_signed_varlong(peer, value)

    assert peer.getvalue() == written(value)
