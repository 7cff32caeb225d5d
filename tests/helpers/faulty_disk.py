"""A file system that runs out of space, writes less than asked, or breaks, when told to."""

from __future__ import annotations

import errno
import os
import threading
from collections.abc import Sequence
from pathlib import Path

from pyproducer.broker.log.filesystem import File, RealFileSystem
from pyproducer.model import Buffer


class FaultyFileSystem(RealFileSystem):
    """The machine's file system with faults that a test switches on and off.

    Attributes:
        space: bytes that may still be written before the disk is full, or None for no limit.
        largest_write: bytes that one write takes at most, or None.
        broken: operations that fail with EIO: any of fsync, truncate, pread,
            rename, remove, open.
        fsyncs: how often a file was forced to disk.
    """

    __slots__ = ("_space", "broken", "fsyncs", "largest_write", "writing")

    def __init__(self) -> None:
        super().__init__(sync=False)
        self.writing = threading.Lock()
        self._space: int | None = None
        self.largest_write: int | None = None
        self.broken: set[str] = set()
        self.fsyncs = 0

    @property
    def space(self) -> int | None:
        return self._space

    @space.setter
    def space(self, left: int | None) -> None:
        # Not while a write of the broker's thread counts down what was left before.
        with self.writing:
            self._space = left

    def open(self, path: Path, *, create: bool = True) -> File:
        self.check("open")
        return _FaultyFile(self, super().open(path, create=create))

    def rename(self, old: Path, new: Path) -> None:
        self.check("rename")
        super().rename(old, new)

    def remove(self, path: Path) -> None:
        self.check("remove")
        super().remove(path)

    def check(self, operation: str) -> None:
        if operation in self.broken:
            raise OSError(errno.EIO, os.strerror(errno.EIO))


class _FaultyFile:
    def __init__(self, fs: FaultyFileSystem, file: File) -> None:
        self._fs = fs
        self._file = file

    def writev(self, buffers: Sequence[Buffer]) -> int:
        fs = self._fs
        data = b"".join(buffers)
        room = len(data)
        if fs.largest_write is not None:
            room = min(room, fs.largest_write)
        with fs.writing:
            if fs._space is not None:
                if data and not fs._space:
                    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
                room = min(room, fs._space)
            written = self._file.writev([data[:room]])
            if fs._space is not None:
                fs._space -= written
        return written

    def sendfile(self, socket: int, count: int, position: int) -> int:
        self._fs.check("pread")
        return self._file.sendfile(socket, count, position)

    def pread(self, size: int, position: int) -> bytes:
        self._fs.check("pread")
        return self._file.pread(size, position)

    def size(self) -> int:
        return self._file.size()

    def truncate(self, size: int) -> None:
        self._fs.check("truncate")
        self._file.truncate(size)

    def fsync(self) -> None:
        self._fs.check("fsync")
        self._fs.fsyncs += 1

    def close(self) -> None:
        self._file.close()
