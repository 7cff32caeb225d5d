"""The seam to the disk: the log does no file operation except through a :class:`FileSystem`.

The contract is small on purpose, so that a fault injector can stand behind it: a call may fail
with :class:`OSError`, :meth:`File.writev` may write less than it was given, and only what
:meth:`File.fsync` and :meth:`FileSystem.fsync_dir` confirmed survives a loss of power.
"""

from __future__ import annotations

import errno
import fcntl
import os
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Final, Protocol

from pyproducer.model import Buffer

__all__ = [
    "File",
    "FileSystem",
    "LostNamesError",
    "RealFileSystem",
    "TornWriteError",
    "append_all",
    "numbered",
    "offset_in",
    "read_file",
    "replace_file",
]

# writev takes at most this many buffers on Linux; POSIX promises 16, everybody has 1024.
_IOV_MAX = 1024
# Where there is no fdatasync, as on macOS, fsync forces the times of the file as well.
_force = getattr(os, "fdatasync", os.fsync)
#: The names that the log gives. More digits, or others than these, are of somebody else.
_OFFSET: Final = re.compile(r"[0-9]{20}")
#: A segment that starts later would have offsets beyond 64 bits.
_LAST_BASE: Final = (1 << 63) - (1 << 32)
#: Records, and the secrets in metadata, are for nobody but whoever runs the broker.
_PRIVATE: Final = 0o600


class TornWriteError(OSError):
    """A write failed half-way and the file could not be cut back to what it held before."""


class LostNamesError(OSError):
    """Forcing a directory to disk failed: which of its names are there nobody knows any more."""


class File(Protocol):
    """One open file: written at its end, read anywhere."""

    def writev(self, buffers: Sequence[Buffer]) -> int:
        """Some bytes of ``buffers``, in order, are at the end of the file; says how many."""

    def pread(self, size: int, position: int) -> bytes:
        """The ``size`` bytes from ``position``; fewer only where the file ends."""

    def sendfile(self, socket: int, count: int, position: int) -> int:
        """Bytes from ``position``, at most ``count``, are with a socket; says how many.

        None are where the file ends, which no caller asks for. The socket is given by its
        descriptor and does not block: BlockingIOError where it takes nothing now.
        """

    def size(self) -> int:
        """Length of the file in bytes."""

    def truncate(self, size: int) -> None:
        """The file is ``size`` bytes long; the next write goes there."""

    def fsync(self) -> None:
        """The contents so far survive a loss of power. May run on another thread."""

    def close(self) -> None:
        """The file is released; closing twice is harmless."""


class FileSystem(Protocol):
    """The operations on names that the log needs. Nothing is open but what :meth:`open` gave."""

    def open(self, path: Path, *, create: bool = True) -> File:
        """An open file; ``create`` makes an empty one where there was none."""

    def exists(self, path: Path) -> bool:
        """Whether a file or directory of that name exists."""

    def listdir(self, path: Path) -> list[str]:
        """Names in a directory, sorted."""

    def is_dir(self, path: Path) -> bool:
        """Whether the name is a directory."""

    def mkdir(self, path: Path) -> None:
        """The directory and its parents exist."""

    def rename(self, old: Path, new: Path) -> None:
        """``new`` is what ``old`` was, atomically; a file called ``new`` is replaced."""

    def remove(self, path: Path) -> None:
        """The file is gone; a missing one is fine."""

    def rmdir(self, path: Path) -> None:
        """The empty directory is gone."""

    def fsync_dir(self, path: Path) -> None:
        """The names in a directory survive a loss of power."""

    def lock(self, path: Path) -> File:
        """The file is held by this caller alone until closed.

        Raises:
            BlockingIOError: somebody else holds it.
        """


class _RealFile:
    """A file descriptor."""

    __slots__ = ("_fd", "_sync")

    def __init__(self, fd: int, *, sync: bool) -> None:
        self._fd = fd
        self._sync = sync

    def writev(self, buffers: Sequence[Buffer]) -> int:
        return os.writev(self._fd, buffers)

    def pread(self, size: int, position: int) -> bytes:
        data = os.pread(self._fd, size, position)
        if len(data) == size or not data:
            return data
        # Regular files return short only at their end or above 2 GiB; settle which it was.
        parts = [data]
        got = len(data)
        while got < size and (data := os.pread(self._fd, size - got, position + got)):
            parts.append(data)
            got += len(data)
        return b"".join(parts)

    def sendfile(self, socket: int, count: int, position: int) -> int:
        return os.sendfile(socket, self._fd, position, count)

    def size(self) -> int:
        return os.fstat(self._fd).st_size

    def truncate(self, size: int) -> None:
        os.ftruncate(self._fd, size)

    def fsync(self) -> None:
        if self._sync:
            _force(self._fd)

    def close(self) -> None:
        fd, self._fd = self._fd, -1
        if fd >= 0:
            os.close(fd)


class RealFileSystem:
    """The machine's own file system.

    Args:
        sync: Whether fsync reaches the disk. Off, nothing is safe from a loss of power, and
            everything is from the end of the process: right for a temporary folder.
    """

    __slots__ = ("_sync",)

    def __init__(self, *, sync: bool = True) -> None:
        self._sync = sync

    def open(self, path: Path, *, create: bool = True) -> File:
        """An open file; ``create`` makes an empty one where there was none."""
        flags = os.O_RDWR | os.O_APPEND | os.O_CLOEXEC | (os.O_CREAT if create else 0)
        return _RealFile(os.open(path, flags, _PRIVATE), sync=self._sync)

    def exists(self, path: Path) -> bool:
        """Whether a file or directory of that name exists."""
        return path.exists()

    def listdir(self, path: Path) -> list[str]:
        """Names in a directory, sorted."""
        return sorted(entry.name for entry in path.iterdir())

    def is_dir(self, path: Path) -> bool:
        """Whether the name is a directory."""
        return path.is_dir()

    def mkdir(self, path: Path) -> None:
        """The directory and its parents exist."""
        path.mkdir(parents=True, exist_ok=True)

    def rename(self, old: Path, new: Path) -> None:
        """``new`` is what ``old`` was, atomically; a file called ``new`` is replaced."""
        old.replace(new)

    def remove(self, path: Path) -> None:
        """The file is gone; a missing one is fine."""
        path.unlink(missing_ok=True)

    def rmdir(self, path: Path) -> None:
        """The empty directory is gone."""
        path.rmdir()

    def fsync_dir(self, path: Path) -> None:
        """The names in a directory survive a loss of power."""
        if not self._sync:
            return
        fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(fd)
        finally:
            os.close(fd)

    def lock(self, path: Path) -> File:
        """The file is held by this caller alone until closed.

        Raises:
            BlockingIOError: somebody else holds it.
        """
        fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, _PRIVATE)
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            os.close(fd)
            raise
        return _RealFile(fd, sync=False)


def append_all(file: File, buffers: Sequence[Buffer], *, at: int) -> int:
    """All bytes of ``buffers`` follow position ``at``, the file's present end, or none do.

    Args:
        file: Where to write.
        buffers: What to write; taken as it is, uncopied.
        at: Length of the file before, to which it is cut back when a write fails.

    Returns:
        The number of bytes written.

    Raises:
        TornWriteError: the write failed, and so did cutting back.
        OSError: the write failed; the file is as it was.
    """
    total = sum(map(len, buffers))
    rest: Sequence[Buffer] = buffers
    left = total
    try:
        while left:
            written = file.writev(rest[:_IOV_MAX])
            if written <= 0:
                raise OSError(errno.EIO, "the file took no bytes")
            left -= written
            if left:
                rest = _after(rest, written)
    except OSError as error:
        try:
            file.truncate(at)
        except OSError as second:
            raise TornWriteError(second.errno, f"cannot undo a failed write: {second}") from error
        raise
    return total


def _after(buffers: Sequence[Buffer], count: int) -> list[Buffer]:
    """What remains of ``buffers`` once their first ``count`` bytes are gone."""
    rest: list[Buffer] = []
    for buffer in buffers:
        if count >= len(buffer):
            count -= len(buffer)
        elif count:
            rest.append(memoryview(buffer)[count:])
            count = 0
        else:
            rest.append(buffer)
    return rest


def replace_file(fs: FileSystem, path: Path, data: Buffer) -> None:
    """The file holds ``data``, durably; a reader sees the old contents or the new, never a mix.

    Raises:
        LostNamesError: either contents may stand.
        OSError: the old contents still stand.
    """
    temporary = path.with_name(path.name + ".tmp")
    fs.remove(temporary)
    file = fs.open(temporary)
    try:
        append_all(file, [data], at=0)
        file.fsync()
    finally:
        file.close()
    fs.rename(temporary, path)
    try:
        fs.fsync_dir(path.parent)
    except OSError as error:
        raise LostNamesError(error.errno, f"cannot force {path.parent} to disk: {error}") from error


def read_file(fs: FileSystem, path: Path) -> bytes | None:
    """The contents of a file, or None if there is none."""
    try:
        file = fs.open(path, create=False)
    except FileNotFoundError:
        return None
    try:
        return file.pread(file.size(), 0)
    finally:
        file.close()


def offset_in(stem: str) -> int | None:
    """The offset that a file is named after; None where something else gave the name."""
    if _OFFSET.fullmatch(stem) is None or (offset := int(stem)) > _LAST_BASE:
        return None
    return offset


def numbered(fs: FileSystem, directory: Path, suffix: str) -> list[int]:
    """Offsets in the names of the files of one kind, ascending."""
    names = fs.listdir(directory)
    offsets = (offset_in(name.removesuffix(suffix)) for name in names if name.endswith(suffix))
    return sorted(offset for offset in offsets if offset is not None)
