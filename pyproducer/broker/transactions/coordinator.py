"""The coordinator of all transactions of this broker.

Everything happens on one thread, the broker's loop, and at once: a request to end a transaction
stores the decision, marks every partition and stores that it is done, before it is answered. Only
where a partition cannot be written the transaction stays decided and is completed later;
meanwhile its producer hears CONCURRENT_TRANSACTIONS. What was answered as done is stored first.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Sequence
from typing import Protocol

from pyproducer.broker.errors import Refused
from pyproducer.broker.log.producer_state import EndMarker
from pyproducer.broker.state_topic import KeyValue, StateEntry, partition_of
from pyproducer.broker.transactions.admission import (
    check_add,
    check_end,
    check_initialise,
    check_member,
)
from pyproducer.broker.transactions.config import TransactionConfig
from pyproducer.broker.transactions.markers import Markers, settle
from pyproducer.broker.transactions.records import replay, transaction_record
from pyproducer.broker.transactions.state import DEAD, ONGOING, PREPARED
from pyproducer.broker.transactions.transaction import Identity, Transaction
from pyproducer.clock import Clock
from pyproducer.errors import ProtocolError
from pyproducer.model import TopicPartition
from pyproducer.protocol.error_codes import ErrorCode

logger = logging.getLogger(__name__)


class TransactionStore(Protocol):
    """An append-only log of records for each partition of `__transaction_state`."""

    @property
    def partitions(self) -> int:
        """How many partitions there are; never changes."""

    def leader_epoch(self, partition: int) -> int:
        """Return the epoch of this broker's lead of a partition, which is its coordinator's."""

    def append(self, partition: int, records: Sequence[KeyValue]) -> None:
        """The records are in the log, all or none, and outlive the process.

        Raises:
            Refused: they are not in the log.
        """

    def read(self, partition: int) -> Iterable[StateEntry]:
        """Everything in the partition that is not cut off, in order.

        Raises:
            Refused: the partition cannot be read.
        """


class TransactionCoordinator:
    """Owns every transactional id.

    Args:
        config: limits and intervals.
        store: where the ids are kept.
        markers: ends transactions on partitions.
        new_producer_id: gives an id that nobody had; may raise OSError.
        clock: wall milliseconds for everything.
    """

    def __init__(
        self,
        config: TransactionConfig,
        store: TransactionStore,
        markers: Markers,
        new_producer_id: Callable[[], int],
        clock: Clock,
    ) -> None:
        self.config = config
        self._store = store
        self._markers = markers
        self._new_producer_id = new_producer_id
        self._clock = clock
        self._known: dict[str, Transaction] = {}
        # Partitions that could not be read: their ids exist, but nobody here knows them.
        self._lost: set[int] = set()

    def start(self) -> None:
        """Every id is as its last record says, and what was decided is completed."""
        for partition in range(self._store.partitions):
            try:
                records = list(self._store.read(partition))
            except (Refused, ProtocolError):
                logger.exception("the transactions of partition %d cannot be served", partition)
                self._lost.add(partition)
                continue
            self._known.update(replay(records))
        self.complete_decided()

    # What producers ask for.

    def initialise(
        self, transactional_id: str, timeout_ms: int, holder: Identity | None
    ) -> Identity:
        """Return who the producer is from now on; all before it are shut out (KIP-98).

        An open transaction of the one before is aborted first.

        Args:
            transactional_id: Its name for itself.
            timeout_ms: How long its transactions may be open.
            holder: What it was before, to go on after an error (KIP-360); None for a new one.

        Raises:
            Refused: INVALID_TRANSACTION_TIMEOUT, PRODUCER_FENCED, CONCURRENT_TRANSACTIONS,
                COORDINATOR_NOT_AVAILABLE.
        """
        if not 0 < timeout_ms <= self.config.max_timeout_ms:
            raise Refused(
                ErrorCode.INVALID_TRANSACTION_TIMEOUT,
                f"a transaction timeout of {timeout_ms} ms is not in "
                f"[1, transaction.max.timeout.ms={self.config.max_timeout_ms}]",
            )
        self._refuse_lost(transactional_id)
        now_ms = self._clock.wall_ms()
        transaction = self._known.get(transactional_id)
        if transaction is None:
            transaction = Transaction(
                transactional_id=transactional_id,
                producer_id=self._take_id(),
                timeout_ms=timeout_ms,
                update_ms=now_ms,
            )
        check_initialise(transaction, holder)
        if transaction.state is ONGOING:
            transaction = self._shut_out(transaction)
            check_initialise(transaction, None)
        made = transaction.initialised(holder, timeout_ms, self._take_id, now_ms)
        self._save(made)
        return made.identity

    def add(
        self,
        transactional_id: str,
        holder: Identity,
        partitions: Iterable[TopicPartition],
        *,
        version: int = 0,
    ) -> None:
        """The producer's transaction, which begins now if none was open, has these partitions.

        Raises:
            Refused: INVALID_PRODUCER_ID_MAPPING, PRODUCER_FENCED, CONCURRENT_TRANSACTIONS,
                COORDINATOR_NOT_AVAILABLE.
        """
        transaction = self._find(transactional_id)
        check_add(transaction, holder)
        wanted = frozenset(partitions)
        if transaction.state is ONGOING and wanted <= transaction.partitions:
            return
        self._save(transaction.adding(wanted, version, self._clock.wall_ms()))

    def verify(self, transactional_id: str, holder: Identity, partition: TopicPartition) -> None:
        """Returns if the partition is in the producer's open transaction (KIP-890).

        Raises:
            Refused: As `add`, and TRANSACTION_ABORTABLE where it is not.
        """
        check_member(self._find(transactional_id), holder, partition)

    def end(
        self, transactional_id: str, holder: Identity, *, commit: bool, bump: bool = False
    ) -> Identity:
        """The transaction is committed or aborted; asking again is harmless.

        Args:
            transactional_id: Whose transaction.
            holder: Who asks.
            commit: Which way.
            bump: Whether the producer gets a new epoch with it (KIP-890).

        Returns:
            Who the producer is from now on; with `bump` that is somebody else.

        Raises:
            Refused: INVALID_PRODUCER_ID_MAPPING, PRODUCER_FENCED, CONCURRENT_TRANSACTIONS,
                INVALID_TXN_STATE, COORDINATOR_NOT_AVAILABLE.
        """
        transaction = self._find(transactional_id)
        if not check_end(transaction, holder, commit=commit, bump=bump):
            return transaction.identity
        now_ms = self._clock.wall_ms()
        if bump:
            decided = transaction.ended_with_bump(
                commit=commit, new_id=self._take_id, now_ms=now_ms
            )
        else:
            decided = transaction.ended(commit=commit, now_ms=now_ms)
        self._save(decided)
        self._complete(decided)
        return decided.identity

    # What time brings.

    def abort_timed_out(self) -> None:
        """Transactions open for longer than their timeout are aborted, their producers shut out."""
        now_ms = self._clock.wall_ms()
        for transaction in list(self._known.values()):
            if transaction.has_timed_out(now_ms):
                logger.warning(
                    "transaction of %r is open for %d ms and is aborted",
                    transaction.transactional_id,
                    now_ms - transaction.start_ms,
                )
                self._try(self._shut_out, transaction)

    def next_timeout(self) -> float | None:
        """Return in how many seconds the next open transaction will have timed out, if any is."""
        now_ms = self._clock.wall_ms()
        # One more millisecond: it may be open for as long as its timeout.
        left = (
            one.start_ms + one.timeout_ms + 1 - now_ms
            for one in self._known.values()
            if one.state is ONGOING and not one.has_timed_out(now_ms)
        )
        return min((ms / 1000 for ms in left), default=None)

    def complete_decided(self) -> None:
        """Partitions that could not be told how a transaction ended are told again."""
        for transaction in list(self._known.values()):
            if transaction.state in PREPARED:
                self._complete(transaction)

    def expire_ids(self) -> None:
        """Ids that were not used for `transactional.id.expiration.ms` are forgotten."""
        now_ms = self._clock.wall_ms()
        for transaction in list(self._known.values()):
            if transaction.has_expired(now_ms, self.config.id_expiration_ms):
                self._try(self._save, transaction.expired(now_ms))

    # Administration.

    def transactions(self) -> list[Transaction]:
        """Return every transactional id, by name."""
        return [transaction for _, transaction in sorted(self._known.items())]

    def describe(self, transactional_id: str) -> Transaction:
        """Return one transactional id.

        Raises:
            Refused: TRANSACTIONAL_ID_NOT_FOUND, COORDINATOR_NOT_AVAILABLE.
        """
        self._refuse_lost(transactional_id)
        found = self._known.get(transactional_id)
        if found is None:
            raise Refused(ErrorCode.TRANSACTIONAL_ID_NOT_FOUND)
        return found

    # Inside.

    def _find(self, transactional_id: str) -> Transaction:
        self._refuse_lost(transactional_id)
        found = self._known.get(transactional_id)
        if found is None:
            raise Refused(
                ErrorCode.INVALID_PRODUCER_ID_MAPPING,
                f"nobody holds the transactional id {transactional_id!r}",
            )
        return found

    def _refuse_lost(self, transactional_id: str) -> None:
        if self._partition_of(transactional_id) in self._lost:
            raise Refused(
                ErrorCode.COORDINATOR_NOT_AVAILABLE,
                f"the transactions beside {transactional_id!r} could not be read",
            )

    def _partition_of(self, transactional_id: str) -> int:
        return partition_of(transactional_id, self._store.partitions)

    def _take_id(self) -> int:
        try:
            return self._new_producer_id()
        except OSError as error:
            raise Refused(ErrorCode.COORDINATOR_NOT_AVAILABLE, str(error)) from error

    def _save(self, transaction: Transaction) -> None:
        """The id is this from now on, here and in the store."""
        name = transaction.transactional_id
        partition = self._partition_of(name)
        try:
            self._store.append(partition, [transaction_record(transaction)])
        except Refused as refused:
            logger.exception("transactional id %r could not be stored", name)
            raise Refused(ErrorCode.COORDINATOR_NOT_AVAILABLE, refused.message) from refused
        if transaction.state is DEAD:
            self._known.pop(name, None)
        else:
            self._known[name] = transaction

    def _try(self, action: Callable[[Transaction], object], transaction: Transaction) -> None:
        """Do it now or, where that fails, the next time."""
        try:
            action(transaction)
        except Refused as refused:
            logger.warning("%r: %s", transaction.transactional_id, refused)

    def _shut_out(self, transaction: Transaction) -> Transaction:
        """Return the id without its open transaction, which nobody but us can end any more."""
        now_ms = self._clock.wall_ms()
        decided = transaction.fenced(now_ms).ended(commit=False, now_ms=now_ms)
        self._save(decided)
        return self._complete(decided)

    def _complete(self, decided: Transaction) -> Transaction:
        """Tell every partition, and return what the id is then: complete, or still decided."""
        name = decided.transactional_id
        epoch = self._store.leader_epoch(self._partition_of(name))
        marker = EndMarker(decided.commits, epoch)
        told = [
            settle(self._markers, place, decided.producer_id, decided.epoch, marker)
            for place in sorted(decided.partitions)
        ]
        if all(told):
            self._try(self._save, decided.completed(self._clock.wall_ms()))
        return self._known[name]
