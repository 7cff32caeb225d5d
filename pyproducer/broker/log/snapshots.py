"""The ``.snapshot`` files of a log: what was known of its producers at an offset."""

from __future__ import annotations

import logging
from collections.abc import Container
from pathlib import Path

from pyproducer.broker.log.filesystem import FileSystem, numbered, read_file, replace_file
from pyproducer.broker.log.producer_state import CorruptSnapshotError, ProducerStates
from pyproducer.broker.log.segment import file_name

__all__ = ["drop_after", "drop_strays", "load_snapshot", "take_snapshot"]

_SUFFIX = ".snapshot"

_log = logging.getLogger(__name__)


def take_snapshot(fs: FileSystem, directory: Path, producers: ProducerStates, offset: int) -> None:
    """What is known of the producers at that offset is on disk.

    Raises:
        OSError: it is not.
    """
    replace_file(fs, directory / file_name(offset, _SUFFIX), producers.snapshot())


def load_snapshot(
    fs: FileSystem, directory: Path, producers: ProducerStates, *, latest: int, now_ms: int
) -> int:
    """The producers are those of the newest usable snapshot not above ``latest``; broken ones go.

    Returns:
        The snapshot's offset; 0 without one, and no producer is known.

    Raises:
        OSError: a file cannot be read.
    """
    producers.clear()
    for offset in reversed(numbered(fs, directory, _SUFFIX)):
        if offset > latest:
            continue
        path = directory / file_name(offset, _SUFFIX)
        try:
            producers.load(read_file(fs, path) or b"", now_ms=now_ms)
        except CorruptSnapshotError as error:
            _log.warning("%s: %s; using an older one", path, error)
            fs.remove(path)
        else:
            return offset
    return 0


def drop_after(fs: FileSystem, directory: Path, end: int) -> None:
    """No snapshot speaks of offsets that the log no longer has."""
    for offset in numbered(fs, directory, _SUFFIX):
        if offset > end:
            fs.remove(directory / file_name(offset, _SUFFIX))


def drop_strays(fs: FileSystem, directory: Path, bases: Container[int]) -> None:
    """Snapshots are kept where a segment starts, and the newest."""
    for offset in numbered(fs, directory, _SUFFIX)[:-1]:
        if offset not in bases:
            fs.remove(directory / file_name(offset, _SUFFIX))
