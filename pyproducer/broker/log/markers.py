"""Control batches that end transactions: one record, its key the outcome, both ways."""

from __future__ import annotations

import struct
from typing import Final

from pyproducer.broker.log.config import LogConfig
from pyproducer.broker.log.producer_state import EndMarker
from pyproducer.broker.log.validation import ValidBatch, own_batch
from pyproducer.model import TimestampType
from pyproducer.records.builder import build_batch
from pyproducer.records.reader import Batch
from pyproducer.records.record import Record

__all__ = ["end_marker", "marker_batch"]

#: Version and type of the control record.
_KEY: Final = struct.Struct(">hh")
#: Version and coordinator epoch.
_VALUE: Final = struct.Struct(">hi")
_VERSION: Final = 0
_ABORT: Final = 0
_COMMIT: Final = 1


def marker_batch(
    producer_id: int, epoch: int, marker: EndMarker, config: LogConfig, *, now_ms: int
) -> ValidBatch:
    """The batch that ends the producer's transaction, as the log stores it."""
    record = Record(
        0,
        now_ms,
        key=_KEY.pack(_VERSION, _COMMIT if marker.commit else _ABORT),
        value=_VALUE.pack(_VERSION, marker.coordinator_epoch),
    )
    batch = build_batch(
        [record],
        producer_id=producer_id,
        producer_epoch=epoch,
        transactional=True,
        control=True,
        timestamp_type=config.message_timestamp_type,
    )
    by_broker = config.message_timestamp_type is TimestampType.LOG_APPEND_TIME
    return own_batch(batch, config, log_append_time_ms=now_ms if by_broker else -1)


def end_marker(batch: Batch) -> EndMarker | None:
    """What a control batch says about a transaction; None for other kinds of control batch."""
    for record in batch.records():
        key, value = record.key or b"", record.value or b""
        if len(key) < _KEY.size or len(value) < _VALUE.size:
            return None
        kind = _KEY.unpack_from(key)[1]
        if kind in {_COMMIT, _ABORT}:
            return EndMarker(kind == _COMMIT, _VALUE.unpack_from(value)[1])
    return None
