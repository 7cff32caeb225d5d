"""Headers of complete batches: both twins against packing in two steps."""

from __future__ import annotations

from importlib import import_module

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pyproducer.records.batch import pack_header
from pyproducer.records.crc import crc32c
from tests.helpers.accelerator import is_built

COMPILED = "pyproducer.records._seal"


def signed(bits):
    return st.integers(-(1 << (bits - 1)), (1 << (bits - 1)) - 1)


@pytest.fixture(params=["pyproducer.records._seal_py", COMPILED], scope="module")
def seal_header(request):
    """
    The function of each twin that is there.
    """
    if request.param == COMPILED and not is_built(COMPILED):
        pytest.skip("there is no compiled twin")
    return import_module(request.param).seal_header


@pytest.mark.parametrize("kind", [bytes, bytearray, memoryview])
@given(
    st.binary(max_size=300),
    signed(16),
    st.integers(1, 1 << 30),
    signed(64),
    signed(64),
    signed(64),
    signed(16),
    signed(32),
)
def test_a_sealed_header_is_the_packed_one_with_the_crc(
    seal_header, kind, records, attributes, count, base, latest, producer_id, epoch, sequence
):
    """What seal_header() gives at once is what packing, summing and packing again gives."""
    fields = {
        "batch_length": 49 + len(records),
        "attributes": attributes,
        "last_offset_delta": count - 1,
        "base_timestamp": base,
        "max_timestamp": latest,
        "producer_id": producer_id,
        "producer_epoch": epoch,
        "base_sequence": sequence,
        "record_count": count,
    }
    crc = crc32c(pack_header(crc=0, **fields)[21:], records)

    sealed = seal_header(
        kind(records), attributes, count, base, latest, producer_id, epoch, sequence
    )

    assert pack_header(crc=crc, **fields) == sealed
