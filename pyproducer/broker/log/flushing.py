"""Forcing a log to disk without holding up its writer.

A flush is a ticket: made and closed by the log's writer, carried out on any thread in between.
Of the segment that takes appends only the ``.log`` is forced, which is one fsync: recovery reads
that segment whole and makes its indexes anew. Those of the others are trusted, so they are forced
in the first flush after the roll, and so are the names of new files.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from pyproducer.broker.log.filesystem import File, FileSystem
from pyproducer.broker.log.segment import Segment
from pyproducer.broker.log.segment_list import SegmentList

__all__ = ["FlushTicket", "Flushing"]


class FlushTicket:
    """The files that hold a log up to ``end_offset``, to be forced to disk.

    Made and closed by the log's writer; :meth:`sync` may run on any thread meanwhile.

    Args:
        fs: Where the files are.
        directory: The partition's directory.
        segments: Those that are not on disk as a whole.
        whole: The indexes of the last one too, so that the next start may trust them.
        names: There are files whose names are not on disk.

    Attributes:
        end_offset: The log's end when the ticket was made.
        active: The segment that took appends then.
        synced: ``sync`` succeeded.
        error: Why ``sync`` failed, or None.
    """

    def __init__(
        self,
        fs: FileSystem,
        directory: Path,
        segments: Sequence[Segment],
        *,
        whole: bool,
        names: bool,
    ) -> None:
        self.active = segments[-1]
        self.end_offset = self.active.next_offset
        self.synced = False
        self.error: OSError | None = None
        self._fs = fs
        self._directory = directory
        self._names = names
        self._files: list[File] = []
        try:
            for segment in segments:
                suffixes = [".log"]
                if whole or segment is not self.active:
                    segment.offset_index.write_behind()
                    segment.time_index.write_behind()
                    segment.aborted.write_behind()
                    suffixes += [".index", ".timeindex"]
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
            if self._names:
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


class Flushing:
    """How much of a log is on disk.

    Args:
        fs: Where the log is.
        directory: The partition's directory.
        now_ms: The broker's clock.

    Attributes:
        point: Everything below this offset was forced to disk.
        flushed_ms: Broker's clock at the last flush.
    """

    def __init__(self, fs: FileSystem, directory: Path, now_ms: int) -> None:
        self.point = 0
        self.flushed_ms = now_ms
        self._fs = fs
        self._directory = directory
        # The segment that took appends at the last flush: its indexes are not on disk yet. None
        # where that is not known.
        self._active: Segment | None = None
        self._under_way: list[FlushTicket] = []
        self._failure: OSError | None = None

    def begin(self, segments: SegmentList, *, whole: bool = False) -> FlushTicket:
        """A ticket for what the log holds now.

        Raises:
            OSError: a file could not be opened or completed.
        """
        active = self._active
        # The segment that ends at the recovery point may have been flushed as the active one.
        first = max(0, self.point - 1) if active is None else min(self.point, active.base_offset)
        ticket = FlushTicket(
            self._fs,
            self._directory,
            segments.since(first),
            whole=whole,
            names=whole or active is not segments.active,
        )
        self._under_way.append(ticket)
        return ticket

    def close(self, ticket: FlushTicket) -> OSError | None:
        """The ticket is closed; why it cannot be believed, or None.

        Not either where another one has failed: the system tells of a page that it could not
        write once, and whoever asks next hears that all is well.
        """
        ticket.close()
        for one in self._under_way:
            self._failure = self._failure or one.error
        self._under_way.remove(ticket)
        return self._failure

    def end(self, ticket: FlushTicket, end_offset: int, now_ms: int) -> None:
        """What the ticket has forced to disk is known, as far as it is in the log still."""
        if not ticket.synced:
            return
        self.flushed_ms = now_ms
        self.point = max(self.point, min(ticket.end_offset, end_offset))
        if ticket.end_offset <= end_offset:
            self._active = ticket.active

    def cut(self, end_offset: int) -> None:
        """The log ends there now; segments may be gone."""
        self.point = min(self.point, end_offset)
        self._active = None
        for ticket in self._under_way:
            # What is written from there on is not what the ticket has forced to disk.
            ticket.end_offset = min(ticket.end_offset, end_offset)

    def due(self, segments: SegmentList, flush_ms: int, now_ms: int) -> bool:
        """Whether a segment was rolled, or ``flush_ms`` have passed, since the last flush.

        A rolled segment is flushed whatever the settings, as Kafka does it: recovery then has
        no more than the active one to read.
        """
        if self.point >= segments.end_offset:
            return False
        return self.point < segments.active.base_offset or now_ms - self.flushed_ms >= flush_ms
