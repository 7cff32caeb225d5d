"""Checks the records of a batch that somebody else made, in one pass and without making objects."""

from __future__ import annotations

from typing import NamedTuple

from pyproducer.errors import CorruptRecord
from pyproducer.records.compression import DECOMPRESSION_LIMIT
from pyproducer.records.reader import Batch
from pyproducer.records.record import ScanSummary
from pyproducer.records.scan import scan_records

__all__ = ["ScanSummary", "ScannedBatch", "scan_batch", "scan_records"]


class ScannedBatch(NamedTuple):
    """A batch whose records are sound.

    Attributes:
        payload: the records, uncompressed; a view of the batch where they were never compressed.
        summary: what the scan found.
    """

    payload: bytes | memoryview
    summary: ScanSummary


def scan_batch(batch: Batch, *, limit: int = DECOMPRESSION_LIMIT) -> ScannedBatch:
    """Decompresses and scans the records of a batch. The checksum is left to ``verify``.

    Args:
        batch: the batch.
        limit: bytes that compressed records may unfold to.

    Raises:
        CorruptRecord: the compressed data or a record is broken, the record count does not
            hold, or the data unfolds to more than the limit.
    """
    header = batch.header
    payload = batch.payload(limit=limit)
    try:
        summary = scan_records(payload, header.record_count, header.base_timestamp)
    except CorruptRecord as error:
        raise CorruptRecord(f"batch at offset {header.base_offset}: {error}") from error
    return ScannedBatch(payload, summary)
