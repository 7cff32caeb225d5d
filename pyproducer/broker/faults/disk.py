"""A file system in front of another, on which the disk can be full."""

from __future__ import annotations

import errno
import os
import weakref
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NoReturn

from pyproducer.broker.log.filesystem import File, FileSystem
from pyproducer.model import Buffer


class FillableDisk:
    """Passes everything on; while it is full, writes fail with ENOSPC.

    Args:
        fs: What it stands in front of.
    """

    def __init__(self, fs: FileSystem) -> None:
        self._fs = fs
        self._files: weakref.WeakSet[_File] = weakref.WeakSet()
        self._refused: Callable[[], object] | None = None

    def fill(self, refused: Callable[[], object]) -> None:
        """The disk is full; `refused` is called at each write from now on, before it fails."""
        self._refused = refused
        for file in self._files:
            file.writev = self._refuse

    def free(self) -> None:
        """There is room again."""
        self._refused = None
        for file in self._files:
            file.writev = file.inner.writev

    def open(self, path: Path, *, create: bool = True) -> File:
        """An open file; ``create`` makes an empty one where there was none."""
        file = _File(self._fs.open(path, create=create))
        self._files.add(file)
        if self._refused is not None:
            file.writev = self._refuse
        return file

    def exists(self, path: Path) -> bool:
        """Whether a file or directory of that name exists."""
        return self._fs.exists(path)

    def listdir(self, path: Path) -> list[str]:
        """Names in a directory, sorted."""
        return self._fs.listdir(path)

    def is_dir(self, path: Path) -> bool:
        """Whether the name is a directory."""
        return self._fs.is_dir(path)

    def mkdir(self, path: Path) -> None:
        """The directory and its parents exist."""
        self._fs.mkdir(path)

    def rename(self, old: Path, new: Path) -> None:
        """``new`` is what ``old`` was, atomically; a file called ``new`` is replaced."""
        self._fs.rename(old, new)

    def remove(self, path: Path) -> None:
        """The file is gone; a missing one is fine."""
        self._fs.remove(path)

    def rmdir(self, path: Path) -> None:
        """The empty directory is gone."""
        self._fs.rmdir(path)

    def fsync_dir(self, path: Path) -> None:
        """The names in a directory survive a loss of power."""
        self._fs.fsync_dir(path)

    def lock(self, path: Path) -> File:
        """The file is held by this caller alone until closed.

        Raises:
            BlockingIOError: somebody else holds it.
        """
        return self._fs.lock(path)

    def _refuse(self, buffers: Sequence[Buffer]) -> NoReturn:
        if self._refused is not None:
            self._refused()
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


class _File:
    """A file whose operations are the other's own, so that going through here costs nothing."""

    __slots__ = (
        "__weakref__",
        "close",
        "fsync",
        "inner",
        "pread",
        "sendfile",
        "size",
        "truncate",
        "writev",
    )

    def __init__(self, inner: File) -> None:
        self.inner = inner
        self.writev: Callable[[Sequence[Buffer]], int] = inner.writev
        self.pread = inner.pread
        self.sendfile = inner.sendfile
        self.size = inner.size
        self.truncate = inner.truncate
        self.fsync = inner.fsync
        self.close = inner.close
