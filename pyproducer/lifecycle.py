"""From start to close of one producer, on its event loop.

    new -> starting -> started -> closing -> closed
    starting -> new         the start failed or was cancelled: it may be tried again
    new, starting -> closed

Any number of tasks may call start() and close() at any time: one of them does it, the others wait
for it and learn the same.
"""

from __future__ import annotations

import asyncio
import contextlib
import copy
import logging
import threading
from typing import TYPE_CHECKING, Final

from pyproducer.assembly import forked
from pyproducer.closing import checked_timeout, close_verdict, closed_error, fail_remaining
from pyproducer.errors import (
    AuthenticationError,
    ConnectionFailed,
    FlushTimeout,
    MechanismNotOffered,
    ProducerError,
    SaslExpected,
    TlsError,
)
from pyproducer.model import FlushReport
from pyproducer.net.failures import located

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from pyproducer.assembly import Assembly

__all__ = ["Lifecycle"]

logger = logging.getLogger("pyproducer.producer")

#: Seconds for which other brokers are tried after one failed by its, or our, security.
_AFTER_REFUSAL: Final = 3.0

#: Seconds for which the first answer is waited for where we do not say who we are.
_FIRST_ANSWER: Final = 3.0


class Lifecycle:
    """Starts, flushes and closes what an :class:`Assembly` put together.

    Args:
        parts: the producer's parts.
        owned: True where the producer may be used on the loop's thread alone.
    """

    def __init__(self, parts: Assembly, *, owned: bool) -> None:
        self._parts = parts
        self._owned = owned
        self._starting: asyncio.Future[None] | None = None
        self._closing: asyncio.Future[None] | None = None
        self._dropping: asyncio.Task[None] | None = None

    @property
    def state(self) -> str:
        """In one word or two, for people."""
        if self._closing is not None:
            return "closed" if self._closing.done() else "closing"
        if self._parts.started:
            return "started"
        return "not started" if self._starting is None else "starting"

    @property
    def open(self) -> bool:
        """True where there are connections that only close() ends."""
        return self._parts.started and self._closing is None and not self._is_foreign

    @property
    def _is_foreign(self) -> bool:
        return self._parts.engine.gate.refusal is forked

    async def start(self) -> None:
        """Connect; see :meth:`AsyncProducer.start`."""
        while True:
            if self._closing is not None:
                raise closed_error()
            if self._is_foreign:
                raise forked()
            if self._starting is None:
                break
            self._parts.runner.check_loop()
            if self._starting.done():
                return
            starting = self._starting
            await asyncio.wait([starting])
            if not starting.cancelled():
                error = starting.exception()
                if error is not None:
                    # A copy: two tasks must not lengthen one traceback.
                    raise copy.copy(error)
            # Where the other's start was cancelled, it is this one's turn.
        starting = self._starting = asyncio.get_running_loop().create_future()
        try:
            await self._connect()
        except BaseException as error:
            self._starting = None
            if isinstance(error, ProducerError):
                starting.set_exception(error)
                # Taken note of, whether or not another waits for it.
                starting.exception()
            else:
                starting.cancel()
            raise
        starting.set_result(None)

    async def _connect(self) -> None:
        parts = self._parts
        runner, engine = parts.runner, parts.engine
        wanted = {f"{host}:{port}" for host, port in parts.bootstrap}
        # A peer that accepts and stays silent takes its time, and so would the next one; but one
        # attempt there has to be, also for those who never wait for room.
        patience = max(parts.config.max_block_ms, parts.config.socket_connection_setup_timeout_ms)
        runner.start()
        try:

            def over() -> bool:
                return (
                    engine.contacted
                    or self._closing is not None
                    or wanted <= {address for address, _ in engine.failed_addresses}
                    or any(map(_is_final, engine.refusals.values()))
                )

            with contextlib.suppress(TimeoutError):
                await runner.until(lambda: over() or bool(engine.refusals), patience / 1000)
                # One broker's certificate may be wrong while the others' are right; but whoever
                # has set this up wrongly is not to wait for a server that is silent.
                await runner.until(over, _AFTER_REFUSAL)
            if self._closing is not None:
                raise closed_error()
            if not engine.contacted:
                if engine.refusals:
                    raise _refusal(engine.refusals, engine.failed_addresses)
                reasons = dict(engine.failed_addresses)
                for server in sorted(wanted - reasons.keys()):
                    reasons[server] = f"no answer within {patience} ms"
                address = next(reversed(reasons))
                tried = "; ".join(f"{server}: {reason}" for server, reason in reasons.items())
                raise ConnectionFailed(
                    f"no bootstrap server can be used ({tried}); check that a broker runs there "
                    "and that this is its listener for plain connections",
                    address=address,
                )
            await self._hear()
            await self._parts.transactor.initialise(
                patience / 1000, lambda: self._closing is not None
            )
        except BaseException:
            await runner.give_up()
            raise
        if self._owned:
            parts.appender.owner = runner.thread
        parts.started = True
        parts.refuse(None)

    async def _hear(self) -> None:
        """See that a broker talks to us: any tells its versions, also where it wants SASL."""
        parts = self._parts
        runner, engine = parts.runner, parts.engine
        if parts.config.sasl_mechanism is not None:
            # It has accepted who we are.
            return

        def hung_up() -> bool:
            return any(isinstance(one, SaslExpected) for one in engine.refusals.values())

        # One that answers nothing is no reason to give up: it may be busy, and records wait.
        with contextlib.suppress(TimeoutError):
            await runner.until(
                lambda: engine.heard or hung_up() or self._closing is not None, _FIRST_ANSWER
            )
        if self._closing is not None:
            raise closed_error()
        if hung_up():
            raise _refusal(engine.refusals, engine.failed_addresses)

    async def flush(self, timeout: float | None) -> FlushReport:
        """Wait for what is queued; see :meth:`AsyncProducer.flush`."""
        seconds = checked_timeout(timeout)
        refusal = self._parts.engine.gate.refusal
        if refusal is not None:
            raise refusal()
        return await self._flush(seconds)

    async def _flush(self, seconds: float | None) -> FlushReport:
        runner, engine = self._parts.runner, self._parts.engine
        settler = engine.settler
        done = runner.check_loop().create_future()

        def told() -> None:
            if not done.done():
                done.set_result(None)

        # Settled is not enough: a caller looks at what his callbacks have counted.
        flush = engine.flush(runner.now, lambda: settler.deliveries.then(told))
        runner.ask()
        try:
            async with asyncio.timeout(seconds):
                await done
        except TimeoutError:
            remaining = flush.remaining
            if remaining:
                raise FlushTimeout(
                    f"{remaining} records have no outcome after {seconds:g} s; they stay "
                    "queued until delivery_timeout_ms",
                    remaining=remaining,
                ) from None
        finally:
            settler.abandon(flush)
        return flush.report

    def drop(self) -> None:
        """The producer's last reference went without close(): its records get their outcome.

        While its loop runs it is closed there; if the loop ends meanwhile, or has ended, what is
        left fails, and callbacks, ``on_delivery_failure`` or the log hear of it.
        """
        runner, engine = self._parts.runner, self._parts.engine
        loop = runner.loop
        if loop is None or loop.is_closed():
            self._parts.refuse(closed_error)
            fail_remaining(engine, runner.now)
            # Futures belong to a loop that runs no more: nobody can wait for them.
            with contextlib.suppress(RuntimeError):
                engine.settler.deliveries.run(lambda: 0.0, 1.0)
        elif runner.thread == threading.get_ident() and loop.is_running():
            # At once: a program that drops its producer as its last deed ends the loop's run
            # with this turn, and cancels what has begun by then, which is enough to settle.
            self._dropping = loop.create_task(self._close_quietly())
        else:
            with contextlib.suppress(RuntimeError):
                loop.call_soon_threadsafe(lambda: loop.create_task(self._close_quietly()))

    async def _close_quietly(self) -> None:
        try:
            await self.close(None)
        except ProducerError as error:
            logger.error("while closing a producer that was dropped without close(): %s", error)

    async def close(self, timeout: float | None) -> None:
        """End it; see :meth:`AsyncProducer.close`."""
        seconds = checked_timeout(timeout)
        if seconds is None:
            seconds = self._parts.config.close_timeout_ms / 1000
        parts = self._parts
        runner, engine = parts.runner, parts.engine
        if self._closing is not None:
            if not self._closing.done():
                runner.check_loop()
                await asyncio.shield(self._closing)
            return
        if self._is_foreign:
            raise forked()
        if self._starting is None and not parts.started:
            closing = self._closing = asyncio.get_running_loop().create_future()
            parts.refuse(closed_error)
            closing.set_result(None)
            return
        closing = runner.check_loop().create_future()
        self._closing = closing
        parts.refuse(closed_error)
        if not parts.started:
            # The start that is under way sees it, and takes back what it has done.
            starting = self._starting
            assert starting is not None
            runner.ask()
            try:
                await asyncio.wait([starting])
            finally:
                closing.set_result(None)
            return
        engine.waiters.dismiss(closed_error)
        runner.pick_up()
        end = runner.now + seconds
        left_open = parts.transactor.close()
        remaining = 0
        try:
            try:
                await self._flush(seconds)
                await parts.transactor.settle(max(0.0, end - runner.now))
            except FlushTimeout:
                pass
            finally:
                # Also where the wait was cancelled: no record stays without an outcome.
                remaining = fail_remaining(engine, runner.now)
                await runner.stop()
        finally:
            closing.set_result(None)
        error = close_verdict(engine.settler.ledger, remaining, seconds) or left_open()
        if error is not None:
            raise error


def _is_final(error: ProducerError) -> bool:
    """True for what all brokers of a cluster would say: what we are known by is refused."""
    return isinstance(error, AuthenticationError) and not isinstance(
        error, MechanismNotOffered | TlsError
    )


def _refusal(
    refusals: Mapping[str, ProducerError], tried: Sequence[tuple[str, str]]
) -> ProducerError:
    """The error of a start that security kept from a broker; it tells of all that were tried."""
    address = min(refusals, key=lambda one: not isinstance(refusals[one], AuthenticationError))
    others = "; ".join(f"{other}: {text}" for other, text in tried if other != address)
    made = located(refusals[address], address)
    if others:
        made.args = (f"{made} (others: {others})",)
    return made
