"""What is in the files of a log, one document after the other.

Each document is a dict with a `kind`: `file`, then what is in it: `batch`, `record`, `marker`,
`gap`, `damage`, `index`, `time_index`, `aborted`, `producer`, `epoch`, `offset`. Values are of
JSON's types, except that keys, values and headers are the bytes of the record.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final

from pyproducer.broker.log.aborted import unpack_aborted
from pyproducer.broker.log.checkpoints import CorruptCheckpointError, parse_lines
from pyproducer.broker.log.filesystem import offset_in
from pyproducer.broker.log.index import OFFSET_ENTRY, TIME_ENTRY, CorruptIndexError
from pyproducer.broker.log.markers import end_marker
from pyproducer.broker.log.producer_state import CorruptSnapshotError
from pyproducer.broker.offline.batches import Damage, fault_of, read_batches
from pyproducer.broker.offline.folders import CHECKPOINTS, EPOCHS, DataFolder, PartitionFolder
from pyproducer.broker.offline.indexes import read_entries
from pyproducer.broker.offline.producers import read_snapshot
from pyproducer.errors import CorruptRecord
from pyproducer.records.batch import CODEC_MASK, DELETE_HORIZON_BIT, SEQUENCE_MODULUS
from pyproducer.records.codec import CODEC_NAMES
from pyproducer.records.reader import Batch
from pyproducer.records.record import Record

Document = dict[str, Any]

_CONTROL_KEY: Final = struct.Struct(">hh")
#: Kinds of control record besides the ends of transactions, which are told in full.
_CONTROLS: Final = {
    2: "leader change",
    3: "snapshot header",
    4: "snapshot footer",
    5: "raft version",
    6: "voters",
}


class Dump:
    """The documents of a file, a partition's folder or a data directory.

    Args:
        path: Which.
        start: Offset before which batches are left out.
        limit: Most records; None is all. With either nothing but logs is told.
        records: Whether there are records, or batches only.
        advance: Told how many bytes of logs have been read.

    Attributes:
        damaged: Whether something could not be read.

    Raises:
        ValueError: It is nothing of a broker's.
    """

    def __init__(
        self,
        path: Path,
        *,
        start: int = 0,
        limit: int | None = None,
        records: bool = True,
        advance: Callable[[int], object],
    ) -> None:
        self.damaged = False
        self._path = path
        self._start = start
        self._left = limit
        self._records = records
        self._advance = advance
        self._logs_only = bool(start) or limit is not None
        self._data = None if path.is_file() else DataFolder.at(path)
        if self._data is None and path.suffix != ".log" and _reader(path) is None:
            raise ValueError(
                f"{path} is none of a broker's files: .log, .index, .timeindex, .txnindex, "
                f".snapshot, {EPOCHS}, {', '.join(CHECKPOINTS)}"
            )

    def size(self) -> int:
        """Bytes of all logs that will be read."""
        return self._path.stat().st_size if self._data is None else self._data.size()

    def documents(self) -> Iterator[Document]:
        """Everything, in the order of topics, partitions and offsets.

        Raises:
            OSError: Something cannot be read.
        """
        if self._data is None:
            yield from self._file(self._path)
            return
        if self._data.whole and not self._logs_only:
            for name in CHECKPOINTS:
                yield from self._file(self._data.path / name)
        for path in self._data.partitions:
            yield from self._partition(PartitionFolder.at(path))

    def _partition(self, folder: PartitionFolder) -> Iterator[Document]:
        following = [*folder.bases[1:], None]
        for base, behind in zip(folder.bases, following, strict=True):
            if self._left is not None and self._left <= 0:
                return
            log = folder.file(base, ".log")
            if behind is not None and behind <= self._start:
                self._advance(log.stat().st_size)
                continue
            yield from self._file(log)
            if not self._logs_only:
                for suffix in (".index", ".timeindex", ".txnindex"):
                    yield from self._file(folder.file(base, suffix))
        if not self._logs_only:
            for path in folder.snapshots().values():
                yield from self._file(path)
            yield from self._file(folder.path / EPOCHS)

    def _file(self, path: Path) -> Iterator[Document]:
        if not path.exists():
            return
        yield {"kind": "file", "path": str(path), "bytes": path.stat().st_size}
        if path.suffix == ".log":
            yield from self._log(path)
            return
        read = _reader(path)
        try:
            yield from read(path) if read else ()
        except (ValueError, CorruptIndexError, CorruptCheckpointError, CorruptSnapshotError) as e:
            self.damaged = True
            yield {"kind": "damage", "position": 0, "what": str(e)}

    def _log(self, path: Path) -> Iterator[Document]:
        following: int | None = None
        for position, found in read_batches(path, path.stat().st_size):
            if isinstance(found, Damage):
                self.damaged = True
                yield {"kind": "damage", "position": position, "what": found.what}
                return
            header = found.header
            self._advance(header.size)
            if header.last_offset < self._start:
                continue
            if self._left is not None and self._left <= 0:
                return
            if following is not None and header.base_offset > following:
                yield {"kind": "gap", "first": following, "last": header.base_offset - 1}
            following = header.next_offset
            fault = fault_of(found)
            yield _batch(position, found, fault)
            if fault is not None:
                self.damaged = True
                yield {"kind": "damage", "position": position, "what": fault}
            if self._records or header.is_control:
                yield from self._contents(found)

    def _contents(self, batch: Batch) -> Iterator[Document]:
        header, expected = batch.header, max(batch.header.base_offset, self._start)
        try:
            for record in batch.records():
                if record.offset < self._start:
                    continue
                if record.offset > expected:
                    yield {"kind": "gap", "first": expected, "last": record.offset - 1}
                expected = record.offset + 1
                if header.is_control:
                    yield _marker(batch, record)
                    continue
                if self._left is not None:
                    if self._left <= 0:
                        return
                    self._left -= 1
                yield _record(batch, record)
        except CorruptRecord:
            # Told already, with the batch.
            return
        if expected <= header.last_offset:
            yield {"kind": "gap", "first": expected, "last": header.last_offset}


def _batch(position: int, batch: Batch, fault: str | None) -> Document:
    header = batch.header
    codec = header.attributes & CODEC_MASK
    return {
        "kind": "batch",
        "position": position,
        "bytes": header.size,
        "first_offset": header.base_offset,
        "last_offset": header.last_offset,
        "records": header.record_count,
        "codec": next((n for one, n in CODEC_NAMES.items() if one == codec), codec),
        "crc": header.crc,
        "sound": fault is None,
        "timestamp_type": header.timestamp_type.name.lower(),
        "max_timestamp_ms": header.max_timestamp,
        "leader_epoch": header.leader_epoch,
        "producer_id": header.producer_id,
        "producer_epoch": header.producer_epoch,
        "first_sequence": header.base_sequence,
        "last_sequence": header.last_sequence,
        "transactional": header.is_transactional,
        "control": header.is_control,
        "delete_horizon_ms": (
            header.base_timestamp if header.attributes & DELETE_HORIZON_BIT else None
        ),
    }


def _record(batch: Batch, record: Record) -> Document:
    header = batch.header
    document: Document = {
        "kind": "record",
        "offset": record.offset,
        "timestamp_ms": record.timestamp_ms,
        "key": record.key,
        "value": record.value,
    }
    if header.base_sequence >= 0:
        delta = record.offset - header.base_offset
        document["sequence"] = (header.base_sequence + delta) % SEQUENCE_MODULUS
    if record.value is None:
        document["tombstone"] = True
    if record.headers:
        document["headers"] = record.headers
    return document


def _marker(batch: Batch, record: Record) -> Document:
    document: Document = {
        "kind": "marker",
        "offset": record.offset,
        "timestamp_ms": record.timestamp_ms,
    }
    end = end_marker(batch)
    if end is not None:
        document["type"] = "commit" if end.commit else "abort"
        document["coordinator_epoch"] = end.coordinator_epoch
        return document
    key = record.key or b""
    number = _CONTROL_KEY.unpack_from(key)[1] if len(key) >= _CONTROL_KEY.size else -1
    document["type"] = _CONTROLS.get(number, f"control {number}")
    return document


def _base(path: Path) -> int:
    return offset_in(path.stem) or 0


def _index(path: Path) -> Iterator[Document]:
    for offset, position in read_entries(path, OFFSET_ENTRY, padded=True):
        yield {"kind": "index", "offset": offset + _base(path), "position": position}


def _time_index(path: Path) -> Iterator[Document]:
    for timestamp, offset in read_entries(path, TIME_ENTRY, padded=True):
        yield {"kind": "time_index", "timestamp_ms": timestamp, "offset": offset + _base(path)}


def _aborted(path: Path) -> Iterator[Document]:
    for one in unpack_aborted(path.read_bytes()):
        yield {"kind": "aborted", **one._asdict()}


def _snapshot(path: Path) -> Iterator[Document]:
    for entry in read_snapshot(path).entries():
        yield {
            "kind": "producer",
            "producer_id": entry.producer_id,
            "producer_epoch": entry.epoch,
            "coordinator_epoch": entry.coordinator_epoch,
            "last_timestamp_ms": entry.last_timestamp,
            "transaction_first_offset": entry.txn_first_offset,
            "batches": [
                {
                    "first_sequence": one.first_sequence,
                    "last_sequence": one.last_sequence,
                    "first_offset": one.first_offset,
                    "last_offset": one.last_offset,
                }
                for one in entry.batches
            ],
        }


def _epochs(path: Path) -> Iterator[Document]:
    for epoch, start in parse_lines(path.read_bytes(), path, 2):
        yield {"kind": "epoch", "epoch": int(epoch), "start_offset": int(start)}


def _offsets(path: Path) -> Iterator[Document]:
    for topic, partition, offset in parse_lines(path.read_bytes(), path, 3):
        yield {
            "kind": "offset",
            "topic": topic,
            "partition": int(partition),
            "offset": int(offset),
        }


_READERS: Final[dict[str, Callable[[Path], Iterator[Document]]]] = {
    ".index": _index,
    ".timeindex": _time_index,
    ".txnindex": _aborted,
    ".snapshot": _snapshot,
    EPOCHS: _epochs,
    **dict.fromkeys(CHECKPOINTS, _offsets),
}


def _reader(path: Path) -> Callable[[Path], Iterator[Document]] | None:
    return _READERS.get(path.name) or _READERS.get(path.suffix)
