"""The scan of a whole batch, compressed or not."""

from __future__ import annotations

import pytest

from pyproducer.errors import CorruptRecord
from pyproducer.records.batch import pack_attributes
from pyproducer.records.builder import build_batch, seal_batch
from pyproducer.records.codec import Codec
from pyproducer.records.compression import compress
from pyproducer.records.reader import read_batch
from pyproducer.records.record import Record
from pyproducer.records.validation import ScanSummary, scan_batch
from tests.helpers.record_batches import NOON, every_shape


@pytest.mark.parametrize("codec", Codec)
def test_summary_and_payload(codec):
    """
    The summary is the same for every codec, and the payload is the uncompressed one.
    """
    records = every_shape()
    plain = read_batch(build_batch(records)).payload()

    found = scan_batch(read_batch(build_batch(records, codec=codec)))

    assert plain == found.payload
    assert ScanSummary(NOON + 2**33, 5, NOON - 70_000, 1, True) == found.summary


@pytest.mark.parametrize("codec", Codec)
@pytest.mark.parametrize("declared", [0, 12, 14])
def test_count_that_does_not_hold(codec, declared):
    """
    Fewer or more records than declared are refused with the batch's offset.
    """
    body = bytes(read_batch(build_batch(every_shape())).payload())
    data = seal_batch(
        compress(codec, body),
        record_count=declared,
        last_offset_delta=20,
        attributes=pack_attributes(codec),
        base_timestamp=NOON,
        max_timestamp=NOON,
        base_offset=4,
    )

    with pytest.raises(CorruptRecord, match=r"^batch at offset 4: record \d+ .*(left over|more)"):
        scan_batch(read_batch(data))


def test_limit():
    """
    The limit holds here as well.
    """
    data = build_batch([Record(0, NOON, value=bytes(5000))], codec=Codec.LZ4)

    with pytest.raises(CorruptRecord, match=r"lz4: .*more than 1000"):
        scan_batch(read_batch(data), limit=1000)
