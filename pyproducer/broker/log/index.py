"""The two sparse indexes of a segment, byte for byte as Kafka keeps them.

``.index`` maps offsets to places in the ``.log``: 8-byte entries, the *last* offset of a batch
relative to the segment's base and the position where that batch starts. ``.timeindex`` maps time
to offsets: 12-byte entries, the highest timestamp so far and the last offset of the batch that
brought it. Both only grow, in both columns, so a lookup is a binary search.

An index is a help, never the truth: it can be rebuilt from the log. The entries of the segment
that is written to are therefore kept in memory and written behind, at flush, roll and close.
Those of the others stay on disk and are probed there, so that a long log costs no memory.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final, NamedTuple

from pyproducer.broker.log.filesystem import File, FileSystem, append_all

__all__ = [
    "OFFSET_ENTRY",
    "TIME_ENTRY",
    "CorruptIndexError",
    "OffsetIndex",
    "OffsetPosition",
    "TimeIndex",
    "TimestampOffset",
]

#: An entry of a ``.index``: relative offset, position.
OFFSET_ENTRY: Final = struct.Struct(">ii")
#: An entry of a ``.timeindex``: timestamp, relative offset.
TIME_ENTRY: Final = struct.Struct(">qi")


class CorruptIndexError(Exception):
    """An index file cannot be what the log wrote; rebuild it from the log."""


class TimestampOffset(NamedTuple):
    """A timestamp in milliseconds, and the last offset of the batch that carries it."""

    timestamp: int
    offset: int


class OffsetPosition(NamedTuple):
    """The last offset of a batch, and the byte of the ``.log`` where it starts."""

    offset: int
    position: int


class _SparseIndex:
    """Fixed-size entries in one file; in memory too while the index is growing.

    Args:
        fs: Where the file is.
        path: Its name.
        base_offset: First offset of the segment, which offsets are relative to.
        max_bytes: ``segment.index.bytes``.
    """

    _ENTRY: struct.Struct
    #: Entries that are kept free in an index of the segment that is written to.
    _SPARE = 0

    def __init__(self, fs: FileSystem, path: Path, base_offset: int, max_bytes: int) -> None:
        self._fs = fs
        self.path = path
        self.base_offset = base_offset
        # Asked at every batch, so in bytes, which need no division.
        self._full_from = max(1, max_bytes // self._ENTRY.size - self._SPARE) * self._ENTRY.size
        self._memory: bytearray | None = None
        self._written = 0

    def open(self, *, growing: bool) -> None:
        """The file is known to hold a possible index; ``growing`` also loads it.

        Raises:
            CorruptIndexError: the length or the order of the entries is impossible.
        """
        with _opened(self._fs, self.path) as file:
            size = file.size()
            if size % self._ENTRY.size:
                raise CorruptIndexError(f"{self.path}: {size} bytes are no whole entries")
            self._written = size
            self._memory = bytearray(file.pread(size, 0)) if growing else None
        if len(self):
            first, last = self._entry(0), self._entry(len(self) - 1)
            if first[0] < 0 or last[0] < first[0] or last[1] < first[1] or first[1] < 0:
                raise CorruptIndexError(f"{self.path}: entries run from {first} to {last}")

    def __len__(self) -> int:
        return self.size // self._ENTRY.size

    @property
    def size(self) -> int:
        """Bytes of all entries."""
        memory = self._memory
        return self._written if memory is None else len(memory)

    @property
    def full(self) -> bool:
        """Whether the segment has to be rolled before there is another entry to be made."""
        memory = self._memory
        return (self._written if memory is None else len(memory)) >= self._full_from

    def _entry(self, at: int) -> tuple[int, int]:
        """The entry at a place, as it is stored."""
        size = self._ENTRY.size
        if self._memory is not None:
            first, second = self._ENTRY.unpack_from(self._memory, at * size)
        else:
            with _opened(self._fs, self.path) as file:
                first, second = self._ENTRY.unpack(file.pread(size, at * size))
        return first, second

    def _raw(self) -> Iterator[tuple[int, int]]:
        """Every entry, as it is stored."""
        if self._memory is not None:
            data = bytes(self._memory)
        else:
            with _opened(self._fs, self.path) as file:
                data = file.pread(self._written, 0)
        yield from self._ENTRY.iter_unpack(data)

    def _floor(self, target: int, column: int) -> tuple[int, int] | None:
        """The last entry whose ``column`` is at most ``target``, as it is stored."""
        size, memory = self._ENTRY.size, self._memory
        if memory is not None:
            unpack = self._ENTRY.unpack_from
            return _search(lambda at: unpack(memory, at * size), len(self), target, column)
        with _opened(self._fs, self.path) as file:
            return _search(
                lambda at: self._ENTRY.unpack(file.pread(size, at * size)),
                len(self),
                target,
                column,
            )

    def _append(self, first: int, second: int) -> None:
        if self._memory is None:
            raise ValueError(f"{self.path} is sealed: no entry may follow")
        self._memory.extend(self._ENTRY.pack(first, second))

    def write_behind(self) -> None:
        """All entries are in the file (not necessarily on the platter)."""
        if self._memory is None or self._written == len(self._memory):
            return
        with _opened(self._fs, self.path) as file:
            append_all(file, [bytes(self._memory[self._written :])], at=self._written)
        self._written = len(self._memory)

    def seal(self) -> None:
        """The file is complete and the memory is released: no entry will follow."""
        self.write_behind()
        self._memory = None

    def clear(self) -> None:
        """The index is empty, in memory and in the file, and growing."""
        with _opened(self._fs, self.path) as file:
            file.truncate(0)
        self._memory = bytearray()
        self._written = 0


class _opened:  # noqa: N801  a context manager, spelled as one
    """An index file for the length of one use: a long log must not hold its descriptors."""

    __slots__ = ("_file",)

    def __init__(self, fs: FileSystem, path: Path) -> None:
        self._file = fs.open(path)

    def __enter__(self) -> File:
        return self._file

    def __exit__(self, *args: object) -> None:
        self._file.close()


def _search(
    entry: Callable[[int], tuple[int, int]], count: int, target: int, column: int
) -> tuple[int, int] | None:
    low, high = 0, count
    best: tuple[int, int] | None = None
    while low < high:
        middle = (low + high) // 2
        probe = entry(middle)
        if probe[column] <= target:
            best, low = probe, middle + 1
        else:
            high = middle
    return best


class OffsetIndex(_SparseIndex):
    """Where in the ``.log`` the batch that ends at an offset starts."""

    _ENTRY = OFFSET_ENTRY

    @property
    def last(self) -> OffsetPosition | None:
        """The newest entry, or None."""
        return self._absolute(self._entry(len(self) - 1)) if len(self) else None

    def _absolute(self, entry: tuple[int, int]) -> OffsetPosition:
        return OffsetPosition(entry[0] + self.base_offset, entry[1])

    def append(self, last_offset: int, position: int) -> None:
        """The batch starting at ``position`` ends with ``last_offset``."""
        self._append(last_offset - self.base_offset, position)

    def position_of(self, offset: int) -> int:
        """A batch start at or before the batch that holds ``offset``."""
        entry = self._floor(offset - self.base_offset, 0)
        return entry[1] if entry else 0

    def position_before(self, position: int) -> int:
        """The last known batch start at or before ``position``."""
        entry = self._floor(position, 1)
        return entry[1] if entry else 0

    def entries(self) -> list[OffsetPosition]:
        """Every entry, in order."""
        return [self._absolute(entry) for entry in self._raw()]


class TimeIndex(_SparseIndex):
    """Which batch first reached a timestamp."""

    _ENTRY = TIME_ENTRY
    # The one that closing the segment needs.
    _SPARE = 1

    @property
    def last(self) -> TimestampOffset:
        """The newest entry; (-1, base offset) when there is none."""
        if not len(self):
            return TimestampOffset(-1, self.base_offset)
        return self._absolute(self._entry(len(self) - 1))

    def _absolute(self, entry: tuple[int, int]) -> TimestampOffset:
        return TimestampOffset(entry[0], entry[1] + self.base_offset)

    def maybe_append(self, timestamp: int, offset: int) -> None:
        """``timestamp`` was first reached by the batch ending at ``offset``, if that is news."""
        if timestamp > self.last.timestamp:
            self._append(timestamp, offset - self.base_offset)

    def offset_before(self, timestamp: int) -> int:
        """An offset below which every record is older than ``timestamp``."""
        entry = self._floor(timestamp - 1, 0)
        return entry[1] + self.base_offset if entry else self.base_offset

    def entries(self) -> list[TimestampOffset]:
        """Every entry, oldest first."""
        return [self._absolute(entry) for entry in self._raw()]
