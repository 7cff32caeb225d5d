# cython: annotation_typing=False, nonecheck=True, binding=False, freethreading_compatible=True
"""Runs one engine on one event loop: performs its effects, brings it news, tells the callers.

There is no task that loops: whatever happens asks for one step at the end of the loop's turn, so
that all news of a turn are handled together, and a timer asks for one when the engine wants it.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import threading
from asyncio import get_running_loop
from collections import deque
from typing import TYPE_CHECKING, Any, Final

from pyproducer.core.appender import Batch, Delivery, OutcomeWait, Prepared, RoomWait
from pyproducer.core.effects import Authenticate, Compress, Connect, Disconnect, Effect, Send
from pyproducer.errors import (
    DeliveryError,
    ForkedProducer,
    ProducerError,
    TransactionError,
    WouldDeadlock,
    WrongLoop,
)
from pyproducer.net.bell import Bell
from pyproducer.net.compressor import Compressor
from pyproducer.net.patience import Patience
from pyproducer.net.pool import Pool
from pyproducer.net.thread_wait import ThreadWait, loop_closed, not_done

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from pyproducer.clock import Clock
    from pyproducer.core.engine import Engine
    from pyproducer.net.security import Security
    from pyproducer.records.codec import Codec

__all__ = ["Runner", "forked"]

logger = logging.getLogger("pyproducer.net")

#: Seconds that callbacks and wake-ups may take of one turn of the loop.
_SLICE: Final = 0.002


def forked() -> ProducerError:
    """The error of every call in a process that inherited a started producer."""
    return ForkedProducer(
        "this producer was started by the parent process and its connections belong there; "
        "make or start one after the fork"
    )


class Runner:
    """The net side of a producer, from its start to its end.

    It is the appender's host (``wake``, ``filled``, ``future``, ``block``, ``soon``, ``saw``) too.

    Args:
        clock: for monotonic seconds.
        client_id: told to brokers.
        codec: the producer's own, where a topic has none.
        compression_level: of that codec, None for its default.
        shared: True where other threads than the loop's use the producer.
        secure: makes, for each start, what makes connections secure; None for plain ones.
    """

    def __init__(
        self,
        clock: Clock,
        *,
        client_id: str,
        codec: Codec,
        compression_level: int | None,
        shared: bool,
        secure: Callable[[], Security | None] | None = None,
    ) -> None:
        self._monotonic = clock.monotonic
        self._client_id = client_id
        self._secure = secure
        self._compressor = Compressor(codec, compression_level, self._compressed)
        self._shared = shared
        self._engine: Engine | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread = 0
        self._pool: Pool | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._timer_at = 0.0
        self._asked = False
        # While callers are told, a step that they ask for is owed, and made or asked for behind.
        self._telling = False
        self._owed = False
        # The loop's own line of what is to be called, where it has one that can be looked at.
        self._line: deque[Any] | None = None
        self._bell: Bell | None = None
        self._stepping = False
        self._watchers: list[Callable[[], bool]] = []
        self._forked = False
        self._refuse: Callable[[Callable[[], ProducerError]], object] | None = None

    @property
    def engine(self) -> Engine:
        """The engine that it runs."""
        assert self._engine is not None
        return self._engine

    @property
    def running(self) -> bool:
        """True between start and end."""
        return self._pool is not None

    @property
    def loop(self) -> asyncio.AbstractEventLoop | None:
        """The loop it runs on; None before the start."""
        return self._loop

    @property
    def thread(self) -> int:
        """The loop's thread; 0 before the start."""
        return self._thread

    @property
    def now(self) -> float:
        """Monotonic seconds."""
        return self._monotonic()

    def bind(self, engine: Engine, refuse: Callable[[Callable[[], ProducerError]], object]) -> None:
        """Set the engine, once, and what makes every further call fail with an error."""
        self._engine = engine
        self._refuse = refuse

    def start(self) -> None:
        """Begin to run on the current loop."""
        self._loop = asyncio.get_running_loop()
        self._thread = threading.get_ident()
        self._asked = self._owed = False
        line = getattr(self._loop, "_ready", None)
        self._line = line if isinstance(line, deque) else None
        security = None if self._secure is None else self._secure()
        self._pool = Pool(self, self._loop, client_id=self._client_id, security=security)
        if self._shared:
            # Without a pipe, for want of files too, it goes the loop's own way.
            with contextlib.suppress(NotImplementedError, OSError):
                self._bell = Bell(self._loop, self._come)
        self.ask()

    async def give_up(self) -> None:
        """End before anything was sent, so that a later start() can begin anew."""
        nodes = [] if self._pool is None else self._pool.nodes
        try:
            await self.stop()
        finally:
            for node in nodes:
                self.engine.on_disconnected(node, "the start was given up", self.now)
            self.engine.start_over(self.now)

    def forget(self) -> None:
        """This is the child of a fork: loop, sockets and outcomes are the parent's."""
        self._forked = True

    async def stop(self) -> None:
        """End: nothing is sent or received any more, and no thread, timer or socket is left."""
        pool, self._pool = self._pool, None
        bell, self._bell = self._bell, None
        if bell is not None:
            bell.take_down()
            del bell
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self._look()
        self.engine.waiters.scatter()
        # Outcomes set by the closing itself are still owed to their callers.
        deliveries = self.engine.settler.deliveries
        try:
            if pool is not None:
                await pool.close()
            while deliveries:
                deliveries.run(self._monotonic, _SLICE)
                await asyncio.sleep(0)
        finally:
            # Here too where the wait was cancelled.
            while deliveries:
                deliveries.run(self._monotonic, _SLICE)
            self._compressor.stop()

    async def until(self, condition: Callable[[], bool], timeout: float | None = None) -> None:
        """Wait until something holds, looked at after each step, or until the end.

        Raises:
            TimeoutError: it does not after ``timeout`` seconds.
        """
        if condition():
            return
        loop = self.check_loop()
        future = loop.create_future()

        def look() -> bool:
            if not future.done() and (condition() or self._pool is None):
                future.set_result(None)
            return future.done()

        self._watchers.append(look)
        self.ask()
        try:
            async with Patience(timeout):
                await future
        except TimeoutError:
            if not condition():
                raise
        finally:
            if look in self._watchers:
                self._watchers.remove(look)

    def check_loop(self) -> asyncio.AbstractEventLoop:
        """The running loop, which must be the producer's own.

        Raises:
            WrongLoop: it is another one.
        """
        if self._forked:
            raise forked()
        try:
            loop = get_running_loop()
        except RuntimeError:
            loop = None
        if loop is None or loop is not self._loop:
            raise WrongLoop(
                "the producer was started on another event loop; make one in each loop, "
                "or a SyncProducer for all of them"
            )
        return loop

    def ask(self) -> None:
        """Have a step made at the end of this turn; from the loop's thread."""
        if self._asked or self._pool is None:
            return
        if self._telling:
            self._owed = True
        else:
            assert self._loop is not None
            self._loop.call_soon(self._step)
        self._asked = True

    def pick_up(self) -> None:
        """Go on after a signal's handler raised in the event loop, if one did.

        It may have struck between the loop's taking a callback from its line and calling it, or
        between a socket's bytes and their reader.
        """
        if self._pool is None:
            return
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self._asked = self._telling = self._owed = False
        self._pool.drop_torn()
        self.ask()

    # The appender's host.

    def wake(self) -> None:
        """Something was appended that the engine must know of; from any thread."""
        if not self._shared:
            assert self._loop is not None
            if self._loop.is_closed():
                # Nobody will ever send this record, nor any that comes after it.
                assert self._refuse is not None
                self._refuse(loop_closed)
                raise loop_closed()
            self.ask()
            return
        if threading.get_ident() == self._thread:
            self.ask()
            return
        # This thread goes on by itself: there is no turn of its own to wait for the end of.
        bell, loop = self._bell, self._loop
        if bell is not None:
            bell.ring()
        elif loop is not None:
            loop.call_soon_threadsafe(self._come)

    def filled(self, batch: Batch) -> None:
        """An append has filled a batch; from any thread."""
        self._compressor.begin(batch)
        if not self._shared:
            # Who never sleeps may come by here and nowhere else.
            self._compressor.step_aside(batch.size)

    def future(self) -> Any:
        """A future for one who awaits a delivery."""
        if OutcomeWait is not None:
            return OutcomeWait(self, self.check_loop())
        # Straight, not by the loop's own method: asyncio's future serves every loop.
        return asyncio.Future(loop=self.check_loop())

    def block(self, delivery: Delivery, timeout: float | None) -> None:
        """Wait on this thread until the delivery is done.

        Raises:
            NotDone: this thread runs the event loop that has to complete it.
            WouldDeadlock: the same, in a callback of a blocking producer.
            TimeoutError: ``timeout`` passed.
        """
        if self._forked:
            raise forked()
        waiter = ThreadWait()
        if threading.get_ident() == self._thread:
            if self._shared:
                raise WouldDeadlock(
                    "result() would block the thread that has to complete this delivery; in a "
                    "callback ask only deliveries that are done"
                )
            raise not_done(delivery)
        if self._shared:
            # Not looked at first: whether an object is a coroutine function takes longer to find
            # out than all else in here.
            delivery._watch(waiter)
        else:
            assert self._loop is not None
            try:
                self._loop.call_soon_threadsafe(delivery._watch, waiter)
            except RuntimeError:
                # The loop is closed: nobody will ever know.
                raise not_done(delivery) from None
        if not waiter.wait(timeout):
            raise TimeoutError(
                f"no outcome of the record to {delivery.topic!r} after {timeout:g} s"
            )

    def soon(self, callback: Callable[[Delivery], object], delivery: Delivery) -> None:
        """Call back at the loop's next turn; from any thread."""
        assert self._loop is not None
        try:
            self._loop.call_soon_threadsafe(self._call, callback, delivery)
        except RuntimeError:
            # The loop is closed, and with it the producer: there is no later turn.
            self._call(callback, delivery)

    def saw(self, batch: Batch) -> None:
        """Somebody looked at the outcome of a failed record."""
        self.engine.settler.ledger.saw(batch.topic)

    @staticmethod
    def _call(callback: Callable[[Delivery], object], delivery: Delivery) -> None:
        try:
            callback(delivery)
        except Exception:
            logger.exception("on_delivery callback %r failed", callback)

    # Room in the buffer.

    async def wait_for_room(self, made: Prepared, timeout: float) -> Delivery:
        """Append a prepared record as soon as there is room for it and those before it.

        Raises:
            BufferFull: there was none for ``timeout`` seconds.
            ProducerError: whatever else keeps the record out.
        """
        future: asyncio.Future[Delivery] = self.check_loop().create_future()

        def tell(outcome: Delivery | Exception) -> None:
            if future.done():
                return
            if isinstance(outcome, Exception):
                future.set_exception(outcome)
            else:
                future.set_result(outcome)

        until = self._monotonic() + timeout
        place = self.engine.waiters.join(made, tell, lambda: not future.done(), until)
        self.ask()
        try:
            return await future
        except BaseException:
            self.leave(place)
            if future.done() and not future.cancelled():
                # Cancelled in the turn in which it came: it is not to be logged as forgotten.
                future.exception()
            raise

    def room(self, timeout: float, made: Prepared) -> Any:
        """As :meth:`wait_for_room`, for a task that waits in a call of the appender's own."""
        wait = RoomWait(
            self,
            self.check_loop(),
            self.engine.waiters.woken,
            made,
            self._monotonic() + timeout,
        )
        self.engine.waiters.stand(wait)
        self.ask()
        return wait

    def leave(self, place: object) -> None:
        """Somebody waits for room no more."""
        waiters = self.engine.waiters
        waiters.leave(place)
        if waiters:
            # The next in line may want less room than this one did.
            self.ask()

    def cancelled(self, message: object) -> BaseException:
        """The error of one who waited for room or an outcome and was cancelled."""
        return asyncio.CancelledError() if message is None else asyncio.CancelledError(message)

    # Steps.

    def _step(self) -> None:
        self._asked = False
        if self._pool is None:
            return
        engine, compressor = self.engine, self._compressor
        busy = not compressor.quiet
        if busy and not self._shared:
            compressor.step_aside()
        engine.begin_turn()
        self._stepping = True
        try:
            if busy:
                for sealed, body in compressor.finished():
                    engine.on_compressed(sealed, body)
            for effect in engine.poll(self._monotonic()):
                self._perform(effect)
        except Exception as error:
            self._break_down(error)
        finally:
            self._stepping = False
        if engine.has_more:
            self.ask()
        self._arm()
        self._tell()
        self._pay()

    def _tell(self) -> None:
        """Tell callers what they wait for, for a while."""
        engine = self.engine
        deliveries, waiters = engine.settler.deliveries, engine.waiters
        if deliveries or waiters.woken:
            # No task can go on within another.
            straight = asyncio.current_task(self._loop) is None
            self._telling = True
            try:
                deliveries.run(self._monotonic, _SLICE, straight)
                if straight and waiters.woken:
                    waiters.wake(self._monotonic, _SLICE)
            except BaseException:
                # Where a signal's handler raised in a callback: it goes on with the next.
                self._go_on()
                self._pay()
                raise
            self._go_on()
        if self._watchers:
            self._look()

    def _go_on(self) -> None:
        """They are told, all of them or as many as there was time for."""
        self._telling = False
        engine = self.engine
        if engine.settler.deliveries or engine.waiters.woken:
            self.ask()

    def _pay(self) -> None:
        """Ask for the step that is owed to those who were told, if one is."""
        if self._owed:
            self._owed = False
            assert self._loop is not None
            self._loop.call_soon(self._step)

    def _break_down(self, error: Exception) -> None:
        """Settle everything after a defect: what nobody moves any more must not wait for ever."""
        logger.error("the producer cannot go on", exc_info=error)
        text = f"the producer stopped on an internal error, {type(error).__name__}: {error}"

        def refuse() -> ProducerError:
            return ProducerError(f"{text}; make a new one to send more")

        def fail(
            topic: str, partition: int | None, elapsed: float, maybe: bool, attempts: int
        ) -> Exception:
            return DeliveryError(
                text,
                topic=topic,
                partition=partition,
                attempts=attempts,
                elapsed=elapsed,
                maybe_written=maybe,
            )

        assert self._refuse is not None
        self._refuse(refuse)
        if self.engine.transactions is not None:
            self.engine.transactions.end_for_good(TransactionError(text, fatal=True))
        self.engine.fail_all(fail, self.now)
        self.engine.waiters.dismiss(refuse)

    def _look(self) -> None:
        self._watchers = [look for look in self._watchers if not look()]

    def _arm(self) -> None:
        engine = self.engine
        at = engine.deadline()
        if at is None:
            return
        if self._timer is not None:
            if at >= self._timer_at:
                # Most deadlines are put off long before they come. One step in vain, when the old
                # time comes, costs less than a new timer for each of them.
                return
            self._timer.cancel()
        assert self._loop is not None
        self._timer_at = at
        self._timer = self._loop.call_later(max(0.0, at - self._monotonic()), self._ring)

    def _ring(self) -> None:
        self._timer = None
        self._come()

    def _compressed(self) -> None:
        assert self._loop is not None
        self._loop.call_soon_threadsafe(self._come)

    def _come(self) -> None:
        """Make a step now, unless one is made in this turn anyhow."""
        if not self._asked:
            self._step()

    def _perform(self, effect: Effect) -> None:
        pool = self._pool
        assert pool is not None
        match effect:
            case Send():
                try:
                    pool.send(effect)
                except (ProducerError, ValueError) as error:
                    # The connection may be sound, but it is of no use to us.
                    reason = f"{type(error).__name__}: {error}"
                    pool.disconnect(effect.node)
                    self.engine.on_disconnected(effect.node, reason, self.now)
                    self.ask()
            case Compress():
                if self._compressor.take(effect.sealed):
                    self.ask()
            case Connect():
                pool.connect(effect)
            case Authenticate():
                pool.authenticate(effect.node)
            case Disconnect():
                pool.disconnect(effect.node)

    # The pool's owner.

    def node_connected(
        self, node: int, features: Mapping[str, int], features_epoch: int, session: float
    ) -> None:
        """A connection can be used, for so many seconds; it has told the cluster's features."""
        self.engine.on_connected(node, features, features_epoch, session, self.now)
        self.ask()

    def node_authenticated(self, node: int, session: float) -> None:
        """The broker has accepted anew who we are, for so many seconds."""
        self.engine.on_authenticated(node, session, self.now)
        self.ask()

    def node_unproven(self, node: int, reason: str) -> None:
        """Nothing could be had to prove anew who we are; the connection is as it was."""
        self.engine.on_unproven(node, reason, self.now)
        self.ask()

    def node_disconnected(self, node: int, reason: str, error: ProducerError | None) -> None:
        """A connection is gone, or could not be made; with ``error`` security failed."""
        self.engine.on_disconnected(node, reason, self.now, error)
        self.ask()

    def node_answered(self, node: int, answers: Iterable[tuple[Any, ...]]) -> None:
        """Responses came, each behind its request's tag; None for one that wants no response."""
        engine, now = self.engine, self._monotonic()
        stirred = False
        for answer in answers:
            stirred = engine.on_answer(node, answer[0], answer[1], now) or stirred
        if self._stepping:
            self.ask()
        elif not self._asked:
            # Not at the end of the turn: whoever waits for this has waited for long enough.
            if stirred:
                self._step()
            else:
                engine.begin_turn()
                self._tell()
                if self._owed and self._line is not None and not self._line:
                    # Nobody else has anything to do in this turn, so that this is its end.
                    self._owed = False
                    self._step()
                else:
                    self._pay()
