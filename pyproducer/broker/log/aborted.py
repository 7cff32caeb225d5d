"""Which stretches of a log belong to aborted transactions (``.txnindex``), as Kafka keeps them.

Readers of committed records get the list with the records and leave out what it names. An entry is
34 bytes: version 0, producer id, first offset of the transaction, offset of its marker, and the
last stable offset once it had ended. There is no file as long as nothing was aborted.

Unlike the sparse indexes this one cannot be rebuilt from its segment alone: where a transaction
began is known to the producers' state, so recovery fills it while it replays that.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable
from pathlib import Path
from typing import Final, NamedTuple

from pyproducer.broker.log.filesystem import FileSystem, append_all, read_file
from pyproducer.broker.log.index import CorruptIndexError

__all__ = ["AbortedIndex", "AbortedTransaction", "unpack_aborted"]

_VERSION: Final = 0
_ENTRY: Final = struct.Struct(">hqqqq")


class AbortedTransaction(NamedTuple):
    """One aborted transaction on one partition.

    Attributes:
        producer_id: Whose it was.
        first_offset: Offset of its first record.
        last_offset: Offset of the marker that ended it.
        last_stable_offset: Offset below which no other transaction was open at that time:
            nothing that is aborted later starts below it.
    """

    producer_id: int
    first_offset: int
    last_offset: int
    last_stable_offset: int


def unpack_aborted(raw: bytes) -> list[AbortedTransaction]:
    """The entries of a ``.txnindex`` file, in the order of their markers.

    Raises:
        CorruptIndexError: it holds something else.
    """
    if len(raw) % _ENTRY.size:
        raise CorruptIndexError(f"{len(raw)} bytes are no whole entries")
    found: list[AbortedTransaction] = []
    for version, *fields in _ENTRY.iter_unpack(raw):
        entry = AbortedTransaction(*fields)
        before = found[-1].last_offset if found else -1
        if version != _VERSION or not before < entry.last_offset >= entry.first_offset >= 0:
            raise CorruptIndexError(f"entry {len(found)}: version {version}, {entry}")
        found.append(entry)
    return found


class AbortedIndex:
    """The aborted transactions whose markers are in one segment, in the order of the markers.

    Entries are in memory while the segment grows and written behind; those of a sealed segment
    are read from the file when asked for.

    Args:
        fs: Where the file is.
        path: Its name.

    Attributes:
        complete: Off while entries of markers that are in the segment may be missing.
    """

    def __init__(self, fs: FileSystem, path: Path) -> None:
        self.path = path
        self.complete = True
        self._fs = fs
        self._memory: list[AbortedTransaction] | None = None
        self._written = 0

    def open(self, *, growing: bool) -> None:
        """The file is known to hold possible entries; ``growing`` also loads them.

        Raises:
            CorruptIndexError: it does not.
        """
        found = self._load()
        self._written = len(found)
        self._memory = found if growing else None

    def __len__(self) -> int:
        return self._written if self._memory is None else len(self._memory)

    def entries(self) -> Iterable[AbortedTransaction]:
        """Every entry, in order.

        Raises:
            CorruptIndexError: the file has changed under us.
            OSError: it cannot be read.
        """
        if self._memory is not None:
            return self._memory
        return self._load() if self._written else ()

    def append(self, entry: AbortedTransaction) -> None:
        """The transaction is listed."""
        if self._memory is None:
            raise ValueError(f"{self.path} is sealed: no entry may follow")
        self._memory.append(entry)

    def write_behind(self) -> None:
        """All entries are in the file (not necessarily on the platter)."""
        if self._memory is None or self._written == len(self._memory):
            return
        data = b"".join(_ENTRY.pack(_VERSION, *one) for one in self._memory[self._written :])
        file = self._fs.open(self.path)
        try:
            append_all(file, [data], at=self._written * _ENTRY.size)
        finally:
            file.close()
        self._written = len(self._memory)

    def seal(self) -> None:
        """The file is complete and the memory is released: no entry will follow."""
        self.write_behind()
        self._memory = None

    def clear(self) -> None:
        """No transaction is listed, in memory or in the file; entries may follow."""
        self._fs.remove(self.path)
        self._memory = []
        self._written = 0

    def truncate(self, offset: int) -> None:
        """No transaction is listed whose marker has that offset or a later one.

        Entries may follow. A file that cannot be read leaves an index that is not complete.
        """
        try:
            kept = [one for one in self.entries() if one.last_offset < offset]
        except CorruptIndexError:
            kept = []
            self.complete = False
        self.clear()
        self._memory = kept
        self.write_behind()

    def rebuild(self, entries: Iterable[AbortedTransaction]) -> None:
        """These transactions are listed and no others; a sealed index stays sealed."""
        sealed = self._memory is None
        self.clear()
        self._memory = list(entries)
        self.complete = True
        if sealed:
            self.seal()

    def _load(self) -> list[AbortedTransaction]:
        try:
            return unpack_aborted(read_file(self._fs, self.path) or b"")
        except CorruptIndexError as error:
            raise CorruptIndexError(f"{self.path}: {error}") from error
