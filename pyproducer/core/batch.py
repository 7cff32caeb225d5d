# cython: annotation_typing=False, nonecheck=True, binding=False, freethreading_compatible=True
"""A closed batch on its way to the broker: its header, its attempts, its halves."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from pyproducer.core.appender import Appender, Batch
from pyproducer.model import Buffer
from pyproducer.records.batch import (
    HEADER_SIZE,
    SEQUENCE_MODULUS,
    TRANSACTIONAL_BIT,
)
from pyproducer.records.codec import Codec
from pyproducer.records.seal import seal_header

if TYPE_CHECKING:
    from pyproducer.core.accumulator import PartitionQueue

__all__ = ["NO_SEQUENCE", "SealedBatch", "halve"]

NO_SEQUENCE: Final = -1

# An enumeration is asked for its members by a way of its own, which takes long.
_NONE: Final = Codec.NONE


class SealedBatch:
    """A batch that takes no more records.

    Attributes:
        batch: the records' handles and outcome.
        queue: its partition.
        order: place among the partition's batches; the halves of a split share it.
        first: index of its first record in what was closed; not 0 in a later part of a split.
        body: the records as they go on the wire; None while they are being compressed.
        codec: how the body is compressed.
        deadline: monotonic seconds at which the records have failed at the latest.
        attempts: how often it was written to a socket.
        in_doubt: an attempt went unanswered, or was answered by an error that leaves open
            whether the log has it.
        behind: when it was last written to a socket, one ahead of it had no outcome.
        last_error: the last refusal, in words.
        last_code: its error code, or None where no broker answered.
        producer_id, epoch, sequence: its identity; sequence -1 while it has none.
        stamped: True once it has a sequence number.
        transactional: True where it belongs to a transaction.
    """

    __slots__ = (
        "attempts",
        "batch",
        "behind",
        "body",
        "codec",
        "deadline",
        "epoch",
        "first",
        "in_doubt",
        "last_code",
        "last_error",
        "order",
        "producer_id",
        "queue",
        "sequence",
        "stamped",
        "transactional",
    )

    def __init__(
        self, batch: Batch, queue: PartitionQueue, order: int, first: int, deadline: float
    ) -> None:
        self.batch = batch
        self.queue = queue
        self.order = order
        self.first = first
        self.deadline = deadline
        self.body: Buffer | None = batch.body()
        self.codec = _NONE
        self.attempts = 0
        self.in_doubt = False
        self.behind = False
        self.last_error = ""
        self.last_code: int | None = None
        self.producer_id = -1
        self.epoch = -1
        self.sequence = NO_SEQUENCE
        self.stamped = False
        self.transactional = False

    def __lt__(self, other: SealedBatch) -> bool:
        return self.precedes(other)

    def precedes(self, other: SealedBatch) -> bool:
        """True where its records are ahead of those of another batch of the partition."""
        return self.order < other.order or (self.order == other.order and self.first < other.first)

    def size(self) -> int:
        """Bytes on the wire, header included."""
        assert self.body is not None
        return HEADER_SIZE + len(self.body)

    def stamp(
        self, producer_id: int, epoch: int, sequence: int, transactional: bool = False
    ) -> int:
        """Give it an identity; the sequence number after its last record is returned."""
        self.producer_id = producer_id
        self.epoch = epoch
        self.sequence = sequence
        self.stamped = True
        self.transactional = transactional
        return (sequence + self.batch.count) % SEQUENCE_MODULUS

    def unstamp(self) -> None:
        """Take its identity back, which is safe only where no log can have the batch."""
        self.producer_id = self.epoch = -1
        self.sequence = NO_SEQUENCE
        self.stamped = False

    def wire(self) -> list[Buffer]:
        """The batch as the broker gets it: a new header, and the body uncopied."""
        body, batch = self.body, self.batch
        assert body is not None
        header = seal_header(
            body,
            self.codec | TRANSACTIONAL_BIT if self.transactional else self.codec,
            batch.count,
            batch.base_timestamp,
            batch.max_timestamp,
            self.producer_id,
            self.epoch,
            self.sequence,
        )
        return [header, body]


def _varint_at(view: memoryview, position: int) -> tuple[int, int]:
    """A zigzag number in bytes of our own making, and the position behind it."""
    number = shift = 0
    while True:
        byte = view[position]
        position += 1
        number |= (byte & 0x7F) << shift
        if byte < 0x80:
            return (number >> 1) ^ -(number & 1), position
        shift += 7


def halve(appender: Appender, sealed: SealedBatch, plain: Buffer) -> list[tuple[int, SealedBatch]]:
    """Two batches of the same records in the same order, each with the index of its first.

    Args:
        appender: whose batches they are.
        sealed: a batch of two or more records; its handles follow into the halves.
        plain: its records, uncompressed.
    """
    batch = sealed.batch
    records: list[tuple[int, bytes]] = []
    view = memoryview(plain)
    position = 0
    while position < len(view):
        length, start = _varint_at(view, position)
        position = start + length
        delta, at = _varint_at(view, start + 1)
        _, at = _varint_at(view, at)
        records.append((batch.base_timestamp + delta, bytes(view[at:position])))
    middle = len(records) // 2
    halves: list[tuple[int, SealedBatch]] = []
    for first, part in ((0, records[:middle]), (middle, records[middle:])):
        half = appender.make_batch(batch.home, part)
        half.created = batch.created
        place = sealed.order, sealed.first + first
        halves.append((first, SealedBatch(half, sealed.queue, *place, sealed.deadline)))
    batch.split([(first, half.batch) for first, half in halves])
    return halves
