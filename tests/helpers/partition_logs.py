"""Partition logs and batches for the tests of the broker's storage."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pyproducer.broker.log.append import AppendResult
from pyproducer.broker.log.config import LogConfig
from pyproducer.broker.log.filesystem import FileSystem, RealFileSystem
from pyproducer.broker.log.log import PartitionLog
from pyproducer.model import TopicPartition
from pyproducer.records.builder import build_batch
from pyproducer.records.codec import Codec
from pyproducer.records.reader import Batch, iter_batches
from pyproducer.records.record import Record
from tests.helpers.virtual_time import VirtualTime

TP = TopicPartition("orders", 0)
#: What a new VirtualTime shows.
NOW = VirtualTime().wall_ms()

_opened: list[PartitionLog] = []


def open_log(
    directory: Path,
    *,
    clock: VirtualTime | None = None,
    fs: FileSystem | None = None,
    clean: bool = False,
    recovery_point: int = 0,
    log_start_offset: int = 0,
    high_watermark: int | None = None,
    sparse: bool = True,
    **settings: Any,
) -> PartitionLog:
    """The log in a directory, opened as after a crash unless told otherwise."""
    log = PartitionLog.open(
        TP,
        directory,
        LogConfig(**settings),
        clock=clock or VirtualTime(),
        fs=fs or RealFileSystem(sync=False),
        clean=clean,
        recovery_point=recovery_point,
        log_start_offset=log_start_offset,
        high_watermark=high_watermark,
        sparse=sparse,
    )
    _opened.append(log)
    return log


def release_logs() -> None:
    """The files of every log opened so far are released, as the end of a process does."""
    while _opened:
        _opened.pop().abandon()


def batch(
    count: int = 1,
    *,
    time: int = NOW,
    times: Sequence[int] | None = None,
    value: bytes | None = b"value",
    key: bytes | None = b"key",
    codec: Codec = Codec.NONE,
    producer: tuple[int, int, int] = (-1, -1, -1),
    transactional: bool = False,
) -> bytes:
    """A client's batch; ``producer`` is producer id, epoch and first sequence."""
    stamps = times if times is not None else [time] * count
    return build_batch(
        [Record(0, stamp, key=key, value=value) for stamp in stamps],
        codec=codec,
        producer_id=producer[0],
        producer_epoch=producer[1],
        base_sequence=producer[2],
        transactional=transactional,
    )


def put(
    log: PartitionLog, data: bytes | None = None, *, leader_epoch: int = 0, **kind: Any
) -> AppendResult:
    """Validate and append a batch: the one given, or one made of ``kind``."""
    valid = log.validate(batch(**kind) if data is None else data, request_version=9)
    return log.append(valid, leader_epoch=leader_epoch)


def dropped(log: PartitionLog) -> int:
    """Apply retention as the log manager does it; how many segments went."""
    log.retain()
    return log.drop_passed()


def batches_of(log: PartitionLog, offset: int | None = None) -> list[Batch]:
    """Every batch that a consumer gets from ``offset`` on."""
    found: list[Batch] = []
    at = log.log_start_offset if offset is None else offset
    while data := log.read(at, 1 << 20):
        found.extend(iter_batches(data))
        at = found[-1].header.next_offset
    return found


def records_of(log: PartitionLog, offset: int | None = None) -> list[Record]:
    """Every record that a consumer gets from ``offset`` on."""
    start = log.log_start_offset if offset is None else offset
    return [
        record
        for one in batches_of(log, offset)
        for record in one.records()
        if record.offset >= start
    ]


def state_of(log: PartitionLog) -> dict[int, Any]:
    """What the log knows of its producers, without the time of appending."""
    return {
        entry.producer_id: (
            entry.epoch,
            tuple(entry.batches),
            entry.last_timestamp,
            entry.coordinator_epoch,
            entry.txn_first_offset,
        )
        for entry in log.producers()
    }
