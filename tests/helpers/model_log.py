"""One partition of the model cluster: a log, and Kafka's rules for sequences and epochs.

A record is committed once it is replicated; what is not may vanish when the leader does. Every
value stands for itself: no two records of a schedule have the same.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import deque
from dataclasses import dataclass, field
from enum import Enum
from typing import NamedTuple

from pyproducer.protocol.error_codes import ErrorCode
from pyproducer.records import reader
from pyproducer.records.batch import SEQUENCE_MODULUS

E = ErrorCode

#: So many batches of a producer a partition can tell from new ones.
REMEMBERED = 5


class Amnesia(Enum):
    """What a broker answers a producer that it has forgotten."""

    #: Nothing but a newer epoch is taken: UNKNOWN_PRODUCER_ID.
    EXPIRED = "expired"
    #: Only sequence 0 begins a log: else UNKNOWN_PRODUCER_ID.
    STRICT = "strict"
    #: Any sequence is taken for a first one, as released brokers do.
    LENIENT = "lenient"


class LogBatch(NamedTuple):
    """A batch in the log."""

    base: int
    values: list[bytes]
    producer_id: int
    epoch: int
    first: int
    last: int
    transactional: bool = False
    #: How a transaction ended, where this is the marker of an end.
    commit: bool | None = None

    @property
    def end(self) -> int:
        """The offset after its last record."""
        return self.base + len(self.values)


@dataclass(slots=True)
class ProducerEntry:
    """What a partition knows of a producer id: its epoch and its last five batches."""

    epoch: int
    batches: deque[LogBatch] = field(default_factory=lambda: deque(maxlen=REMEMBERED))
    expired: bool = False


def _base(batch: LogBatch) -> int:
    return batch.base


class ModelPartition:
    """One partition.

    Attributes:
        leader: the broker that leads it, or -1.
        epoch: of its leader; grows with each.
        generation: the same, and it never begins anew.
        history: leader and epoch of each time.
        leads_from: when the leader knows that it is one.
        zombie: the leader before, and until when it believes that it still is.
        committed: the offset below which everything is replicated.
        lost: values that were in the log of a leader and went with it.
        deleted: values that were in the log of a topic that was deleted.
        open: producer ids, each with its epoch, with a transaction that has data here and no end.
        forgotten: producers were forgotten where the broker then takes any sequence: it
            cannot tell duplicates any more, nor a batch from its successor.
    """

    def __init__(self, topic: str, number: int, leader: int) -> None:
        self.topic = topic
        self.number = number
        self.leader = leader
        self.epoch = 0
        self.generation = 0
        self.history = [(leader, 0)]
        self.leads_from = 0.0
        self.zombie = (-1, 0.0)
        self.batches: list[LogBatch] = []
        self.end = 0
        self.committed = 0
        self.producers: dict[int, ProducerEntry] = {}
        self.lost: set[bytes] = set()
        self.deleted: set[bytes] = set()
        self.forgotten = False
        self.strict = False
        self.open: dict[int, int] = {}

    @property
    def log(self) -> list[bytes]:
        """The values, by offset."""
        return [value for batch in self.batches for value in batch.values]

    def writer(self, offset: int) -> int:
        """The producer id of the record at an offset."""
        return self.batches[bisect_right(self.batches, offset, key=_base) - 1].producer_id

    def append(self, batch: reader.Batch) -> tuple[int, int]:
        """Error code and base offset of an append."""
        header = batch.header
        if header.producer_id < 0:
            return 0, self._write(batch).base
        entry = self.producers.get(header.producer_id)
        first, last = header.base_sequence, header.last_sequence
        if entry is None:
            if self.strict and first:
                return int(E.UNKNOWN_PRODUCER_ID), -1
            entry = self.producers[header.producer_id] = ProducerEntry(header.producer_epoch)
        elif header.producer_epoch < entry.epoch:
            return int(E.INVALID_PRODUCER_EPOCH), -1
        elif header.producer_epoch > entry.epoch:
            if first != 0:
                return int(E.OUT_OF_ORDER_SEQUENCE_NUMBER), -1
            entry = self.producers[header.producer_id] = ProducerEntry(header.producer_epoch)
        elif entry.expired:
            return int(E.UNKNOWN_PRODUCER_ID), -1
        else:
            for known in entry.batches:
                if (known.first, known.last) == (first, last):
                    return 0, known.base
            last_known = entry.batches[-1].last if entry.batches else -1
            if first != (last_known + 1) % SEQUENCE_MODULUS:
                return int(E.OUT_OF_ORDER_SEQUENCE_NUMBER), -1
        made = self._write(batch)
        entry.batches.append(made)
        return 0, made.base

    def _write(self, batch: reader.Batch) -> LogBatch:
        header = batch.header
        values = [record.value or b"" for record in batch.records()]
        made = LogBatch(
            self.end,
            values,
            header.producer_id,
            header.producer_epoch,
            header.base_sequence,
            header.last_sequence,
            header.is_transactional,
        )
        if header.is_transactional:
            self.open[header.producer_id] = header.producer_epoch
        self.batches.append(made)
        self.end = made.end
        return made

    def end_transaction(self, producer_id: int, epoch: int, *, commit: bool) -> None:
        """Write the marker of an end, which is replicated at once."""
        made = LogBatch(self.end, [b""], producer_id, epoch, -1, -1, True, commit)
        self.batches.append(made)
        self.end = self.committed = made.end
        self.open.pop(producer_id, None)
        self._take_marker(made)

    def _take_marker(self, marker: LogBatch) -> None:
        entry = self.producers.get(marker.producer_id)
        if entry is None or entry.epoch < marker.epoch:
            # Nothing of an older epoch is taken any more.
            self.producers[marker.producer_id] = ProducerEntry(marker.epoch)

    def committed_values(self) -> list[bytes]:
        """What a reader of committed data sees, in order."""
        fates: dict[int, bool] = {}
        seen: list[bytes] = []
        for batch in reversed(self.batches):
            if batch.commit is not None:
                fates[batch.producer_id] = batch.commit
            elif not batch.transactional or fates.get(batch.producer_id):
                seen += reversed(batch.values)
        return seen[::-1]

    def lead(self, leader: int, now: float, *, lag: float = 0.0, zombie: float = 0.0) -> None:
        """Another broker leads, or none (-1)."""
        if self.leader >= 0 and leader >= 0 and zombie:
            self.zombie = (self.leader, now + zombie)
        self.leader = leader
        self.epoch += 1
        self.generation += 1
        self.history.append((leader, self.epoch))
        self.leads_from = now + lag

    def truncate(self) -> int:
        """Lose what is not replicated, and what was known of producers by it; how many records."""
        gone = self.end - self.committed
        while self.batches and self.batches[-1].base >= self.committed:
            self.lost.update(self.batches.pop().values)
        if gone:
            self.end = self.committed
            expired = {number for number, entry in self.producers.items() if entry.expired}
            self.producers.clear()
            self.open.clear()
            for batch in self.batches:
                if batch.producer_id < 0:
                    continue
                if batch.commit is not None:
                    self._take_marker(batch)
                    self.open.pop(batch.producer_id, None)
                    continue
                if batch.transactional:
                    self.open[batch.producer_id] = batch.epoch
                entry = self.producers.get(batch.producer_id)
                if entry is None or entry.epoch != batch.epoch:
                    entry = self.producers[batch.producer_id] = ProducerEntry(batch.epoch)
                    entry.expired = batch.producer_id in expired
                entry.batches.append(batch)
        return gone

    def forget(self, how: Amnesia) -> None:
        """Forget all producers."""
        if how is Amnesia.EXPIRED:
            for entry in self.producers.values():
                entry.expired = True
            return
        # A batch whose answer is still to come may be appended once more: no broker can tell.
        self.forgotten = True
        self.strict = how is Amnesia.STRICT
        self.producers.clear()

    def delete(self) -> None:
        """The topic is deleted; another of the same name begins empty."""
        self.deleted.update(self.log)
        self.deleted |= self.lost
        self.batches.clear()
        self.end = self.committed = 0
        self.producers.clear()
        self.generation += 1
        # Another log knows of no producer, and takes what comes first for the beginning.
        self.forgotten = True

    def begin(self, leader: int) -> None:
        """Another topic of the same name has this leader first."""
        self.leader = leader
        self.epoch = 0
        self.generation += 1
        self.history = [(leader, 0)]
        self.leads_from = 0.0
