"""Which leader epoch wrote which stretch of the log (``leader-epoch-checkpoint``).

A follower that comes back asks its leader "where did epoch e end?" and cuts its log there; a
consumer asks the same to notice that what it read was lost. The answers must be right even after
a crash, so every new epoch is on disk before its first batch.
"""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from pyproducer.broker.log.checkpoints import CorruptCheckpointError, parse_lines, render_lines
from pyproducer.broker.log.filesystem import FileSystem, read_file, replace_file

__all__ = ["UNDEFINED_EPOCH", "UNDEFINED_OFFSET", "EpochEnd", "EpochEntry", "LeaderEpochs"]

UNDEFINED_EPOCH = -1
UNDEFINED_OFFSET = -1


class EpochEntry(NamedTuple):
    """An epoch and the offset of the first batch that its leader could write."""

    epoch: int
    start_offset: int


class EpochEnd(NamedTuple):
    """Answer to "where did that epoch end": (-1, -1) means unknown."""

    epoch: int
    end_offset: int


class LeaderEpochs:
    """The epochs of one log, ascending in both columns.

    Args:
        fs: Where the checkpoint is kept.
        path: The checkpoint file.
    """

    def __init__(self, fs: FileSystem, path: Path) -> None:
        self._fs = fs
        self._path = path
        self._entries: list[EpochEntry] = []

    @property
    def entries(self) -> tuple[EpochEntry, ...]:
        """All epochs, oldest first."""
        return tuple(self._entries)

    @property
    def latest(self) -> int:
        """The newest epoch, or -1."""
        return self._entries[-1].epoch if self._entries else UNDEFINED_EPOCH

    def load(self) -> None:
        """The checkpoint's epochs are known; a missing or broken file means none."""
        raw = read_file(self._fs, self._path)
        self._entries = []
        if raw is None:
            return
        try:
            rows = [(int(epoch), int(start)) for epoch, start in parse_lines(raw, self._path, 2)]
        except (CorruptCheckpointError, ValueError):
            return
        for epoch, start in rows:
            self._entries = _with(self._entries, epoch, start)

    def assign(self, epoch: int, start_offset: int) -> bool:
        """The epoch starts at that offset and the checkpoint says so.

        Entries that contradict it (a later or equal epoch, a start at or past this one)
        are dropped: they speak of batches that are no longer in the log.

        Returns:
            Whether this was news.

        Raises:
            OSError: the checkpoint could not be written; nothing has changed.
        """
        if epoch < 0 or epoch == self.latest:
            return False
        self._store(_with(self._entries, epoch, start_offset))
        return True

    def note(self, epoch: int, start_offset: int) -> None:
        """As :meth:`assign` for a scan of the log: nothing is written until :meth:`save`."""
        if epoch > self.latest:
            self._entries = _with(self._entries, epoch, start_offset)

    def end_offset_for(self, epoch: int, log_end_offset: int) -> EpochEnd:
        """The epoch at or before ``epoch`` that this log knows, and where it ended."""
        if epoch < 0 or not self._entries or epoch > self.latest:
            return EpochEnd(UNDEFINED_EPOCH, UNDEFINED_OFFSET)
        if epoch == self.latest:
            return EpochEnd(epoch, log_end_offset)
        floor: EpochEntry | None = None
        for entry in self._entries:
            if entry.epoch > epoch:
                return EpochEnd(floor.epoch if floor else epoch, entry.start_offset)
            floor = entry
        raise AssertionError("the latest epoch is above every other")

    def epoch_of(self, offset: int) -> int:
        """The epoch in which the record of that offset was appended; -1 where nobody knows."""
        found = UNDEFINED_EPOCH
        for entry in self._entries:
            if entry.start_offset > offset:
                break
            found = entry.epoch
        return found

    def truncate_from_end(self, end_offset: int) -> None:
        """No epoch starts at or past ``end_offset``, where the log now ends."""
        kept = [entry for entry in self._entries if entry.start_offset < end_offset]
        if len(kept) != len(self._entries):
            self._store(kept)

    def truncate_from_start(self, start_offset: int) -> None:
        """The first epoch starts at ``start_offset`` or later, where the log now starts."""
        before = [entry for entry in self._entries if entry.start_offset <= start_offset]
        if not before or before == [EpochEntry(before[-1].epoch, start_offset)]:
            return
        later = self._entries[len(before) :]
        self._store([EpochEntry(before[-1].epoch, start_offset), *later])

    def save(self) -> None:
        """The checkpoint file holds the present epochs."""
        self._store(self._entries)

    def _store(self, entries: list[EpochEntry]) -> None:
        # The disk first: an epoch in memory only would be taken for recorded the next time.
        replace_file(self._fs, self._path, render_lines(entries))
        self._entries = entries


def _with(entries: list[EpochEntry], epoch: int, start_offset: int) -> list[EpochEntry]:
    """The entries without those that contradict the new one, and the new one."""
    kept = [one for one in entries if one.epoch < epoch and one.start_offset < start_offset]
    return [*kept, EpochEntry(epoch, start_offset)]
