"""Forcing a log to disk without holding up its writer."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from pyproducer.broker.log.filesystem import File, FileSystem
from pyproducer.broker.log.segment import Segment

__all__ = ["FlushTicket"]


class FlushTicket:
    """The files that hold a log up to ``end_offset``, to be forced to disk.

    Made and closed by the log's writer; :meth:`sync` may run on any thread meanwhile.

    Args:
        fs: Where the files are.
        directory: The partition's directory.
        segments: Those with bytes that are not on disk yet.

    Attributes:
        end_offset: The log's end when the ticket was made.
        synced: ``sync`` succeeded.
        error: Why ``sync`` failed, or None.
    """

    def __init__(self, fs: FileSystem, directory: Path, segments: Sequence[Segment]) -> None:
        self.end_offset = segments[-1].next_offset
        self.synced = False
        self.error: OSError | None = None
        self._fs = fs
        self._directory = directory
        self._files: list[File] = []
        try:
            for segment in segments:
                segment.offset_index.write_behind()
                segment.time_index.write_behind()
                segment.aborted.write_behind()
                suffixes = [".log", ".index", ".timeindex"]
                if len(segment.aborted):
                    suffixes.append(".txnindex")
                # Handles of our own: the writer may roll, close or delete the segment's.
                self._files.extend(fs.open(segment.path(suffix)) for suffix in suffixes)
        except OSError:
            self.close()
            raise

    def sync(self) -> None:
        """The files and their names survive a loss of power, or :attr:`error` is set."""
        try:
            for file in self._files:
                file.fsync()
            self._fs.fsync_dir(self._directory)
        except OSError as error:
            self.error = error
        else:
            self.synced = True

    def close(self) -> None:
        """The handles are released."""
        for file in self._files:
            file.close()
        self._files.clear()
