"""One partition as this broker leads it: its log, and who waits for it to grow.

What a client appends is forced to disk, where that is wanted, by the group commit, and the handler
waits for it. What the broker appends itself (groups, transactions) is forced in the same call: the
next step of a transaction may not be on disk before the one that it follows from.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from pyproducer.broker.errors import Refused
from pyproducer.broker.log.validation import own_batch
from pyproducer.protocol.error_codes import ErrorCode

if TYPE_CHECKING:
    from pyproducer.broker.group_commit import GroupCommit
    from pyproducer.broker.log.append import AppendResult
    from pyproducer.broker.log.log import PartitionLog
    from pyproducer.broker.log.producer_state import EndMarker
    from pyproducer.broker.log.validation import ValidBatch
    from pyproducer.broker.metrics import TopicCounters
    from pyproducer.model import Buffer


#: Version of Produce from which on a producer has an epoch for each transaction (KIP-890).
NEW_TRANSACTIONS_SINCE = 12


class Watch:
    """Somebody waiting until so many bytes more can be read, in any of several partitions.

    Args:
        needed: Bytes that are worth waking up for.
        committed: Bytes count only once no transaction is open below them.
    """

    __slots__ = ("_event", "_needed", "committed")

    def __init__(self, needed: int = 1, *, committed: bool = False) -> None:
        self.committed = committed
        self._needed = needed
        self._event = asyncio.Event()

    def grown(self, size: int) -> None:
        """Counts bytes; wakes the waiter if it is enough."""
        self._needed -= size
        if self._needed <= 0:
            self._event.set()

    def disturb(self) -> None:
        """Wakes the waiter: the partition is not what it was."""
        self._event.set()

    async def wait(self) -> None:
        """Returns when there is enough, or something else has happened."""
        await self._event.wait()


class Partition:
    """A partition led by this broker, its only replica.

    Attributes:
        topic: Name of its topic.
        index: Its number.
        log: What it holds.
        leader_epoch: Grows with every start of the broker.
        watches: Who is woken when the high watermark or the last stable offset moves.
    """

    __slots__ = ("_commit", "_counters", "index", "leader_epoch", "log", "topic", "watches")

    def __init__(
        self,
        topic: str,
        index: int,
        log: PartitionLog,
        leader_epoch: int,
        counters: TopicCounters,
        commit: GroupCommit,
    ) -> None:
        self.topic = topic
        self.index = index
        self.log = log
        self.leader_epoch = leader_epoch
        self.watches: set[Watch] = set()
        self._counters = counters
        self._commit = commit
        # Readers see what a loss of power cannot take back.
        log.sole_replica = not commit.always

    @property
    def high_watermark(self) -> int:
        """Offset up to which consumers read."""
        return self.log.high_watermark

    @property
    def last_stable_offset(self) -> int:
        """Offset up to which consumers of committed records read."""
        return self.log.last_stable_offset

    @property
    def log_start_offset(self) -> int:
        """The oldest offset that can be read."""
        return self.log.log_start_offset

    @property
    def log_end_offset(self) -> int:
        """The offset of the next record."""
        return self.log.log_end_offset

    def append(self, records: Buffer | None, *, request_version: int) -> AppendResult:
        """The one batch of a Produce request is in the log, and readers know.

        Where it must be on disk first, `must_wait` says so and readers learn of it later.

        Raises:
            Refused: It is not, and nothing has changed.
        """
        batch = self.log.validate(records, request_version=request_version)
        begins = batch.header.is_transactional and request_version >= NEW_TRANSACTIONS_SINCE
        result = self._append(batch, known_or_first=begins)
        size = 0 if result.duplicate else batch.header.size
        if self.must_wait(result):
            self._commit.wrote(self, size)
        if size and not self._commit.always:
            self._grown(size)
        return result

    def must_wait(self, result: AppendResult) -> bool:
        """Whether the batch, which is in the log, counts only once it is on disk, and is not."""
        # Of most brokers nobody waits for the disk, and asking the log is done twice a batch.
        if not self._commit.awaited or result.last_offset < self.log.recovery_point:
            return False
        return self._commit.always or self.log.flush_wanted

    def append_own(self, batch: bytes) -> AppendResult:
        """A batch that the broker made itself is in the log, and readers know.

        Raises:
            Refused: It is not, and nothing has changed; or it may be, and the log is offline.
        """
        valid = own_batch(batch, self.log.config)
        result = self._append(valid)
        self._force()
        self._grown(valid.header.size)
        return result

    def _append(self, batch: ValidBatch, *, known_or_first: bool = False) -> AppendResult:
        result = self.log.append(
            batch, leader_epoch=self.leader_epoch, known_or_first=known_or_first
        )
        if not result.duplicate:
            self._counters.records_in += batch.header.record_count
            self._counters.bytes_in += batch.header.size
        return result

    def _force(self) -> None:
        """What was appended is on disk, where that is wanted."""
        if self._commit.always or self.log.flush_wanted:
            self.log.flush()
        if self._commit.always:
            self.log.high_watermark = max(self.log.high_watermark, self.log.recovery_point)

    def settled(self, size: int) -> None:
        """So many bytes are on disk, and readers see and know them."""
        self.log.high_watermark = max(self.log.high_watermark, self.log.recovery_point)
        self._grown(size)

    def end_transaction(self, producer_id: int, epoch: int, marker: EndMarker) -> None:
        """The producer has no open transaction here, and readers know.

        Raises:
            Refused: Nothing has changed; or the marker may be there, and the log is offline.
        """
        before = self.last_stable_offset
        size = self.log.append_marker(producer_id, epoch, marker, leader_epoch=self.leader_epoch)
        # Also one that was there already: whoever sends it again wants to know that it stays.
        self._force()
        if not size:
            return
        self._counters.bytes_in += size
        self._grown(size)
        if self.last_stable_offset > before:
            # Far more may be readable than the marker's own bytes.
            for watch in self.watches:
                if watch.committed:
                    watch.disturb()

    def _grown(self, size: int) -> None:
        """Tells the watchers that so many bytes more can be read."""
        if not self.watches:
            return
        stable = self.last_stable_offset == self.high_watermark
        for watch in self.watches:
            if stable or not watch.committed:
                watch.grown(size)

    def retire(self) -> None:
        """Tells the watchers that the partition cannot be read any more."""
        for watch in self.watches:
            watch.disturb()

    def check_epoch(self, epoch: int) -> None:
        """Returns if a client that believes in this leader epoch is up to date; -1 is no belief.

        Raises:
            Refused: FENCED_LEADER_EPOCH or UNKNOWN_LEADER_EPOCH.
        """
        if epoch < 0 or epoch == self.leader_epoch:
            return
        if epoch < self.leader_epoch:
            raise Refused(ErrorCode.FENCED_LEADER_EPOCH)
        raise Refused(ErrorCode.UNKNOWN_LEADER_EPOCH)

    def epoch_of(self, offset: int) -> int:
        """The leader epoch that the offset belongs to, of a record to come the present one."""
        if offset >= self.log_end_offset:
            return self.leader_epoch
        return self.log.epoch_of(offset)

    def end_of_epoch(self, epoch: int) -> tuple[int, int]:
        """The newest epoch not above this one and where it ended; (-1, -1) if nobody knows."""
        if epoch == self.leader_epoch:
            # The log learns of an epoch with its first batch.
            return epoch, self.log_end_offset
        found = self.log.end_offset_for_epoch(epoch)
        return found[0], found[1]
