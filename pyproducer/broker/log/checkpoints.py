"""Kafka's text checkpoints: a version, a count, then one entry a line.

``recovery-point-offset-checkpoint``, ``replication-offset-checkpoint`` (high watermarks) and
``log-start-offset-checkpoint`` map partitions to offsets, one file for the whole data directory.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Final

from pyproducer.broker.log.filesystem import FileSystem, read_file, replace_file
from pyproducer.model import TopicPartition

__all__ = [
    "CorruptCheckpointError",
    "OffsetCheckpoint",
    "parse_lines",
    "render_lines",
]

_VERSION = "0"
_LAST_OFFSET: Final = (1 << 63) - 1


class CorruptCheckpointError(Exception):
    """A checkpoint file is not what the broker wrote."""


def render_lines(rows: Iterable[Sequence[object]]) -> bytes:
    """The checkpoint file that holds ``rows``."""
    lines = [" ".join(map(str, row)) for row in rows]
    return "\n".join([_VERSION, str(len(lines)), *lines, ""]).encode()


def parse_lines(raw: bytes, path: Path, columns: int) -> list[list[str]]:
    """The rows of a checkpoint file, each with ``columns`` words; none of an empty file.

    Raises:
        CorruptCheckpointError: version, count or a line is wrong.
    """
    if not raw:
        # Kafka makes the file at its first start, and writes it later.
        return []
    try:
        lines = raw.decode("utf-8").splitlines()
    except UnicodeDecodeError as error:
        raise CorruptCheckpointError(f"{path}: not text: {error}") from error
    if len(lines) < 2 or lines[0] != _VERSION:
        raise CorruptCheckpointError(f"{path}: no version {_VERSION} checkpoint")
    rows = [line.split(" ") for line in lines[2:] if line]
    if lines[1] != str(len(rows)):
        raise CorruptCheckpointError(f"{path}: {len(rows)} entries where it announces {lines[1]}")
    for number, row in enumerate(rows, start=3):
        if len(row) != columns:
            raise CorruptCheckpointError(f"{path}: line {number} has {len(row)} words")
    return rows


class OffsetCheckpoint:
    """One file of offsets by partition, replaced as a whole.

    Args:
        fs: Where the file is.
        path: Its name.
    """

    def __init__(self, fs: FileSystem, path: Path) -> None:
        self._fs = fs
        self._path = path
        self._last: bytes | None = None
        self._known: frozenset[TopicPartition] = frozenset()

    def __contains__(self, tp: TopicPartition) -> bool:
        """Whether the file, as it was last read or written, has the partition."""
        return tp in self._known

    def read(self) -> dict[TopicPartition, int]:
        """The offsets; none where there is no file.

        Raises:
            CorruptCheckpointError: the file is broken.
        """
        raw = read_file(self._fs, self._path)
        if raw is None:
            return {}
        offsets: dict[TopicPartition, int] = {}
        for topic, partition, offset in parse_lines(raw, self._path, 3):
            try:
                tp, value = TopicPartition(topic, int(partition)), int(offset)
            except ValueError as error:
                raise CorruptCheckpointError(f"{self._path}: {error}") from error
            if not 0 <= value <= _LAST_OFFSET:
                raise CorruptCheckpointError(f"{self._path}: {tp} has no offset {value}")
            offsets[tp] = value
        self._known = frozenset(offsets)
        return offsets

    def write(self, offsets: Mapping[TopicPartition, int]) -> None:
        """The file holds exactly these offsets, durably; unchanged ones cost nothing."""
        data = render_lines((tp.topic, tp.partition, offsets[tp]) for tp in sorted(offsets))
        if data != self._last:
            replace_file(self._fs, self._path, data)
            self._last = data
            self._known = frozenset(offsets)
