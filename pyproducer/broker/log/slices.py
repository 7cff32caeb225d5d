"""Whole batches of a log, lent to whoever sends them, without being read first.

A slow client may take minutes to fetch a slice. What it gets is whole all the same: the file of a
segment that was deleted or replaced stays open for the slices of it that are left, and where a
file is cut, the slices of what goes are *void*, so that nobody sends what is written there next.
"""

from __future__ import annotations

import weakref
from typing import Final

from pyproducer.broker.log.filesystem import File

__all__ = ["EMPTY", "LogSlice", "SharedFile", "VoidSlice"]


class VoidSlice(OSError):
    """The bytes of a slice are not in the log any more; what is left of it must not be sent."""


class LogSlice:
    """Whole batches that follow each other in one segment.

    Attributes:
        size: Bytes of all of them.
        end_offset: Offset after the last one. Where none fits the limits, so that there are 0
            bytes, after the first that does not; -1 where there is none at all.
    """

    __slots__ = ("__weakref__", "_file", "_position", "_void", "end_offset", "size")

    def __init__(
        self, file: SharedFile | None, position: int, size: int, *, end_offset: int
    ) -> None:
        self.size = size
        self.end_offset = end_offset
        self._file = file
        self._position = position
        self._void = False

    def __len__(self) -> int:
        return self.size

    def cut(self, position: int) -> None:
        """The file ends at `position` from here on."""
        self._void = self._void or self._position + self.size > position

    def read(self, start: int = 0, count: int | None = None) -> bytes:
        """So many bytes from `start` on; all that follow if no count is given.

        Raises:
            VoidSlice: They are gone.
            OSError: The disk failed.
        """
        count = self.size - start if count is None else min(count, self.size - start)
        if count <= 0:
            return b""
        data = self._lent().file.pread(count, self._position + start)
        if len(data) != count:
            raise VoidSlice(f"{len(data)} of {count} bytes are left")
        return data

    def send(self, socket: int, start: int, count: int) -> int:
        """Bytes from `start` on are with a socket, given by its descriptor; says how many, maybe 0.

        Raises:
            VoidSlice: They are gone.
            OSError: The disk failed, or the connection.
        """
        return self._lent().file.sendfile(socket, count, self._position + start)

    def _lent(self) -> SharedFile:
        if self._void or self._file is None:
            raise VoidSlice("the log was cut while its bytes were under way")
        return self._file


#: No batch, and none that follows.
EMPTY: Final = LogSlice(None, 0, 0, end_offset=-1)


class SharedFile:
    """A segment's file, open for as long as the segment or a slice of it holds this object.

    Args:
        file: The file. Not to be closed by anybody else.
    """

    __slots__ = ("_slices", "file")

    def __init__(self, file: File) -> None:
        self.file = file
        self._slices: weakref.WeakSet[LogSlice] = weakref.WeakSet()

    def __del__(self) -> None:
        self.file.close()

    def lend(self, position: int, size: int, *, end_offset: int) -> LogSlice:
        """A slice of the file, which stays valid whatever becomes of the segment."""
        lent = LogSlice(self, position, size, end_offset=end_offset)
        self._slices.add(lent)
        return lent

    def truncate(self, position: int) -> None:
        """The file ends at `position`, and slices of what was behind it are void.

        Raises:
            OSError: The file is as it was.
        """
        # First: a slice sent a moment too late would have the bytes of another batch.
        for lent in list(self._slices):
            lent.cut(position)
        self.file.truncate(position)
