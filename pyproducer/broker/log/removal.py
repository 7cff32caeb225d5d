"""The way out for the files of segments that a log has dropped.

They get the suffix ``.deleted`` at once and go ``file.delete.delay.ms`` later, so that somebody
who copies the folder still finds what was listed. Those that a stop leaves go at the next start.

A log's start is on disk before the files below it go: else a loss of power could leave an older
segment and not a younger one, and the log had a hole that looks like loss.
"""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Final

from pyproducer.broker.log.filesystem import FileSystem
from pyproducer.broker.log.segment import INDEX_SUFFIXES, Segment, file_name
from pyproducer.clock import Clock

__all__ = ["DELETED", "Removal", "remove_passed"]

#: Suffix of a file on its way out.
DELETED: Final = ".deleted"
# The log first: index files without one are known for leftovers.
_SUFFIXES: Final = (".log", *INDEX_SUFFIXES, ".snapshot")

_log = logging.getLogger(__name__)


class Removal:
    """The dropped files of one log.

    Args:
        fs: Where they are.
        clock: Says when their time has come.
    """

    def __init__(self, fs: FileSystem, clock: Clock) -> None:
        self._fs = fs
        self._clock = clock
        self._doomed: list[tuple[int, Path]] = []

    def drop(self, segment: Segment, delay_ms: int) -> None:
        """The segment's files are on their way out; it is closed.

        Raises:
            OSError: some of them keep their names.
        """
        segment.close()
        when = self._clock.wall_ms() + delay_ms
        for suffix in _SUFFIXES:
            path = segment.path(suffix)
            if not self._fs.exists(path):
                continue
            if not delay_ms:
                self._fs.remove(path)
                continue
            doomed = path.with_name(path.name + DELETED)
            self._fs.rename(path, doomed)
            self._doomed.append((when, doomed))

    def remove_due(self) -> int:
        """Files whose time has come are gone; says how many."""
        now_ms = self._clock.wall_ms()
        due = [path for when, path in self._doomed if when <= now_ms]
        self._doomed = [one for one in self._doomed if one[0] > now_ms]
        for path in due:
            try:
                self._fs.remove(path)
            except OSError as error:
                # The next start finds it.
                _log.warning("%s is left on disk: %s", path, error)
        return len(due)


def remove_passed(fs: FileSystem, directory: Path, bases: list[int], start: int) -> list[int]:
    """Segments wholly below the log's start are gone; says the base offsets of the others.

    Raises:
        OSError: a file could not be removed.
    """
    kept = next((at for at, base in enumerate(bases[1:]) if base > start), len(bases) - 1)
    # From the old end: what a crash leaves has no hole.
    for base in bases[: max(0, kept)]:
        for suffix in _SUFFIXES:
            fs.remove(directory / file_name(base, suffix))
    return bases[max(0, kept) :]
