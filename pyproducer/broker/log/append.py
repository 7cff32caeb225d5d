"""What goes to disk for a batch, and what its producer is told."""

from __future__ import annotations

import struct
from typing import Final, NamedTuple

from pyproducer.broker.log.config import LogConfig
from pyproducer.broker.log.producer_state import BatchMeta
from pyproducer.broker.log.validation import ValidBatch
from pyproducer.model import Buffer, TimestampType

__all__ = ["AppendResult", "stored_buffers"]

#: What of a batch is outside its CRC and belongs to the broker: base offset, length, epoch.
_PREFIX: Final = struct.Struct(">qii")


class AppendResult(NamedTuple):
    """Where an appended batch is.

    Attributes:
        base_offset: Offset of its first record.
        last_offset: Offset of its last record; acknowledge acks=all once the high watermark
            is above it, duplicate or not.
        log_append_time_ms: The timestamp that the broker gave its records, or -1.
        log_start_offset: The log's.
        duplicate: It was in the log already, and nothing was written.
    """

    base_offset: int
    last_offset: int
    log_append_time_ms: int
    log_start_offset: int
    duplicate: bool

    @classmethod
    def repeated(cls, batch: BatchMeta, config: LogConfig, log_start_offset: int) -> AppendResult:
        """The answer for a batch that is in the log already."""
        by_broker = config.message_timestamp_type is TimestampType.LOG_APPEND_TIME
        return cls(
            batch.first_offset,
            batch.last_offset,
            batch.timestamp if by_broker else -1,
            log_start_offset,
            duplicate=True,
        )


def stored_buffers(batch: ValidBatch, base_offset: int, leader_epoch: int) -> list[Buffer]:
    """The bytes of the batch at its place in the log; the records are not copied."""
    return [_PREFIX.pack(base_offset, batch.header.batch_length, leader_epoch), *batch.content]
