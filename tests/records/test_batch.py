"""The batch header: its layout and what is derived from it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pyproducer.errors import CorruptRecord
from pyproducer.model import TimestampType
from pyproducer.records.batch import (
    HEADER_SIZE,
    SEQUENCE_MODULUS,
    BatchHeader,
    pack_attributes,
    pack_header,
    read_header,
)
from pyproducer.records.codec import Codec


def signed(bits: int) -> st.SearchStrategy[int]:
    return st.integers(-(1 << (bits - 1)), (1 << (bits - 1)) - 1)


FIELDS = {
    "base_offset": signed(64),
    "batch_length": signed(32),
    "leader_epoch": signed(32),
    "magic": signed(8),
    "crc": st.integers(0, 2**32 - 1),
    "attributes": signed(16),
    "last_offset_delta": signed(32),
    "base_timestamp": signed(64),
    "max_timestamp": signed(64),
    "producer_id": signed(64),
    "producer_epoch": signed(16),
    "base_sequence": signed(32),
    "record_count": signed(32),
}


def header(**fields: int) -> BatchHeader:
    plain = {
        "batch_length": 49,
        "crc": 0,
        "attributes": 0,
        "last_offset_delta": 0,
        "base_timestamp": 0,
        "max_timestamp": 0,
        "record_count": 1,
    }
    return read_header(pack_header(**(plain | fields)))


def test_layout():
    """
    Every field stands at its place, big endian.
    """
    packed = pack_header(
        base_offset=0x0102030405060708,
        batch_length=0x11121314,
        leader_epoch=0x21222324,
        crc=0xF1F2F3F4,
        attributes=0x3132,
        last_offset_delta=0x41424344,
        base_timestamp=0x5152535455565758,
        max_timestamp=0x6162636465666768,
        producer_id=0x7172737475767778,
        producer_epoch=0x0A0B,
        base_sequence=0x1A1B1C1D,
        record_count=0x2A2B2C2D,
    )

    assert packed == bytes.fromhex(
        "0102030405060708 11121314 21222324 02 f1f2f3f4 3132 41424344"
        "5152535455565758 6162636465666768 7172737475767778 0a0b 1a1b1c1d 2a2b2c2d"
    )


def test_defaults():
    """
    A header without producer or broker has -1 for their fields, and offset 0.
    """
    fresh = header()

    assert (0, -1, 2) == (fresh.base_offset, fresh.leader_epoch, fresh.magic)
    assert (-1, -1, -1) == (fresh.producer_id, fresh.producer_epoch, fresh.base_sequence)


@given(st.fixed_dictionaries(FIELDS), st.binary(max_size=9))
def test_there_and_back(fields, before):
    """
    Any field values come back, read from any position.
    """
    data = before + pack_header(**fields)

    assert BatchHeader(**fields) == read_header(data, len(before))
    assert BatchHeader(**fields) == read_header(memoryview(bytearray(data)), len(before))


@pytest.mark.parametrize(("size", "position"), [(0, 0), (60, 0), (61, 1), (10, 30)])
def test_too_short(size, position):
    """
    Fewer bytes than a header has are refused.
    """
    left = max(0, size - position)
    with pytest.raises(CorruptRecord, match=f"takes 61 bytes, only {left} are left"):
        read_header(bytes(size), position)


@pytest.mark.parametrize("codec", Codec)
@pytest.mark.parametrize("kind", TimestampType)
@pytest.mark.parametrize("transactional", [True, False])
@pytest.mark.parametrize("control", [True, False])
def test_attributes(codec, kind, transactional, control):
    """
    What the attributes were packed from is read back, with Kafka's bits.
    """
    attributes = pack_attributes(codec, kind, transactional=transactional, control=control)
    read = header(attributes=attributes)

    assert attributes == codec | kind << 3 | transactional << 4 | control << 5
    assert (codec, kind) == (read.codec, read.timestamp_type)
    assert (transactional, control) == (read.is_transactional, read.is_control)


@pytest.mark.parametrize("number", [5, 6, 7])
def test_unknown_codec(number):
    """
    A codec that does not exist is refused where it is asked for.
    """
    with pytest.raises(CorruptRecord, match=f"offset 9: compression codec {number}"):
        _ = header(attributes=number, base_offset=9).codec


def test_offsets_and_size():
    """
    Size counts the 12 bytes before the length; offsets end with the last delta.
    """
    read = header(batch_length=100, base_offset=40, last_offset_delta=9)

    assert (112, 49, 50) == (read.size, read.last_offset, read.next_offset)
    assert HEADER_SIZE == header().size


@pytest.mark.parametrize(
    ("base", "delta", "last"),
    [
        (-1, 5, -1),
        (0, 0, 0),
        (7, 3, 10),
        (SEQUENCE_MODULUS - 2, 1, SEQUENCE_MODULUS - 1),
        (SEQUENCE_MODULUS - 2, 2, 0),
        (SEQUENCE_MODULUS - 1, 4, 3),
    ],
)
def test_last_sequence_wraps_to_zero(base, delta, last):
    """
    After 2**31-1 comes sequence 0.
    """
    assert last == header(base_sequence=base, last_offset_delta=delta).last_sequence
