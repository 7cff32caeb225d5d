"""Who this producer is to the brokers: its id and epoch, and how a partition takes them on.

An idempotent producer's epoch may be raised by itself (KIP-360): brokers accept a higher epoch
that starts at sequence 0. A partition does so once nothing of it is unresolved. A transactional
producer's epoch is its coordinator's to raise; its partitions follow.
"""

from __future__ import annotations

from typing import Final

from pyproducer.core.accumulator import PartitionQueue
from pyproducer.core.batch import SealedBatch

__all__ = ["Identity"]

_LAST_EPOCH: Final = 32767


class Identity:
    """A producer id with its epoch, or the want of one.

    Attributes:
        producer_id: -1 until a broker gave one.
        epoch: the highest that any partition uses.
        transactional: True where batches belong to transactions.
        refusal: the error code of the last answer, where it had no id.
    """

    __slots__ = ("epoch", "producer_id", "refusal", "transactional")

    def __init__(self, *, transactional: bool = False) -> None:
        self.producer_id = -1
        self.epoch = -1
        self.transactional = transactional
        self.refusal: int | None = None

    @property
    def known(self) -> bool:
        """True once a broker gave an id."""
        return self.producer_id >= 0

    def assign(self, producer_id: int, epoch: int) -> None:
        """Take over what a broker gave."""
        self.producer_id = producer_id
        self.epoch = epoch
        self.refusal = None

    def stamp(self, queue: PartitionQueue, sealed: SealedBatch) -> bool:
        """Give a batch the partition's next sequence numbers; False where no id is at hand."""
        if queue.producer_id < 0 or (self.transactional and not self._is_current(queue)):
            if not self.known:
                return False
            self._begin(queue)
        queue.next_sequence = sealed.stamp(
            queue.producer_id,
            queue.epoch,
            queue.next_sequence,
            self.transactional,
        )
        queue.stamped += 1
        return True

    def recovered(self, queue: PartitionQueue) -> bool:
        """Begin a partition's next epoch, if nothing of it is unresolved any more.

        Batches that every broker refused lose their numbers and are stamped anew.
        """
        if queue.in_flight or any(sealed.in_doubt for sealed in queue.waiting):
            return False
        if self.transactional and self._is_current(queue):
            return False
        for sealed in queue.waiting:
            if sealed.stamped:
                sealed.unstamp()
                queue.stamped -= 1
        queue.recovering = False
        if self._is_current(queue):
            if self.epoch >= _LAST_EPOCH:
                # No epoch left: the id itself has to be replaced.
                self.producer_id = self.epoch = -1
                queue.producer_id = -1
                return True
            self.epoch += 1
        if self.known:
            self._begin(queue)
        else:
            queue.producer_id = -1
        return True

    def _is_current(self, queue: PartitionQueue) -> bool:
        return queue.producer_id == self.producer_id and queue.epoch == self.epoch

    def _begin(self, queue: PartitionQueue) -> None:
        queue.producer_id = self.producer_id
        queue.epoch = self.epoch
        queue.next_sequence = 0
        queue.proven = False
