"""Batches built from records."""

from __future__ import annotations

import pytest

from pyproducer.model import TimestampType
from pyproducer.records.builder import build_batch
from pyproducer.records.codec import Codec
from pyproducer.records.compression import compress, decompress
from pyproducer.records.reader import Batch, iter_batches
from pyproducer.records.record import Record
from tests.helpers.record_batches import NOON, every_shape


def only(data: bytes) -> Batch:
    [batch] = iter_batches(data)
    batch.verify()
    return batch


def test_golden_bytes():
    """
    A batch, byte by byte.
    """
    built = build_batch(
        [Record(0, 1000, key=b"k", value=b"v"), Record(0, 1003, headers=(("h", None),))],
        base_offset=7,
        leader_epoch=2,
        producer_id=9,
        producer_epoch=1,
        base_sequence=5,
        transactional=True,
    )

    assert (
        built
        == bytes.fromhex(
            "0000000000000007"  # base offset
            "00000044"  # length: 49, and 9 + 10 of records
            "00000002"  # leader epoch
            "02"  # magic
            + built[17:21].hex()  # CRC, which verify checks
            + "0010"  # transactional
            "00000001"  # last offset delta
            "00000000000003e8"  # base timestamp
            "00000000000003eb"  # max timestamp
            "0000000000000009"  # producer id
            "0001"  # producer epoch
            "00000005"  # base sequence
            "00000002"  # records
            "10 00 00 00 02 6b 02 76 00"
            "12 00 06 02 01 01 02 02 68 01"
        )
    )
    only(built)


def test_header_follows_the_arguments():
    """
    Every argument is in the header that is read back.
    """
    header = only(
        build_batch(
            every_shape(),
            base_offset=100,
            codec=Codec.ZSTD,
            producer_id=2**40,
            producer_epoch=32767,
            base_sequence=2**31 - 1,
            control=True,
            timestamp_type=TimestampType.LOG_APPEND_TIME,
            max_timestamp=NOON + 1,
            leader_epoch=8,
        )
    ).header

    assert (100, 112, 13) == (header.base_offset, header.last_offset, header.record_count)
    assert (2**40, 32767, 2**31 - 1) == (
        header.producer_id,
        header.producer_epoch,
        header.base_sequence,
    )
    assert header.is_control
    assert not header.is_transactional
    assert (Codec.ZSTD, TimestampType.LOG_APPEND_TIME) == (header.codec, header.timestamp_type)
    assert (NOON, NOON + 1, 8) == (
        header.base_timestamp,
        header.max_timestamp,
        header.leader_epoch,
    )


def test_timestamps_of_the_header():
    """
    The base timestamp is the first record's, the maximum the largest, also below zero.
    """
    times = [-50, -20, -90]
    header = only(build_batch([Record(0, time) for time in times])).header

    assert (-50, -20) == (header.base_timestamp, header.max_timestamp)


def test_offsets_of_the_records_are_not_looked_at():
    """
    Records get the offsets from base_offset on, whatever theirs were.
    """
    built = build_batch([Record(90, NOON), Record(3, NOON)], base_offset=10)

    assert [10, 11] == [record.offset for record in only(built).records()]


@pytest.mark.parametrize("level", [1, 9])
def test_level(level):
    """
    The level reaches the codec.
    """
    records = every_shape()
    plain = bytes(only(build_batch(records)).payload())
    body = only(build_batch(records, codec=Codec.GZIP, level=level)).view[61:]

    assert body == compress(Codec.GZIP, plain, level)
    assert plain == decompress(Codec.GZIP, body)


def test_codec_is_used_where_it_does_not_shrink():
    """
    Even one tiny record is compressed when that was asked for.
    """
    assert Codec.GZIP is only(build_batch([Record(0, NOON)], codec=Codec.GZIP)).header.codec


def test_no_records():
    """
    A batch without records is refused.
    """
    with pytest.raises(ValueError, match="at least one record"):
        build_batch([])
