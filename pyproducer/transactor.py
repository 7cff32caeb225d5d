"""The transactions of one producer as coroutines: asked of the engine, and waited for."""

from __future__ import annotations

import contextlib
import copy
from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from pyproducer.closing import checked_timeout, closed_error
from pyproducer.core.transaction import State
from pyproducer.errors import ProducerError, TransactionAborted, TransactionError, UsageError

if TYPE_CHECKING:
    from pyproducer.assembly import Assembly
    from pyproducer.core.transaction_requests import Outcome
    from pyproducer.core.transactions import Transactions
    from pyproducer.offsets import Group, Offsets, Place

__all__ = ["Transactor"]

_GOES_ON: Final = "; it goes on, and {}_transaction() waits for it again"


class Transactor:
    """Begins and ends transactions.

    Args:
        parts: of the producer, with or without a transactional id.
    """

    def __init__(self, parts: Assembly) -> None:
        self._parts = parts
        self._cut_short = False

    @property
    def state(self) -> State:
        """Where the producer stands; UNREADY where it has no transactional id."""
        transactions = self._parts.engine.transactions
        return State.UNREADY if transactions is None else transactions.state

    @property
    def reason(self) -> str:
        """Why the open transaction has to be aborted, in words; empty where it need not be."""
        transactions = self._parts.engine.transactions
        return "" if transactions is None else transactions.reason

    @property
    def cut_short(self) -> bool:
        """True where close() has aborted a transaction that was open."""
        return self._cut_short

    async def initialise(self, seconds: float, closed: Callable[[], bool]) -> None:
        """Get the producer id, where transactions are wanted.

        Raises:
            TransactionError: it could not be had.
            ProducerClosed: ``closed()`` became true meanwhile.
        """
        transactions = self._parts.engine.transactions
        if transactions is None:
            return
        outcome = transactions.initialise()
        what = "the start of transactions"
        await self._wait(outcome, seconds, what, "", closed)

    async def begin(self) -> Outcome:
        """Open a transaction, once one that is being aborted is over; its fate is returned.

        Raises:
            UsageError: one is open, or the producer has no transactional id.
            TransactionError: the one before has to be aborted, or cannot be ended.
        """
        transactions = self._transactions()
        if transactions.state is State.ABORTING:
            # Its caller gave up waiting, which is no reason why this one should fail.
            await self.abort(None)
        transactions.begin(self._parts.runner.now)
        return transactions.fate

    async def commit(self, timeout: float | None) -> None:
        """Commit, and wait until it is certain; see :meth:`AsyncProducer.commit_transaction`."""
        found = self._parts.engine.transactions
        if found is not None and found.state is State.DEAD and found.owed and _committed(found):
            # It was decided while nobody waited for it, and before the producer came to its end.
            found.owed = False
            return
        transactions = self._transactions()
        seconds = self._seconds(timeout)
        outcome = transactions.commit(self._parts.runner.now)
        await self._wait(outcome, seconds, "the commit", _GOES_ON.format("commit"))

    async def abort(self, timeout: float | None) -> None:
        """Abort, and wait until it is done; see :meth:`AsyncProducer.abort_transaction`."""
        transactions = self._transactions()
        seconds = self._seconds(timeout)
        outcome = transactions.abort(self._parts.runner.now)
        await self._wait(outcome, seconds, "the abort", _GOES_ON.format("abort"))

    async def send_offsets(
        self, offsets: Offsets[Place], group: Group, timeout: float | None
    ) -> None:
        """Have offsets committed with the transaction; see :meth:`Transaction.send_offsets`."""
        transactions = self._transactions()
        seconds = self._seconds(timeout)
        # Late: most producers have no transactions.
        from pyproducer.core.transaction_requests import OffsetCommit
        from pyproducer.offsets import group_of, offsets_of

        commit = OffsetCommit(offsets_of(offsets), group_of(group))
        if not commit.offsets:
            return
        await self._wait(transactions.send_offsets(commit), seconds, "the commit of offsets", "")

    def close(self) -> Callable[[], ProducerError | None]:
        """Abort what is open; what is returned tells, after all, what the caller has to know."""
        transactions = self._parts.engine.transactions
        if transactions is None:
            return lambda: None
        before, owed = transactions.state, transactions.owed
        if before in {State.OPEN, State.DOOMED}:
            transactions.abort(self._parts.runner.now)
            self._cut_short = True

        def verdict() -> ProducerError | None:
            if not owed or _committed(transactions):
                return None
            if transactions.doubtful or transactions.state is State.COMMITTING:
                return TransactionError(
                    "the producer was closed before the commit of its transaction was certain, "
                    f"and nobody can tell whether it was committed ({_last(transactions)})",
                    maybe_committed=True,
                )
            done = transactions.state is State.READY
            how = "was aborted" if done else "is left to the coordinator, which aborts it"
            why = f": {transactions.complaint}" if transactions.complaint else ""
            return TransactionAborted(
                f"the producer was closed while its transaction was open: it {how}{why}; leave "
                "'async with producer.transaction():', or commit, before closing"
            )

        return verdict

    async def settle(self, seconds: float) -> None:
        """Wait until what is being ended has ended, for so long at most."""
        runner, transactions = self._parts.runner, self._parts.engine.transactions
        end = runner.now + seconds
        with contextlib.suppress(TimeoutError):
            await runner.until(lambda: self.state is not State.COMMITTING, seconds)
            if transactions is not None and self.state is State.DOOMED:
                transactions.abort(runner.now)
            left = max(0.0, end - runner.now)
            await runner.until(lambda: self.state is not State.ABORTING, left)

    def _transactions(self) -> Transactions:
        engine = self._parts.engine
        if engine.gate.refusal is not None:
            raise engine.gate.refusal()
        if engine.transactions is None:
            raise UsageError(
                "this producer has no transactions; make one with transactional_id='...', a name "
                "of its own that it keeps across restarts"
            )
        self._parts.runner.check_loop()
        return engine.transactions

    def _seconds(self, timeout: float | None) -> float:
        seconds = checked_timeout(timeout)
        return self._parts.config.max_block_ms / 1000 if seconds is None else seconds

    async def _wait(
        self,
        outcome: Outcome,
        seconds: float,
        what: str,
        hint: str,
        closed: Callable[[], bool] = lambda: False,
    ) -> None:
        from pyproducer.core.transaction_requests import OffsetCommit

        runner, transactions = self._parts.runner, self._parts.engine.transactions
        assert transactions is not None
        try:
            await runner.until(lambda: outcome.done or closed(), seconds)
        except TimeoutError:
            raise TransactionError(
                f"{what} is not certain after {seconds:g} s ({_last(transactions)}){hint}",
                retriable=True,
                maybe_committed=outcome.commit,
            ) from None
        if closed():
            raise closed_error()
        if not outcome.done:
            raise TransactionError(
                f"the producer was closed before {what} was certain ({_last(transactions)})",
                maybe_committed=outcome.commit,
            )
        outcome.told = True
        if not isinstance(outcome, OffsetCommit) or transactions.state is State.DEAD:
            transactions.owed = False
        if outcome.error is not None:
            # A copy: several callers must not lengthen one traceback.
            error = copy.copy(outcome.error)
            error.__cause__ = outcome.error.__cause__
            raise error


def _committed(transactions: Transactions) -> bool:
    return transactions.finish is not None and transactions.finish.committed


def _last(transactions: Transactions) -> str:
    return f"last: {transactions.complaint}" if transactions.complaint else "no answer yet"
