"""Everything that must hold of one partition's folder, checked in one pass over its batches."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from pyproducer.broker.log.checkpoints import CorruptCheckpointError, parse_lines
from pyproducer.broker.log.directory import parse_topic_id
from pyproducer.broker.offline.batches import Damage, fault_of, read_batches
from pyproducer.broker.offline.folders import EPOCHS, PartitionFolder
from pyproducer.broker.offline.indexes import OffsetIndexCheck, TimeIndexCheck
from pyproducer.broker.offline.problem import CUT, LEFT, REBUILD, RESTORE, Problem
from pyproducer.broker.offline.producers import AbortedCheck, ProducersCheck
from pyproducer.records.batch import BatchHeader
from pyproducer.records.reader import Batch

_NONE: Final = -1


@dataclass(slots=True)
class Totals:
    """How much was looked at."""

    partitions: int = 0
    segments: int = 0
    batches: int = 0
    records: int = 0
    bytes: int = 0


@dataclass(frozen=True, slots=True)
class Outside:
    """What is known of a partition from outside its folder.

    Attributes:
        running: Whether a broker may be writing to it.
        compacted: Whether the log was ever compacted, by the cleaner's checkpoint; None where
            that does not tell.
    """

    running: bool = False
    compacted: bool | None = None


class PartitionCheck:
    """Checks one partition, once.

    Args:
        folder: What is there.
        outside: What is known besides.
        totals: Counts on.
        advance: Told how many bytes have been read.

    Attributes:
        start: The first offset, known after `problems`; -1 without segments.
        end: The offset behind the last batch, likewise.
    """

    def __init__(
        self,
        folder: PartitionFolder,
        outside: Outside,
        totals: Totals,
        advance: Callable[[int], object],
    ) -> None:
        self.start = self.end = _NONE
        self._folder = folder
        self._outside = outside
        self._totals = totals
        self._advance = advance
        self._producers = ProducersCheck(folder.snapshots())
        self._epochs: list[tuple[int, int]] = []
        self._epoch = _NONE
        # Kafka's cleaner is not in its checkpoint before it was at the end once.
        self._compacted = outside.compacted

    def problems(self) -> Iterator[Problem]:
        """Everything that is wrong, in the order of the log."""
        folder = self._folder
        self._totals.partitions += 1
        if not self._outside.running:
            for path in folder.passing:
                what = "left by a broker that ended in the middle of something"
                yield Problem(path, "", what, LEFT)
        for path in folder.orphans:
            yield Problem(path, "", "a file of a segment that is not there", LEFT)
        yield from self._metadata()
        yield from self._load_epochs()
        if folder.bases:
            self.start = self.end = folder.bases[0]
            yield from self._producers.begin(self.start)
        for at, base in enumerate(folder.bases):
            following = folder.bases[at + 1] if at + 1 < len(folder.bases) else None
            yield from self._segment(base, following)
        if folder.bases:
            yield from self._producers.end(self.end)
        for line, (epoch, start) in enumerate(self._epochs, start=3):
            if start > self.end and not self._outside.running:
                what = f"epoch {epoch} starts at offset {start}, and the log ends at {self.end}"
                yield Problem(folder.path / EPOCHS, f"line {line}", what, REBUILD)

    def _metadata(self) -> Iterator[Problem]:
        path = self._folder.path / "partition.metadata"
        if not path.exists():
            return
        try:
            parse_topic_id(path.read_bytes())
        except ValueError as error:
            way_out = "write the topic's id into it again: the topic's other partitions have it"
            yield Problem(path, "", f"no topic id: {error}", way_out)

    def _load_epochs(self) -> Iterator[Problem]:
        path = self._folder.path / EPOCHS
        if not path.exists():
            return
        try:
            rows = parse_lines(path.read_bytes(), path, 2)
            self._epochs = [(int(epoch), int(start)) for epoch, start in rows]
        except (CorruptCheckpointError, ValueError) as error:
            yield Problem(path, "", str(error), REBUILD)
            return
        for line, (before, this) in enumerate(itertools.pairwise(self._epochs), start=4):
            if not (before[0] < this[0] and before[1] <= this[1]):
                what = f"epoch {this[0]} from offset {this[1]} on, behind epoch {before[0]} from "
                yield Problem(path, f"line {line}", f"{what}{before[1]} on", REBUILD)

    def _segment(self, base: int, following: int | None) -> Iterator[Problem]:
        folder, last = self._folder, following is None
        log = folder.file(base, ".log")
        # Before the log's size is asked for: entries are written behind their batches.
        index = OffsetIndexCheck(folder.file(base, ".index"), base, padded=last)
        times = TimeIndexCheck(folder.file(base, ".timeindex"), base, padded=last)
        aborted = AbortedCheck(folder.file(base, ".txnindex"))
        size = log.stat().st_size
        yield from (one.first for one in (index, times, aborted) if one.first is not None)
        self._totals.segments += 1
        yield from self._between(log, base)
        read = 0
        for position, found in read_batches(log, size):
            if isinstance(found, Damage):
                yield from self._damage(log, found, last=last)
                self._advance(size - read)
                self._totals.bytes += size - read
                self._producers.whole = False
                return
            header = found.header
            self._totals.batches += 1
            self._totals.records += header.record_count
            yield from self._place(log, position, header, following)
            # A snapshot is of the moment before the batch at its offset.
            yield from self._producers.reach(header.base_offset)
            fault = fault_of(found)
            if fault is not None:
                yield Problem(log, f"byte {position}", fault, RESTORE)
                self._producers.whole = False
            yield from index.see(position, header)
            yield from times.see(header)
            if fault is None:
                yield from self._follow(found, aborted)
            read = position + header.size
            self._totals.bytes += header.size
            self._advance(header.size)
        yield from index.end(size)
        yield from times.end()
        yield from aborted.end(whole=self._producers.whole)

    def _follow(self, batch: Batch, aborted: AbortedCheck) -> Iterator[Problem]:
        ended = self._producers.see(batch)
        if batch.header.is_control:
            yield from aborted.see(batch, ended, whole=self._producers.whole)

    def _between(self, log: Path, base: int) -> Iterator[Problem]:
        """What lies between the segment before and this one."""
        if base > self.end:
            self._producers.whole = False
            if self._compacted is False:
                what = (
                    f"offsets {self.end} to {base - 1} are missing, and neither its batches nor "
                    "cleaner-offset-checkpoint say that the log was ever compacted"
                )
                yield Problem(log, "", what, RESTORE)
            self.end = base

    def _place(
        self, log: Path, position: int, header: BatchHeader, following: int | None
    ) -> Iterator[Problem]:
        """The batch's offsets and epoch, given what came before."""
        where = f"byte {position}"
        first, last = header.base_offset, header.last_offset
        if first < self.end:
            what = f"a batch of offsets {first} to {last} behind offset {self.end - 1}"
            yield Problem(log, where, what, RESTORE)
        elif first > self.end:
            self._producers.whole = False
            # No disk loses a batch between two that follow each other byte by byte.
            self._compacted = True
        if header.record_count <= header.last_offset_delta:
            self._compacted = True
        if following is not None and last >= following:
            what = f"a batch that ends with offset {last}, and the next segment begins {following}"
            yield Problem(log, where, what, RESTORE)
        self.end = max(self.end, last + 1)
        epoch = header.leader_epoch
        if epoch < self._epoch:
            what = f"a batch of leader epoch {epoch} behind one of epoch {self._epoch}"
            yield Problem(log, where, what, RESTORE)
        elif epoch > self._epoch:
            yield from self._new_epoch(first, epoch)
        self._epoch = epoch

    def _new_epoch(self, offset: int, epoch: int) -> Iterator[Problem]:
        covering = [known for known, start in self._epochs if start <= offset]
        if covering and covering[-1] != epoch:
            what = f"says epoch {covering[-1]} for offset {offset}, whose batch has epoch {epoch}"
            yield Problem(self._folder.path / EPOCHS, f"offset {offset}", what, REBUILD)

    def _damage(self, log: Path, damage: Damage, *, last: bool) -> Iterator[Problem]:
        if damage.torn and last:
            if not self._outside.running:
                yield Problem(log, f"byte {damage.position}", damage.what, CUT)
            return
        yield Problem(log, f"byte {damage.position}", damage.what, RESTORE)
