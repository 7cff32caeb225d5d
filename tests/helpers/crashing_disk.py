"""A disk in memory that breaks at a call, or loses its power there."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

from pyproducer.broker.log.filesystem import File
from pyproducer.model import Buffer


class _Content:
    """What a name leads to: its bytes, and those of them that were forced to the platter."""

    def __init__(self, data: bytes = b"") -> None:
        self.data = bytearray(data)
        self.forced = data


class _Change(NamedTuple):
    """A change of names that is not forced to the platter: what is under new, and old is free."""

    old: Path | None
    new: Path | None
    content: _Content


class CrashingDisk:
    """Files and one level of names below directories that nobody removes.

    Every call counts. What is done and not forced is lost, or not, as the test says.

    Attributes:
        calls: how many there were so far.
        fails_at: number of the call that fails with EIO, or None.
        dead_from: number of the call from which on all fail: the process is gone.
    """

    def __init__(self) -> None:
        self.calls = 0
        self.fails_at: int | None = None
        self.dead_from: int | None = None
        self._names: dict[Path, _Content] = {}
        self._forced: dict[Path, _Content] = {}
        self._changes: list[_Change] = []
        self._directories: set[Path] = set()

    @property
    def names(self) -> list[Path]:
        """The files that there are."""
        return list(self._names)

    def copy(self) -> CrashingDisk:
        """A disk of its own with the same files, all of them forced."""
        return self._made({path: bytes(one.data) for path, one in self._names.items()})

    def after_power_cut(self, keeps: Callable[[int], bool]) -> CrashingDisk:
        """What is found when the power is back.

        Args:
            keeps: says of each change of names that was not forced, by its number, whether it
                was made; and, with the numbers that follow, whether the bytes of a file that
                were not forced are there.
        """
        names = dict(self._forced)
        for number, change in enumerate(self._changes):
            if keeps(number):
                if change.old is not None:
                    names.pop(change.old, None)
                if change.new is not None:
                    names[change.new] = change.content
        first = len(self._changes)
        return self._made(
            {
                path: bytes(one.data) if keeps(first + at) else one.forced
                for at, (path, one) in enumerate(sorted(names.items()))
            }
        )

    def _made(self, files: dict[Path, bytes]) -> CrashingDisk:
        made = CrashingDisk()
        made._names = {path: _Content(data) for path, data in files.items()}
        made._forced = dict(made._names)
        made._directories = set(self._directories)
        return made

    def count(self) -> None:
        """One more call; raises if it is its turn to fail."""
        number = self.calls
        self.calls += 1
        if number == self.fails_at or (self.dead_from is not None and number >= self.dead_from):
            raise OSError(errno.EIO, os.strerror(errno.EIO))

    def open(self, path: Path, *, create: bool = True) -> File:
        self.count()
        content = self._names.get(path)
        if content is None:
            if not create or path.parent not in self._directories:
                raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), str(path))
            content = self._names[path] = _Content()
            self._changes.append(_Change(None, path, content))
        return _File(self, content)

    def exists(self, path: Path) -> bool:
        self.count()
        return path in self._names or path in self._directories

    def listdir(self, path: Path) -> list[str]:
        self.count()
        return sorted(one.name for one in self._names if one.parent == path)

    def is_dir(self, path: Path) -> bool:
        return path in self._directories

    def mkdir(self, path: Path) -> None:
        self._directories |= {path, *path.parents}

    def rename(self, old: Path, new: Path) -> None:
        self.count()
        if old not in self._names:
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), str(old))
        content = self._names[new] = self._names.pop(old)
        self._changes.append(_Change(old, new, content))

    def remove(self, path: Path) -> None:
        self.count()
        content = self._names.pop(path, None)
        if content is not None:
            self._changes.append(_Change(path, None, content))

    def rmdir(self, path: Path) -> None:
        self._directories.discard(path)

    def fsync_dir(self, path: Path) -> None:
        self.count()
        left: list[_Change] = []
        for change in self._changes:
            where = change.new or change.old
            if where is None or where.parent != path:
                left.append(change)
                continue
            if change.old is not None:
                self._forced.pop(change.old, None)
            if change.new is not None:
                self._forced[change.new] = change.content
        self._changes = left

    def lock(self, path: Path) -> File:
        return self.open(path)


class _File:
    def __init__(self, disk: CrashingDisk, content: _Content) -> None:
        self._disk = disk
        self._content = content

    def writev(self, buffers: Sequence[Buffer]) -> int:
        self._disk.count()
        data = b"".join(buffers)
        self._content.data += data
        return len(data)

    def pread(self, size: int, position: int) -> bytes:
        self._disk.count()
        return bytes(self._content.data[position : position + size])

    def size(self) -> int:
        return len(self._content.data)

    def truncate(self, size: int) -> None:
        self._disk.count()
        del self._content.data[size:]

    def fsync(self) -> None:
        self._disk.count()
        self._content.forced = bytes(self._content.data)

    def close(self) -> None:
        pass
