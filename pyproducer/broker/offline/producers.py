"""Producers as the batches tell of them, and what snapshots and ``.txnindex`` files say of that."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from pyproducer.broker.log.aborted import AbortedTransaction, unpack_aborted
from pyproducer.broker.log.config import LogConfig
from pyproducer.broker.log.index import CorruptIndexError
from pyproducer.broker.log.markers import end_marker
from pyproducer.broker.log.producer_state import (
    CorruptSnapshotError,
    ProducerEntry,
    ProducerStates,
)
from pyproducer.broker.offline.problem import REBUILD, Problem
from pyproducer.records.reader import Batch


def read_snapshot(path: Path) -> ProducerStates:
    """The producers of a ``.snapshot`` file.

    Raises:
        OSError: It cannot be read.
        CorruptSnapshotError: It is none.
    """
    states = ProducerStates(LogConfig)
    states.load(path.read_bytes(), now_ms=0)
    return states


class ProducersCheck:
    """Follows the producers of one partition from batch to batch.

    Args:
        snapshots: Files by their offsets.

    Attributes:
        whole: Off once something is known to be missing between the batches, by compaction or
            damage: what is derived from them is then not all.
    """

    def __init__(self, snapshots: dict[int, Path]) -> None:
        self.whole = True
        self._waiting = sorted(snapshots.items(), reverse=True)
        self._states = ProducerStates(LogConfig)
        self._seen: set[int] = set()
        self._start = -1

    def begin(self, offset: int) -> Iterator[Problem]:
        """The log starts there; what was before, only a snapshot tells."""
        self._start = offset
        for at, _, told in self._until(offset):
            if isinstance(told, Problem):
                yield told
            elif at == offset:
                self._states = told

    def see(self, batch: Batch) -> AbortedTransaction | None:
        """A sound batch passes by; gives the transaction that it aborts."""
        header = batch.header
        if header.producer_id < 0:
            return None
        self._seen.add(header.producer_id)
        if not header.is_control:
            self._states.update(
                header, base_offset=header.base_offset, timestamp=header.max_timestamp, now_ms=0
            )
            return None
        marker = end_marker(batch)
        if marker is None:
            return None
        return self._states.end_transaction(
            header.producer_id,
            header.producer_epoch,
            marker,
            offset=header.base_offset,
            timestamp=header.max_timestamp,
            now_ms=0,
        )

    def reach(self, offset: int) -> Iterator[Problem]:
        """All batches below that offset have passed by: snapshots up to it are held to them."""
        for at, path, told in self._until(offset):
            if isinstance(told, Problem):
                yield told
            elif self.whole:
                yield from self._compare(at, path, told)

    def end(self, offset: int) -> Iterator[Problem]:
        """The log ends there."""
        yield from self.reach(offset)
        for at, path in reversed(self._waiting):
            yield Problem(path, "", f"speaks of offset {at}, and the log ends at {offset}", REBUILD)

    def _until(self, offset: int) -> Iterator[tuple[int, Path, ProducerStates | Problem]]:
        """Offset, file and contents of each snapshot up to there that was not looked at yet."""
        while self._waiting and self._waiting[-1][0] <= offset:
            at, path = self._waiting.pop()
            try:
                yield at, path, read_snapshot(path)
            except CorruptSnapshotError as error:
                what = f"no snapshot of producers: {error}"
                yield at, path, Problem(path, "", what, REBUILD)

    def _compare(self, offset: int, path: Path, told: ProducerStates) -> Iterator[Problem]:
        for entry in told.entries():
            where = f"producer {entry.producer_id}"
            known = self._states.get(entry.producer_id)
            last = entry.batches[-1].last_offset if entry.batches else -1
            if last >= offset:
                what = f"its last batch ends with offset {last}, behind the snapshot's own"
            elif known is None or entry.producer_id not in self._seen:
                # Its batches are gone, or it has never been anywhere else than here.
                if last < self._start:
                    continue
                what = f"a last batch at offset {last}, where the log has none of it"
            elif _picture(known) != _picture(entry):
                what = f"{_told(entry)}; by the batches it is {_told(known)}"
            else:
                continue
            yield Problem(path, where, what, REBUILD)
        for entry in self._states.entries():
            if entry.txn_first_offset is not None and told.get(entry.producer_id) is None:
                what = f"its transaction, open since offset {entry.txn_first_offset}, is missing"
                yield Problem(path, f"producer {entry.producer_id}", what, REBUILD)


def _picture(entry: ProducerEntry) -> tuple[int, int, int, int | None]:
    last = entry.batches[-1].last_offset if entry.batches else -1
    return entry.epoch, entry.last_sequence, last, entry.txn_first_offset


def _told(entry: ProducerEntry) -> str:
    epoch, sequence, offset, open_since = _picture(entry)
    transaction = "" if open_since is None else f", transaction open since offset {open_since}"
    return f"epoch {epoch}, last sequence {sequence} at offset {offset}{transaction}"


class AbortedCheck:
    """The aborted transactions of one segment, held against its markers."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._waiting: dict[int, AbortedTransaction] = {}
        self.first: Problem | None = None
        try:
            raw = path.read_bytes()
        except FileNotFoundError:
            return
        try:
            self._waiting = {one.last_offset: one for one in unpack_aborted(raw)}
        except CorruptIndexError as error:
            self.first = Problem(path, "", str(error), REBUILD)

    def see(
        self, batch: Batch, aborted: AbortedTransaction | None, *, whole: bool
    ) -> Iterator[Problem]:
        """A control batch passes by, which by the batches before it aborts this transaction."""
        offset = batch.header.base_offset
        listed = self._waiting.pop(offset, None)
        if self.first is not None:
            return
        where = f"marker at offset {offset}"
        if listed is None:
            if aborted is not None and whole:
                yield Problem(
                    self._path,
                    where,
                    f"the transaction of producer {aborted.producer_id} from offset "
                    f"{aborted.first_offset} on was aborted, and is not listed",
                    REBUILD,
                )
            return
        marker = end_marker(batch)
        if marker is None or marker.commit or listed.producer_id != batch.header.producer_id:
            what = f"lists an abort by producer {listed.producer_id}, where there is none"
            yield Problem(self._path, where, what, REBUILD)
        elif whole and aborted is not None and aborted.first_offset != listed.first_offset:
            yield Problem(
                self._path,
                where,
                f"the transaction of producer {listed.producer_id} begins at offset "
                f"{aborted.first_offset}, not {listed.first_offset}",
                REBUILD,
            )

    def end(self, *, whole: bool) -> Iterator[Problem]:
        """All batches of the segment have passed by."""
        for offset, listed in self._waiting.items() if whole else ():
            what = f"lists an abort by producer {listed.producer_id}, where there is no marker"
            yield Problem(self._path, f"marker at offset {offset}", what, REBUILD)
