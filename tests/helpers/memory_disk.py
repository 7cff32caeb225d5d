"""A disk in memory that knows what of it would survive a loss of power, and fails where told.

What was written is there for whoever reads it; what a loss of power leaves is what fsync and
fsync_dir confirmed, and of the rest whatever `after_power_cut` makes of it. Every call counts, so
that a script can be run again and be cut, or meet a fault, at each of its calls.
"""

from __future__ import annotations

import errno
import os
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from pyproducer.broker.log.filesystem import File
from pyproducer.model import Buffer

SECTOR = 512
#: Share of the changes that are there where anything may be.
KEPT = 0.6

#: What becomes of what was not forced to disk: none of it is there, a part of each file and
#: folder up to some moment, any of its writes and names without those before them, or all of it,
#: which is no loss of power but the end of the process.
LEFT = ("nothing", "a prefix", "anything", "everything")

#: Faults, and the calls that can meet them.
FAULTS = {
    "EIO": None,
    "ENOSPC": {"writev", "open", "mkdir", "rename"},
    "short write": {"writev"},
    "torn write": {"writev"},
    "failed fsync": {"fsync", "fsync_dir"},
}


class PowerCutError(BaseException):
    """The machine is off. No handler of errors may catch it."""


@dataclass(eq=False)
class _Inode:
    """A file's contents: now, on disk, and the changes in between."""

    data: bytearray = field(default_factory=bytearray)
    durable: bytes = b""
    pending: list[tuple[int, bytes | None]] = field(default_factory=list)

    def change(self, position: int, data: bytes | None) -> None:
        """Bytes are at that position; None cuts the file there."""
        _apply(self.data, position, data)
        self.pending.append((position, data))

    def settle(self) -> None:
        disk = bytearray(self.durable)
        for position, data in self.pending:
            _apply(disk, position, data)
        self.durable = bytes(disk)
        self.pending.clear()

    def survivor(self, left: str, rand: random.Random) -> _Inode:
        if left == "everything":
            return _Inode(bytearray(self.data), bytes(self.data))
        disk = bytearray(self.durable)
        changes = self.pending
        if left == "nothing":
            changes = []
        elif left == "a prefix" and changes:
            changes = changes[: rand.randint(0, len(changes))]
            if changes and changes[-1][1] is not None and rand.random() < 0.7:
                position, data = changes[-1]
                assert data is not None
                # The sector that was being written is half old, half new.
                whole = rand.randrange(0, len(data) + 1, SECTOR) if len(data) > SECTOR else 0
                torn = min(len(data), whole + rand.randrange(SECTOR))
                changes = [*changes[:-1], (position, data[:torn])]
        elif left == "anything":
            changes = [one for one in changes if rand.random() < KEPT]
        for position, data in changes:
            _apply(disk, position, data)
        return _Inode(disk, bytes(disk))


def _apply(disk: bytearray, position: int, data: bytes | None) -> None:
    if data is None:
        if len(disk) > position:
            del disk[position:]
        else:
            disk.extend(bytes(position - len(disk)))
        return
    if len(disk) < position:
        disk.extend(bytes(position - len(disk)))
    disk[position : position + len(data)] = data


@dataclass(eq=False)
class _Folder:
    """A folder's names: now, on disk, and the changes in between, each (old, new, node)."""

    names: dict[str, _Inode | _Folder] = field(default_factory=dict)
    durable: dict[str, _Inode | _Folder] = field(default_factory=dict)
    pending: list[tuple[str | None, str | None, _Inode | _Folder]] = field(default_factory=list)

    def change(self, old: str | None, new: str | None, node: _Inode | _Folder) -> None:
        _rename(self.names, old, new, node)
        self.pending.append((old, new, node))

    def settle(self) -> None:
        for change in self.pending:
            _rename(self.durable, *change)
        self.pending.clear()

    def survivor(self, left: str, rand: random.Random) -> _Folder:
        names = dict(self.names if left == "everything" else self.durable)
        changes = self.pending
        if left in {"nothing", "everything"}:
            changes = []
        elif left == "a prefix":
            changes = changes[: rand.randint(0, len(changes))]
        else:
            changes = [one for one in changes if rand.random() < KEPT]
        for old, new, node in changes:
            if old is None or names.get(old) is node:
                _rename(names, old, new, node)
        found = {name: node.survivor(left, rand) for name, node in names.items()}
        return _Folder(dict(found), found)


def _rename(
    names: dict[str, _Inode | _Folder], old: str | None, new: str | None, node: _Inode | _Folder
) -> None:
    if old is not None:
        names.pop(old, None)
    if new is not None:
        names[new] = node


class MemoryDisk:
    """A file system as the log needs it.

    Attributes:
        calls: how many there were so far.
        cut_at: number of the call at which the power goes.
        fault: number of a call, and which of FAULTS it meets.
        struck: whether it has met it.
        fsyncs: how many files were forced to disk.
    """

    def __init__(self, root: _Folder | None = None) -> None:
        self._root = root or _Folder()
        self.calls = 0
        self.cut_at: int | None = None
        self.fault: tuple[int, str] | None = None
        self.struck = False
        self.fsyncs = 0

    @classmethod
    def holding(cls, folder: Path, files: Mapping[str, bytes]) -> MemoryDisk:
        """A disk with these files, by their paths below a folder, all of them forced to disk."""
        disk = cls()
        disk.mkdir(folder)
        top = disk._folder(folder)
        for name, data in files.items():
            *above, last = name.split("/")
            place = top
            for one in above:
                inner = place.names.get(one)
                if not isinstance(inner, _Folder):
                    inner = place.names[one] = place.durable[one] = _Folder()
                place = inner
            place.names[last] = place.durable[last] = _Inode(bytearray(data), data)
        return disk

    @property
    def is_off(self) -> bool:
        """Whether the power has gone."""
        return self.cut_at is not None and self.calls > self.cut_at

    def after_power_cut(self, left: str, seed: int) -> MemoryDisk:
        """The disk as the next start finds it."""
        return MemoryDisk(self._root.survivor(left, random.Random(seed)))

    def call(self, name: str) -> str | None:
        """Counts a call; says what it meets, where it is not an error at once."""
        at = self.calls
        self.calls += 1
        if self.cut_at is not None and at >= self.cut_at:
            raise PowerCutError(f"at call {at}, {name}")
        if self.fault is None or at < self.fault[0] or self.struck:
            return None
        kind = self.fault[1]
        if (calls := FAULTS[kind]) is not None and name not in calls:
            return None
        self.struck = True
        if kind in {"EIO", "ENOSPC"}:
            number = errno.EIO if kind == "EIO" else errno.ENOSPC
            raise OSError(number, os.strerror(number))
        return kind

    def _folder(self, path: Path) -> _Folder:
        node = self._node(path)
        if not isinstance(node, _Folder):
            raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), str(path))
        return node

    def _node(self, path: Path) -> _Inode | _Folder:
        node: _Inode | _Folder = self._root
        for name in path.parts[1:]:
            if not isinstance(node, _Folder) or name not in node.names:
                raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), str(path))
            node = node.names[name]
        return node

    def open(self, path: Path, *, create: bool = True) -> File:
        self.call("open")
        folder = self._folder(path.parent)
        node = folder.names.get(path.name)
        if node is None:
            if not create:
                raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), str(path))
            node = _Inode()
            folder.change(None, path.name, node)
        if not isinstance(node, _Inode):
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(path))
        return _MemoryFile(self, node)

    def lock(self, path: Path) -> File:
        return self.open(path)

    def exists(self, path: Path) -> bool:
        self.call("exists")
        try:
            self._node(path)
        except (FileNotFoundError, NotADirectoryError):
            return False
        return True

    def listdir(self, path: Path) -> list[str]:
        self.call("listdir")
        return sorted(self._folder(path).names)

    def is_dir(self, path: Path) -> bool:
        self.call("is_dir")
        try:
            return isinstance(self._node(path), _Folder)
        except FileNotFoundError:
            return False

    def mkdir(self, path: Path) -> None:
        self.call("mkdir")
        folder = self._root
        for name in path.parts[1:]:
            node = folder.names.get(name)
            if node is None:
                node = _Folder()
                folder.change(None, name, node)
            assert isinstance(node, _Folder)
            folder = node

    def rename(self, old: Path, new: Path) -> None:
        self.call("rename")
        assert old.parent == new.parent
        node = self._node(old)
        self._folder(old.parent).change(old.name, new.name, node)

    def remove(self, path: Path) -> None:
        self.call("remove")
        folder = self._folder(path.parent)
        node = folder.names.get(path.name)
        if node is not None:
            folder.change(path.name, None, node)

    def rmdir(self, path: Path) -> None:
        self.call("rmdir")
        node = self._folder(path)
        if node.names:
            raise OSError(errno.ENOTEMPTY, os.strerror(errno.ENOTEMPTY), str(path))
        self._folder(path.parent).change(path.name, None, node)

    def fsync_dir(self, path: Path) -> None:
        met = self.call("fsync_dir")
        folder = self._folder(path)
        if met:
            # After a failed fsync the system believes that there is nothing left to write.
            folder.pending.clear()
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        folder.settle()


class _MemoryFile:
    def __init__(self, disk: MemoryDisk, inode: _Inode) -> None:
        self._disk = disk
        self._inode = inode

    def writev(self, buffers: Sequence[Buffer]) -> int:
        data = b"".join(buffers)
        try:
            met = self._disk.call("writev")
        except PowerCutError:
            # Some of it may have reached the disk.
            self._inode.change(len(self._inode.data), data)
            raise
        if met:
            data = data[: max(1, len(data) // 2)]
        self._inode.change(len(self._inode.data), data)
        if met == "torn write":
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        return len(data)

    def pread(self, size: int, position: int) -> bytes:
        self._disk.call("pread")
        return bytes(self._inode.data[position : position + size])

    def sendfile(self, socket: int, count: int, position: int) -> int:
        return os.write(socket, self.pread(count, position))

    def size(self) -> int:
        self._disk.call("size")
        return len(self._inode.data)

    def truncate(self, size: int) -> None:
        self._disk.call("truncate")
        self._inode.change(size, None)

    def fsync(self) -> None:
        met = self._disk.call("fsync")
        if met:
            self._inode.pending.clear()
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        self._disk.fsyncs += 1
        self._inode.settle()

    def close(self) -> None:
        """Closing reaches no disk."""
