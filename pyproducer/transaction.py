"""The transactions of a producer, and one of them as a block of code."""

from __future__ import annotations

import copy
import logging
from types import TracebackType
from typing import TYPE_CHECKING, NoReturn, Self

from pyproducer.core.transaction import State
from pyproducer.errors import (
    AuthorizationError,
    ProducerError,
    TransactionAborted,
    TransactionError,
)
from pyproducer.transactor import Transactor

if TYPE_CHECKING:
    from pyproducer.assembly import Assembly
    from pyproducer.offsets import Group, Offsets, Place

__all__ = ["Transaction", "Transactional"]

logger = logging.getLogger("pyproducer.producer")


class Transaction:
    """A transaction of an :class:`AsyncProducer`, made by :meth:`AsyncProducer.transaction`.

    Entering the block begins it. Leaving the block commits what was sent in it and waits until
    that is certain; a block that raises, or is cancelled, has its transaction aborted::

        async with producer.transaction() as tx:
            await producer.enqueue("orders", b"tea")
            await tx.send_offsets({("requests", 0): 42}, "waiters")
    """

    def __init__(self, transactor: Transactor) -> None:
        # Late: most producers have no transactions.
        from pyproducer.core.transaction_requests import Outcome

        self._transactor = transactor
        self._over = True
        self._fate = Outcome()

    def __repr__(self) -> str:
        state = "over" if self._over else self._transactor.state.value
        return f"<{type(self).__name__} {state}>"

    async def send_offsets(
        self, offsets: Offsets[Place], group: Group, *, timeout: float | None = None
    ) -> None:
        """Make a consumer's progress part of the transaction (KIP-447).

        The offsets count once the transaction is committed, and never if it is aborted: what was
        read is processed exactly once. The consumer must not commit them itself.

        Args:
            offsets: the next offset to read for each ``(topic, partition)``, as an int or an
                :class:`~pyproducer.OffsetAndMetadata`; or what confluent-kafka's ``position()``
                returns.
            group: the consumer's group id; or its membership, by which the group's coordinator
                refuses a consumer that was replaced: a :class:`~pyproducer.GroupMetadata`, or
                what the consumer's own ``group_metadata()`` or ``consumer_group_metadata()``
                returns (kafka-python, confluent-kafka).
            timeout: seconds; None for ``max_block_ms``.

        Raises:
            UsageError: no transaction is open, or offsets or group are of no use.
            TransactionError: they could not be added; ``abort_required`` says what to do.
        """
        await self._transactor.send_offsets(offsets, group, timeout)

    async def commit(self, *, timeout: float | None = None) -> None:
        """Commit before the block ends; see :meth:`AsyncProducer.commit_transaction`."""
        await self._transactor.commit(timeout)
        self._over = True

    async def abort(self, *, timeout: float | None = None) -> None:
        """Abort before the block ends; see :meth:`AsyncProducer.abort_transaction`."""
        await self._transactor.abort(timeout)
        self._over = True

    async def __aenter__(self) -> Self:
        self._fate = await self._transactor.begin()
        self._over = False
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._over:
            return
        if self._fate.done:
            # Ended by somebody else. The one that is open by now, if any, is not this block's.
            if error is None and not self._fate.commit:
                raise TransactionAborted(f"the transaction was aborted: {self._who()}")
            return
        if error is None:
            await self._finish()
            return
        if self._transactor.state in {State.COMMITTING, State.DEAD}:
            # Nothing can be aborted any more, and the block says itself what it met.
            return
        reason = self._transactor.reason
        try:
            await self.abort()
        except ProducerError as trouble:
            if isinstance(error, TransactionError) and _is_worse(trouble, error):
                # Of two answers that the producer is over the milder one came first.
                raise trouble from error
            # The block's own exception is what the caller must see.
            logger.error("while aborting after %s: %s", type(error).__name__, trouble)
            return
        if (
            isinstance(error, TransactionError)
            and not isinstance(error, TransactionAborted)
            and not error.maybe_committed
            and (error.abort_required or error.retriable)
        ):
            # It is the transaction's own, and what it asks for is done, or cannot be any more.
            _raise_aborted(reason or str(error), error)

    def _who(self) -> str:
        if self._transactor.cut_short:
            return "the producer was closed before the block was left"
        return (
            "abort_transaction() was called before the block was left; inside a block use its "
            "own abort()"
        )

    async def _finish(self) -> None:
        if self._transactor.state is State.ABORTING:
            # The block began to abort, and did not wait for the end.
            await self.abort()
            return
        try:
            await self.commit()
        except TransactionError as trouble:
            if not trouble.abort_required:
                raise
            reason = self._transactor.reason
            await self.abort()
            _raise_aborted(reason, trouble)


def _is_worse(trouble: ProducerError, error: TransactionError) -> bool:
    """Whether an abort has met the producer's end, which the error before it did not tell."""
    return isinstance(trouble, TransactionError) and trouble.fatal and not error.fatal


def _raise_aborted(reason: str, trouble: TransactionError) -> NoReturn:
    """Tell that the transaction was aborted, unless nobody can know that."""
    if trouble.maybe_committed:
        raise trouble
    if isinstance(trouble, AuthorizationError):
        # It stays of its class, which says more than that there was an abort.
        made = copy.copy(trouble)
        hope = f"the same would fail again until this client may use {trouble.resource!r}"
        made.args = (f"the transaction was aborted: {reason}; {hope}",)
        made.abort_required = False
        raise made from trouble
    cause = trouble.__cause__
    retriable = not isinstance(cause, ProducerError) or cause.retriable
    hope = "its work may be done anew in another" if retriable else "the same would fail again"
    raise TransactionAborted(
        f"the transaction was aborted: {reason}; {hope}", retriable=retriable
    ) from trouble


class Transactional:
    """What a producer with a ``transactional_id`` can do besides."""

    _parts: Assembly

    def transaction(self) -> Transaction:
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
            UsageError: a transaction is open already, or the producer has no transactional id.
        """
        return Transaction(self._parts.transactor)

    async def begin_transaction(self) -> None:
        """Begin a transaction; records are taken until it is committed or aborted.

        Raises:
            UsageError: one is open already, or the producer has no transactional id.
            TransactionError: the one before must be aborted first (``abort_required``), or the
                producer is done for (``fatal``).
        """
        await self._parts.transactor.begin()

    async def commit_transaction(self, timeout: float | None = None) -> None:
        """Send what is queued, commit, and wait until that is certain.

        A call that times out or is cancelled takes nothing back: the same call again waits on.

        Args:
            timeout: seconds; None for ``max_block_ms``.

        Raises:
            UsageError: no transaction is open.
            TransactionError: a record or a request failed (``abort_required``), the outcome is
                not certain yet (``retriable``, call again), or the producer is done for
                (``fatal``). ``maybe_committed`` False means that the transaction is certainly
                not committed.
            ProducerFenced: another producer uses the same ``transactional_id``.
        """
        await self._parts.transactor.commit(timeout)

    async def abort_transaction(self, timeout: float | None = None) -> None:
        """Drop what is queued, abort, and wait until that is done.

        Records that were not sent yet fail with :class:`~pyproducer.errors.TransactionAborted`.

        Args:
            timeout: seconds; None for ``max_block_ms``.

        Raises:
            UsageError: no transaction is open, or it is being committed.
            TransactionError: it is not done yet (``retriable``), or the producer is done for.
            ProducerFenced: another producer uses the same ``transactional_id``.
        """
        await self._parts.transactor.abort(timeout)

    async def send_offsets_to_transaction(
        self, offsets: Offsets[Place], group: Group, timeout: float | None = None
    ) -> None:
        """As :meth:`Transaction.send_offsets`, for the transaction that is open."""
        await self._parts.transactor.send_offsets(offsets, group, timeout)
