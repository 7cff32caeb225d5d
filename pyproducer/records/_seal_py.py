"""Headers of complete batches, in Python: see ``seal.py``, and its twin in Cython."""

from __future__ import annotations

import struct
from typing import Final

from pyproducer.model import Buffer
from pyproducer.records.batch import MAGIC, MIN_BATCH_LENGTH
from pyproducer.records.crc import crc32c

__all__ = ["seal_header"]

#: The header in two parts: what the CRC does not cover, and what it does.
_UNSUMMED: Final = struct.Struct(">qiibI")
_SUMMED: Final = struct.Struct(">hiqqqhii")


def seal_header(
    records: Buffer,
    attributes: int,
    record_count: int,
    base_timestamp: int,
    max_timestamp: int,
    producer_id: int,
    producer_epoch: int,
    base_sequence: int,
) -> bytes:
    """The header of records that are complete, as a producer sends it: with their CRC."""
    summed = _SUMMED.pack(
        attributes,
        record_count - 1,
        base_timestamp,
        max_timestamp,
        producer_id,
        producer_epoch,
        base_sequence,
        record_count,
    )
    crc = crc32c(summed, records)
    return _UNSUMMED.pack(0, MIN_BATCH_LENGTH + len(records), -1, MAGIC, crc) + summed
