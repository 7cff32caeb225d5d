"""The transactions of a blocking producer, and one of them as a block of code."""

from __future__ import annotations

from types import TracebackType
from typing import TYPE_CHECKING, Self

from pyproducer.transaction import Transaction

if TYPE_CHECKING:
    from pyproducer.assembly import Assembly
    from pyproducer.background import Background
    from pyproducer.offsets import Group, Offsets, Place

__all__ = ["SyncTransaction", "SyncTransactional"]


class SyncTransaction:
    """A transaction of a :class:`SyncProducer`, made by :meth:`SyncProducer.transaction`.

    Its methods are :class:`Transaction`'s without ``await``. All threads that use the producer
    send into the one transaction that is open.
    """

    def __init__(self, inner: Transaction, background: Background) -> None:
        self._inner = inner
        self._background = background

    def __repr__(self) -> str:
        return repr(self._inner).replace("Transaction", "SyncTransaction", 1)

    def send_offsets(
        self, offsets: Offsets[Place], group: Group, *, timeout: float | None = None
    ) -> None:
        """Make a consumer's progress part of it; see :meth:`Transaction.send_offsets`."""
        self._background.call(lambda: self._inner.send_offsets(offsets, group, timeout=timeout))

    def commit(self, *, timeout: float | None = None) -> None:
        """Commit before the block ends; see :meth:`SyncProducer.commit_transaction`."""
        self._background.call(lambda: self._inner.commit(timeout=timeout))

    def abort(self, *, timeout: float | None = None) -> None:
        """Abort before the block ends; see :meth:`SyncProducer.abort_transaction`."""
        self._background.call(lambda: self._inner.abort(timeout=timeout))

    def __enter__(self) -> Self:
        self._background.start()
        self._background.call(self._inner.__aenter__)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._background.call(lambda: self._inner.__aexit__(kind, error, traceback))


class SyncTransactional:
    """What a blocking producer with a ``transactional_id`` can do besides."""

    _parts: Assembly
    _background: Background

    def transaction(self) -> SyncTransaction:
        """A transaction for one block of code, begun when the block is entered.

        Leaving the block commits and waits until that is certain; a block that raises is
        aborted. The producer needs ``transactional_id``. What is listed here is raised by entering
        and leaving the block.

        Raises:
            TransactionAborted: a record or a request failed, so that the transaction was
                aborted; its work may be done anew in another.
            TransactionError: the outcome is not certain yet (``retriable``: call
                :meth:`commit_transaction` to wait on), or the producer is done for (``fatal``).
            ProducerFenced: another producer uses the same ``transactional_id``.
            WouldDeadlock: it would wait in a callback, on the thread that has to go on.
            UsageError: a transaction is open already, or the producer has no transactional id.
        """
        return SyncTransaction(Transaction(self._parts.transactor), self._background)

    def begin_transaction(self) -> None:
        """Begin a transaction; records are taken until it is committed or aborted.

        Raises:
            UsageError: one is open already, or the producer has no transactional id.
            TransactionError: the one before must be aborted first (``abort_required``), or the
                producer is done for (``fatal``).
        """
        self._background.start()
        self._background.call(self._parts.transactor.begin)

    def commit_transaction(self, timeout: float | None = None) -> None:
        """Send what is queued, commit, and wait until that is certain.

        A call that times out or is interrupted takes nothing back: the same call again waits on.

        Args:
            timeout: seconds; None for ``max_block_ms``.

        Raises:
            UsageError: no transaction is open.
            TransactionError: a record or a request failed (``abort_required``), the outcome is
                not certain yet (``retriable``, call again), or the producer is done for
                (``fatal``). ``maybe_committed`` False means that the transaction is certainly
                not committed.
            ProducerFenced: another producer uses the same ``transactional_id``.
            WouldDeadlock: it would wait in a callback, on the thread that has to go on.
        """
        self._background.call(lambda: self._parts.transactor.commit(timeout))

    def abort_transaction(self, timeout: float | None = None) -> None:
        """Drop what is queued, abort, and wait until that is done.

        Records that were not sent yet fail with :class:`~pyproducer.errors.TransactionAborted`.

        Args:
            timeout: seconds; None for ``max_block_ms``.

        Raises:
            UsageError: no transaction is open, or it is being committed.
            TransactionError: it is not done yet (``retriable``), or the producer is done for.
            ProducerFenced: another producer uses the same ``transactional_id``.
            WouldDeadlock: it would wait in a callback, on the thread that has to go on.
        """
        self._background.call(lambda: self._parts.transactor.abort(timeout))

    def send_offsets_to_transaction(
        self, offsets: Offsets[Place], group: Group, timeout: float | None = None
    ) -> None:
        """As :meth:`SyncTransaction.send_offsets`, for the transaction that is open."""
        self._background.call(lambda: self._parts.transactor.send_offsets(offsets, group, timeout))
