"""Batches out of bytes: whole, cut off, damaged, compressed, old."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pyproducer.errors import CorruptRecord
from pyproducer.model import TimestampType
from pyproducer.records.batch import CRC_POSITION, HEADER_SIZE, pack_attributes
from pyproducer.records.builder import build_batch, seal_batch
from pyproducer.records.codec import Codec
from pyproducer.records.compression import compress
from pyproducer.records.reader import Batch, iter_batches, read_batch
from pyproducer.records.record import Record
from tests.helpers.record_batches import NOON, every_shape, record_lists


def only(data: bytes) -> Batch:
    """The one batch of the data."""
    [batch] = iter_batches(data)
    return batch


def read_all(data: bytes) -> list[Record]:
    """Everything the data holds, verified."""
    records: list[Record] = []
    for batch in iter_batches(data):
        batch.verify()
        records += batch.records(limit=10**6)
    return records


@pytest.mark.parametrize("codec", Codec)
@pytest.mark.parametrize("kind", [bytes, bytearray, memoryview])
def test_every_shape_by_every_codec(codec, kind):
    """
    What was built is read back, from any kind of buffer.
    """
    records = every_shape(base_offset=500)

    assert records == read_all(kind(build_batch(records, base_offset=500, codec=codec)))


@given(record_lists(), st.sampled_from(list(Codec)), st.integers(0, 2**62))
def test_random_records(records, codec, base_offset):
    """
    Any records are read back with their offsets.
    """
    expected = [record._replace(offset=base_offset + record.offset) for record in records]

    assert expected == read_all(build_batch(records, base_offset=base_offset, codec=codec))


def test_batches_are_views_of_the_buffer():
    """
    Cutting copies nothing: a batch shares its bytes with the buffer, an uncompressed payload too.
    """
    data = bytearray(build_batch([Record(0, NOON, value=b"abc")]))
    batch = only(data)

    data[-2] ^= 1

    assert batch.view.obj is data
    assert batch.payload().obj is data
    with pytest.raises(CorruptRecord, match="CRC32C"):
        batch.verify()


def test_batches_follow_each_other_and_the_last_may_be_cut():
    """
    All whole batches come, in order; one cut off at any byte of it ends the iteration quietly.
    """
    first = build_batch([Record(0, NOON, value=b"1")], base_offset=0)
    second = build_batch([Record(0, NOON, value=b"2")] * 3, base_offset=1)

    for cut in range(len(second)):
        [batch] = iter_batches(first + second[:cut])
        assert batch.view == first
    found = list(iter_batches(first + second))
    assert [0, 1] == [batch.header.base_offset for batch in found]
    assert [len(first), len(second)] == [batch.header.size for batch in found]
    assert [] == list(iter_batches(b""))


def test_read_batch_at_a_position():
    """
    A batch in the middle of a buffer is read; past the end there is none.
    """
    data = build_batch([Record(0, NOON)])

    assert read_batch(b"xxx" + data, 3).view == data
    assert read_batch(data, len(data)) is None


@pytest.mark.parametrize("length", [-1, 0, 48, -(2**31)])
def test_impossible_length(length):
    """
    A batch too short for its own header is refused with its place, after those before it.
    """
    good = build_batch([Record(0, NOON)])
    bad = bytearray(good)
    bad[8:12] = length.to_bytes(4, "big", signed=True)
    batches = iter_batches(good + bad)

    assert next(batches).view == good
    with pytest.raises(CorruptRecord, match=rf"^byte {len(good)}: a batch length of {length},"):
        next(batches)


@pytest.mark.parametrize("magic", [0, 1, 3, 255])
def test_other_formats(magic):
    """
    Formats other than 2 are refused by number, even where the batch is cut off.
    """
    data = bytearray(build_batch([Record(0, NOON)]))
    data[16] = magic

    for part in (data, data[:17]):
        with pytest.raises(CorruptRecord, match=rf"^byte 0: record format {magic}; only format 2"):
            list(iter_batches(part))


def test_huge_length_waits_for_the_bytes():
    """
    A length of 2 GiB is a batch cut off, and nothing is allocated for it.
    """
    data = bytearray(build_batch([Record(0, NOON)]))
    data[8:12] = (2**31 - 1).to_bytes(4, "big")

    assert [] == list(iter_batches(data))


@pytest.mark.parametrize("codec", Codec)
def test_every_flipped_bit_after_the_crc_is_found(codec):
    """
    No changed bit of what the checksum covers, nor of the checksum, passes verify.
    """
    good = build_batch([Record(0, NOON, key=b"k", value=b"v" * 30)], codec=codec)

    only(good).verify()
    for place in range(CRC_POSITION, len(good)):
        for bit in range(8):
            broken = bytearray(good)
            broken[place] ^= 1 << bit
            with pytest.raises(CorruptRecord, match=r"CRC32C is 0x[0-9a-f]{8}, the header says"):
                only(broken).verify()


@pytest.mark.parametrize("codec", Codec)
def test_damage_that_the_crc_agrees_with(codec):
    """
    With the checksum made right again, any flipped byte is refused or read within the limit.
    """
    records = [Record(0, NOON, key=b"k", value=b"v" * 40), Record(1, NOON, headers=(("h", b"x"),))]
    good = build_batch(records, codec=codec)
    refused = []

    for place in range(HEADER_SIZE, len(good)):
        body = bytearray(good[HEADER_SIZE:])
        body[place - HEADER_SIZE] ^= 0x83
        batch = only(
            seal_batch(
                body,
                record_count=2,
                last_offset_delta=1,
                attributes=pack_attributes(codec),
                base_timestamp=NOON,
                max_timestamp=NOON,
                base_offset=77,
            )
        )
        batch.verify()
        try:
            assert len(list(batch.records(limit=1000))) == 2
        except CorruptRecord as error:
            refused.append(str(error))
    assert refused
    assert all(text.startswith("batch at offset 77: ") for text in refused)


@settings(max_examples=300)
@given(st.binary(max_size=120), st.booleans())
def test_noise(noise, headed):
    """
    Noise gives no batch, a batch that is refused, or a CorruptRecord: nothing else.
    """
    data = noise
    if headed:
        data = bytes(8) + (49 + len(noise)).to_bytes(4, "big") + b"\0\0\0\0\2" + bytes(44) + noise
    try:
        for batch in iter_batches(data):
            list(batch.records(limit=1000))
            batch.verify()
    except CorruptRecord:
        pass


@pytest.mark.parametrize(("count", "last"), [(-1, 0), (2, 0), (3, 1), (1, -1), (2**31 - 1, 5)])
def test_counts_that_do_not_fit(count, last):
    """
    More records than offsets, or fewer than none, do not verify.
    """
    data = seal_batch(
        b"",
        record_count=count,
        last_offset_delta=last,
        attributes=0,
        base_timestamp=0,
        max_timestamp=0,
    )

    with pytest.raises(CorruptRecord, match=f"{count} records with a last offset delta of {last}"):
        only(data).verify()


def test_batch_that_compaction_emptied():
    """
    A batch without records but with offsets verifies, and has none.
    """
    data = seal_batch(
        b"",
        record_count=0,
        last_offset_delta=9,
        attributes=0,
        base_timestamp=-1,
        max_timestamp=NOON,
        base_offset=30,
    )
    batch = only(data)

    batch.verify()
    assert [] == list(batch.records())
    assert 40 == batch.header.next_offset


def test_unknown_codec_does_not_verify():
    """
    A codec number that does not exist is refused, by verify and by records.
    """
    data = seal_batch(
        b"",
        record_count=0,
        last_offset_delta=0,
        attributes=6,
        base_timestamp=0,
        max_timestamp=0,
    )

    with pytest.raises(CorruptRecord, match="codec 6 does not exist"):
        only(data).verify()
    with pytest.raises(CorruptRecord, match="codec 6 does not exist"):
        only(data).records()


def test_log_append_time():
    """
    With the broker's timestamp, every record has the batch's largest, and says whose it is.
    """
    data = build_batch(
        [Record(0, NOON), Record(1, NOON - 5)],
        timestamp_type=TimestampType.LOG_APPEND_TIME,
        max_timestamp=NOON + 1000,
    )

    assert [(NOON + 1000, TimestampType.LOG_APPEND_TIME)] * 2 == [
        (record.timestamp_ms, record.timestamp_type) for record in only(data).records()
    ]


def test_flags():
    """
    Control and transactional batches say so; their records are given all the same.
    """
    marker = Record(0, NOON, key=b"\x00\x00\x00\x01", value=b"\x00\x00\x00\x00\x00\x00")
    batch = only(build_batch([marker], transactional=True, control=True, producer_id=4))

    assert batch.header.is_control
    assert batch.header.is_transactional
    assert [marker] == list(batch.records())


@pytest.mark.parametrize("codec", [codec for codec in Codec if codec is not Codec.NONE])
def test_limit(codec):
    """
    Compressed records beyond the limit are refused with the batch's offset and the codec.
    """
    batch = only(build_batch([Record(0, NOON, value=bytes(5000))], base_offset=3, codec=codec))

    with pytest.raises(CorruptRecord, match=f"^batch at offset 3: {codec.name.lower()}: .*1000"):
        batch.records(limit=1000)


def test_broken_record_has_its_index():
    """
    The message of a broken record has the batch's offset and the record's index.
    """
    body = bytes.fromhex("0c000000010100") + b"\x0c\x00\x00\x02\x01\x09\x00"
    data = seal_batch(
        compress(Codec.GZIP, body),
        record_count=2,
        last_offset_delta=1,
        attributes=pack_attributes(Codec.GZIP),
        base_timestamp=NOON,
        max_timestamp=NOON,
        base_offset=12,
    )

    with pytest.raises(CorruptRecord, match=r"^batch at offset 12: record 1 \(byte 7 .*value"):
        only(data).records()


def test_repr():
    """
    A batch shows its offsets, count and size.
    """
    data = build_batch([Record(0, NOON), Record(1, NOON)], base_offset=5)

    assert repr(only(data)) == f"<Batch offsets 5-6: 2 records in {len(data)} bytes>"
