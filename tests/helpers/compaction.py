"""Logs that are compacted in tests of the storage, and what a reader sees in them."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any, NamedTuple

from pyproducer.broker.log.cleaner.cleaner import LogCleaner
from pyproducer.broker.log.cleaner.settings import CleanerSettings
from pyproducer.broker.log.filesystem import FileSystem, RealFileSystem
from pyproducer.broker.log.log import PartitionLog
from pyproducer.records.builder import build_batch
from pyproducer.records.codec import Codec
from pyproducer.records.record import Record
from tests.helpers.partition_logs import NOW, TP, batches_of, open_log, put
from tests.helpers.virtual_time import VirtualTime

COMPACT = frozenset({"compact"})


class Rig:
    """A log with a cleaner of its own, in a data directory of which it is all.

    Args:
        data_dir: The data directory.
        clock: Time for both; a new one if not given.
        fs: File system of both.
        settings: The cleaner's settings.
        **config: The log's; cleaned as soon as anything is dirty unless told otherwise.
    """

    def __init__(
        self,
        data_dir: Path,
        *,
        clock: VirtualTime | None = None,
        fs: FileSystem | None = None,
        settings: CleanerSettings | None = None,
        **config: Any,
    ) -> None:
        self.clock = clock or VirtualTime()
        self.data_dir = data_dir
        self.fs = fs or RealFileSystem(sync=False)
        self.config = {
            "cleanup_policy": COMPACT,
            "min_cleanable_dirty_ratio": 0.0,
            "segment_ms": 1 << 60,
        } | config
        self._settings = settings or CleanerSettings()
        self.start()

    def start(self, **how: Any) -> None:
        """The log is open as after a crash, or as ``how`` says."""
        self.log = open_log(
            self.data_dir / str(TP), clock=self.clock, fs=self.fs, **how, **self.config
        )
        self.cleaner = LogCleaner(
            self.data_dir,
            {TP: self.log},
            clock=self.clock,
            fs=self.fs,
            random_bytes=lambda count: bytes(count),
        )
        self.cleaner.settings = self._settings
        self.cleaner.open()

    def restart(self, *, clean: bool = True) -> None:
        """The log is closed, or its process killed, and open again."""
        if clean:
            assert self.log.close()
        else:
            self.log.abandon()
        self.start(clean=clean)

    def put(self, *pairs: tuple[str | None, str | None], **kind: Any) -> int:
        """A batch of keys and values is in the log; says what its first offset is."""
        return put(self.log, keyed(*pairs, **kind)).base_offset

    def seal(self) -> None:
        """Everything so far may be cleaned, as far as the active segment is concerned."""
        self.log.roll()

    def clean(self) -> int:
        """Everything worth it was cleaned."""
        return self.cleaner.clean()

    def rows(self) -> list[Row]:
        """What a reader sees."""
        return rows_of(self.log)


class Row(NamedTuple):
    """A record as a reader sees it."""

    offset: int
    key: str | None
    value: str | None


def keyed(
    *pairs: tuple[str | None, str | None],
    time: int = NOW,
    codec: Codec = Codec.NONE,
    producer: tuple[int, int, int] = (-1, -1, -1),
    transactional: bool = False,
) -> bytes:
    """A client's batch of keys and values."""
    return build_batch(
        [
            Record(
                0,
                time,
                key=None if key is None else key.encode(),
                value=None if value is None else value.encode(),
            )
            for key, value in pairs
        ],
        codec=codec,
        producer_id=producer[0],
        producer_epoch=producer[1],
        base_sequence=producer[2],
        transactional=transactional,
    )


def rows_of(log: PartitionLog, offset: int | None = None) -> list[Row]:
    """Every record that is no marker, from an offset or the start on."""
    start = log.log_start_offset if offset is None else offset
    return [
        Row(
            record.offset,
            None if record.key is None else record.key.decode(),
            None if record.value is None else record.value.decode(),
        )
        for batch in batches_of(log, offset)
        if not batch.header.is_control
        for record in batch.records()
        if record.offset >= start
    ]


def shape(rows: Iterable[Row]) -> list[tuple[int, str | None, str | None]]:
    """The rows as plain tuples, for comparing."""
    return [tuple(row) for row in rows]
