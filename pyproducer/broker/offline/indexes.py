"""Index files, read whole, and held against the batches that pass by."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from pyproducer.broker.log.index import OFFSET_ENTRY, TIME_ENTRY
from pyproducer.broker.offline.problem import REBUILD, Problem
from pyproducer.records.batch import BatchHeader

#: No index is larger: positions in a segment are 31 bits, and entries some bytes of log apart.
_LARGEST: Final = 64 << 20


def read_entries(path: Path, entry: struct.Struct, *, padded: bool) -> list[tuple[int, int]]:
    """The entries of an index file, as they are stored; none where there is no file.

    Args:
        path: The file.
        entry: The form of an entry.
        padded: Whether zeros at the end are space that a running Kafka has taken beforehand.

    Raises:
        OSError: It cannot be read.
        ValueError: It is no index; says why.
    """
    try:
        size = path.stat().st_size
    except FileNotFoundError:
        return []
    if size > _LARGEST:
        raise ValueError(f"{size} bytes are more than any index has")
    raw = path.read_bytes()
    if padded:
        # An entry whose first field is 0 may end in zeros; none is all zeros.
        kept = -(-len(raw.rstrip(b"\0")) // entry.size) * entry.size
        raw = raw[:kept]
    if len(raw) % entry.size:
        raise ValueError(f"{len(raw)} bytes are no whole entries of {entry.size} bytes")
    return list(entry.iter_unpack(raw))


class _Checked:
    """The entries of one index, taken in order while the batches of its segment pass by."""

    _ENTRY: struct.Struct
    _SUFFIX: str

    def __init__(self, path: Path, base: int, *, padded: bool) -> None:
        self.path = path
        self._base = base
        self._entries: list[tuple[int, int]] = []
        self._at = 0
        self.first: Problem | None = None
        if not path.exists():
            self.first = Problem(path, "", "the file is missing", REBUILD)
            return
        try:
            self._entries = read_entries(path, self._ENTRY, padded=padded)
        except ValueError as error:
            self.first = Problem(path, "", str(error), REBUILD)

    def _next(self) -> tuple[int, int] | None:
        return self._entries[self._at] if self._at < len(self._entries) else None

    def _problem(self, what: str) -> Problem:
        return Problem(self.path, f"entry {self._at}", what, REBUILD)

    def _order(self) -> Iterator[Problem]:
        if self._at and not _rises(self._entries[self._at - 1], self._entries[self._at]):
            before, this = self._entries[self._at - 1], self._entries[self._at]
            yield self._problem(f"{this} does not come behind {before}")


def _rises(before: tuple[int, int], this: tuple[int, int]) -> bool:
    return before[0] < this[0] and before[1] < this[1]


class OffsetIndexCheck(_Checked):
    """Every entry names the start of a batch, and that batch's last offset."""

    _ENTRY = OFFSET_ENTRY

    def see(self, position: int, header: BatchHeader) -> Iterator[Problem]:
        """A batch passes by."""
        while (entry := self._next()) is not None and entry[1] <= position:
            yield from self._order()
            offset = entry[0] + self._base
            if entry[1] < position:
                yield self._problem(f"offset {offset} at byte {entry[1]}, where no batch begins")
            elif offset != header.last_offset:
                yield self._problem(
                    f"offset {offset} at byte {entry[1]}, where a batch begins that ends with "
                    f"offset {header.last_offset}"
                )
            self._at += 1

    def end(self, size: int) -> Iterator[Problem]:
        """All batches have passed by; the log has so many bytes."""
        while (entry := self._next()) is not None:
            yield self._problem(
                f"offset {entry[0] + self._base} at byte {entry[1]} of a log of {size} bytes, "
                "where no batch begins"
            )
            self._at += 1


class TimeIndexCheck(_Checked):
    """Every entry names the highest timestamp so far, and an offset of the batch that has it."""

    _ENTRY = TIME_ENTRY

    def __init__(self, path: Path, base: int, *, padded: bool) -> None:
        super().__init__(path, base, padded=padded)
        self._highest = -1

    def see(self, header: BatchHeader) -> Iterator[Problem]:
        """A batch passes by."""
        while (entry := self._next()) is not None and entry[1] + self._base <= header.last_offset:
            yield from self._order()
            offset = entry[1] + self._base
            if offset < header.base_offset:
                yield self._problem(f"offset {offset}, which no batch holds")
            elif entry[0] != header.max_timestamp:
                yield self._problem(
                    f"timestamp {entry[0]} at offset {offset}, whose batch has "
                    f"{header.max_timestamp}"
                )
            elif entry[0] < self._highest:
                yield self._problem(
                    f"timestamp {entry[0]} at offset {offset}, behind one of {self._highest}"
                )
            self._at += 1
        self._highest = max(self._highest, header.max_timestamp)

    def end(self) -> Iterator[Problem]:
        """All batches have passed by."""
        while (entry := self._next()) is not None:
            yield self._problem(f"offset {entry[1] + self._base}, behind the last batch")
            self._at += 1
