"""One transactional id: who holds it, and what has become of its transaction.

A `Transaction` never changes. Each method returns what the id is after a move; the coordinator
stores that first and believes it then, so a write that fails has changed nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from typing import Any, NamedTuple, Self

from pyproducer.broker.transactions.state import (
    COMPLETE_ABORT,
    COMPLETE_COMMIT,
    EMPTY,
    IDLE,
    MOVES,
    ONGOING,
    PREPARE_COMMIT,
    Move,
    TransactionState,
)
from pyproducer.model import TopicPartition

NO_PRODUCER_ID = -1
NO_EPOCH = -1
#: The last epoch that a producer may have; 32767 is left for shutting it out.
LAST_EPOCH = 32_766


class Identity(NamedTuple):
    """What a producer shows with every request."""

    producer_id: int
    epoch: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Transaction:
    """A transactional id at one moment. Times are wall clock milliseconds.

    Attributes:
        transactional_id: The user's name for it.
        producer_id: The id of whoever holds it.
        epoch: The holder's epoch, -1 before there was one. All with a lower one are shut out.
        last_epoch: The epoch before that, if its producer asked to go on from it.
        previous_producer_id: The id before this one, whose epochs are used up; else -1.
        next_producer_id: The id that takes over when this transaction has ended; else -1.
        timeout_ms: How long a transaction may be open.
        state: Where it is.
        partitions: What the present transaction has written to, or said it would.
        start_ms: When it began, -1 without one.
        update_ms: When anything last changed.
        version: 2 if the holder gets a new epoch with the end of every transaction (KIP-890).
    """

    transactional_id: str
    producer_id: int
    epoch: int = NO_EPOCH
    last_epoch: int = NO_EPOCH
    previous_producer_id: int = NO_PRODUCER_ID
    next_producer_id: int = NO_PRODUCER_ID
    timeout_ms: int
    state: TransactionState = EMPTY
    partitions: frozenset[TopicPartition] = frozenset()
    start_ms: int = -1
    update_ms: int
    version: int = 0

    @property
    def identity(self) -> Identity:
        """What its holder shows, once the present transaction has ended."""
        if self.next_producer_id != NO_PRODUCER_ID:
            return Identity(self.next_producer_id, 0)
        return Identity(self.producer_id, self.epoch)

    @property
    def commits(self) -> bool:
        """Whether the transaction was decided to be committed."""
        return self.state in {PREPARE_COMMIT, COMPLETE_COMMIT}

    def has_timed_out(self, now_ms: int) -> bool:
        """Whether a transaction is open for longer than its producer wanted."""
        return self.state is ONGOING and self.start_ms + self.timeout_ms < now_ms

    def has_expired(self, now_ms: int, unused_ms: int) -> bool:
        """Whether the id was not used for so long."""
        return self.state in IDLE and self.update_ms + unused_ms <= now_ms

    def is_retry(self, holder: Identity | None) -> bool:
        """Whether this is an InitProducerId that was granted, and whose answer got lost."""
        if holder is None or self.last_epoch == NO_EPOCH or holder.epoch != self.last_epoch:
            return False
        if holder.producer_id == self.previous_producer_id:
            return holder.epoch >= LAST_EPOCH and self.epoch == 0
        return holder.producer_id == self.producer_id and holder.epoch != self.epoch

    def initialised(
        self, holder: Identity | None, timeout_ms: int, new_id: Callable[[], int], now_ms: int
    ) -> Self:
        """A producer holds the id with an epoch of its own.

        Args:
            holder: What the producer was before, if it goes on after an error (KIP-360).
            timeout_ms: How long its transactions may be open.
            new_id: Makes a producer id, for when the epochs of this one are used up.
            now_ms: The wall clock.
        """
        changes: dict[str, Any] = {"timeout_ms": timeout_ms, "partitions": frozenset()}
        if not self.is_retry(holder):
            changes["last_epoch"] = NO_EPOCH if holder is None else holder.epoch
            if self.epoch >= LAST_EPOCH:
                changes["previous_producer_id"] = self.producer_id
                changes["producer_id"], changes["epoch"] = new_id(), 0
            else:
                changes["epoch"] = self.epoch + 1
        return self._to(Move.INITIALISE, now_ms, start_ms=-1, **changes)

    def adding(self, partitions: Iterable[TopicPartition], version: int, now_ms: int) -> Self:
        """The transaction, which begins now if none was open, has these partitions too."""
        begun = self.start_ms if self.state is ONGOING else now_ms
        known = self.partitions if self.state is ONGOING else frozenset()
        return self._to(
            Move.ADD,
            now_ms,
            partitions=known.union(partitions),
            start_ms=begun,
            version=version,
        )

    def fenced(self, now_ms: int) -> Self:
        """The producer of an open transaction is shut out; the transaction is to be aborted."""
        return self._to(Move.FENCE, now_ms, epoch=self.epoch + 1, last_epoch=NO_EPOCH)

    def ended(self, *, commit: bool, now_ms: int) -> Self:
        """It is decided how the transaction ends; its producer keeps its epoch."""
        return self._to(Move.COMMIT if commit else Move.ABORT, now_ms)

    def ended_with_bump(self, *, commit: bool, new_id: Callable[[], int], now_ms: int) -> Self:
        """It is decided how the transaction ends, and its producer gets another epoch.

        The markers carry the new epoch, so nothing that the producer sent before can come after
        them (KIP-890).
        """
        return self._to(
            Move.COMMIT if commit else Move.ABORT,
            now_ms,
            epoch=self.epoch + 1,
            last_epoch=self.epoch,
            next_producer_id=new_id() if self.epoch >= LAST_EPOCH else NO_PRODUCER_ID,
            partitions=self.partitions if self.state is ONGOING else frozenset(),
            start_ms=self.start_ms if self.state is ONGOING else now_ms,
            version=2,
        )

    def completed(self, now_ms: int) -> Self:
        """Every partition knows how the transaction ended."""
        changes: dict[str, Any] = {}
        if self.next_producer_id != NO_PRODUCER_ID:
            changes = {
                "previous_producer_id": self.producer_id,
                "producer_id": self.next_producer_id,
                "next_producer_id": NO_PRODUCER_ID,
                "epoch": 0,
            }
        return self._to(Move.COMPLETE, now_ms, partitions=frozenset(), **changes)

    def expired(self, now_ms: int) -> Self:
        """The id is forgotten."""
        return self._to(Move.EXPIRE, now_ms)

    def _to(self, move: Move, now_ms: int, **changes: Any) -> Self:
        return replace(self, state=MOVES[self.state, move], update_ms=now_ms, **changes)


#: How a transaction that is over has ended.
OUTCOMES = {COMPLETE_COMMIT: True, COMPLETE_ABORT: False}
