"""The background thread of a blocking producer: started once, closed once, at the latest at exit.

Producers that are started and not closed stand in a list of this module, not to be forgotten: one
whose last reference goes still has records to deliver.
"""

from __future__ import annotations

import asyncio
import atexit
import contextlib
import logging
import os
import sys
import threading
import warnings
import weakref
from collections.abc import Callable, Coroutine
from typing import TYPE_CHECKING, Any, Final, TypeVar

from pyproducer.assembly import forked
from pyproducer.closing import checked_timeout, closed_error
from pyproducer.errors import CloseTimeout, ProducerError, UsageError, WouldDeadlock
from pyproducer.loop_thread import LoopThread

if TYPE_CHECKING:
    from pyproducer.assembly import Assembly
    from pyproducer.core.appender import Delivery, Prepared
    from pyproducer.producer import AsyncProducer

__all__ = ["Background"]

logger = logging.getLogger("pyproducer.producer")

R = TypeVar("R")

#: Seconds that a close may take beyond its timeout, before the thread counts as stuck in a
#: callback.
_GRACE: Final = 5.0

_all: weakref.WeakSet[Background] = weakref.WeakSet()
_running: dict[int, Background] = {}
#: The process, a child of multiprocessing, that will close at its end what is left open.
_finalized_in = 0


class Background:
    """A thread with an event loop that runs one asyncio producer.

    Args:
        parts: of the producer.
        inner: the producer that runs on the thread.
    """

    def __init__(self, parts: Assembly, inner: AsyncProducer[Any, Any]) -> None:
        self._parts = parts
        self._inner = inner
        self._thread = LoopThread("pyproducer")
        self._lock = threading.Lock()
        #: Set once a close that has begun is over; None before.
        self._closed: threading.Event | None = None
        _all.add(self)

    @property
    def open(self) -> bool:
        """True where a thread runs that only close() ends."""
        return self._parts.started and self._closed is None and not self._is_foreign

    @property
    def _is_foreign(self) -> bool:
        return self._parts.engine.gate.refusal is forked

    def start(self) -> None:
        """Start thread and producer, unless they run; see :meth:`SyncProducer.start`."""
        self.check_thread()
        with self._lock:
            if self._is_foreign:
                raise forked()
            if self._closed is not None:
                raise closed_error()
            if self._parts.started:
                return
            self._thread.start()
            try:
                self._thread.call(self._inner.start)
            except BaseException:
                self._thread.stop()
                raise
            _running[id(self)] = self
            _close_at_exit()

    def call(self, function: Callable[[], Coroutine[Any, Any, R]]) -> R:
        """Run a coroutine of the producer on the thread, and wait for it.

        Args:
            function: makes the coroutine, on the thread.

        Raises:
            WouldDeadlock: this is the thread.
            ProducerClosed: the producer was closed meanwhile.
        """
        if self._is_foreign:
            raise forked()
        if not self._thread.running:
            raise closed_error()
        try:
            return self._thread.call(function)
        except UsageError as error:
            if type(error) is UsageError and self._closed is not None:
                raise closed_error() from error
            raise

    def room(self, made: Prepared) -> Delivery:
        """Wait for room for a record; see :meth:`call`."""
        return self.call(lambda: self._parts.room(made))

    def check_thread(self) -> None:
        """Refuse to wait on the thread that has to go on.

        Raises:
            WouldDeadlock: this is the thread.
        """
        if self._parts.runner.thread == threading.get_ident() and self._thread.running:
            raise WouldDeadlock(
                "a blocking call in a callback would wait for itself: the producer's thread, which "
                "runs callbacks, has to complete it; use enqueue_nowait() there"
            )

    def close(self, timeout: float | None) -> None:
        """Close producer and thread; see :meth:`SyncProducer.close`."""
        seconds = checked_timeout(timeout)
        if seconds is None:
            seconds = self._parts.config.close_timeout_ms / 1000
        self.check_thread()
        with self._lock:
            closed = self._closed
            if closed is None:
                if self._is_foreign:
                    raise forked()
                mine = self._closed = threading.Event()
        if closed is not None:
            closed.wait(seconds + 2 * _GRACE)
            return
        try:
            if not self._parts.started:
                self._parts.refuse(closed_error)
                return
            self._close(seconds)
        finally:
            _running.pop(id(self), None)
            mine.set()

    def _close(self, seconds: float) -> None:
        loop = self._thread.loop
        closing = asyncio.run_coroutine_threadsafe(self._inner.close(seconds), loop)
        try:
            closing.result(seconds + _GRACE)
        except BaseException as error:
            if isinstance(error, TimeoutError) and not closing.done():
                # It goes on by itself, whenever the callback lets it, and the thread ends then.
                closing.add_done_callback(lambda _: loop.call_soon_threadsafe(loop.stop))
                raise CloseTimeout(
                    f"the producer's thread did not end {seconds + _GRACE:g} s after close() was "
                    "called: a callback keeps it",
                    remaining=sum(
                        batch.count for batch in list(self._parts.engine.settler.live.values())
                    ),
                ) from None
            # Where it is KeyboardInterrupt, what has no outcome gets it at once.
            closing.cancel()
            self._stop()
            raise
        self._stop()

    def _stop(self) -> None:
        try:
            self._thread.stop(_GRACE)
        except TimeoutError:
            logger.warning("a callback keeps the producer's thread from ending")

    def close_soon(self) -> None:
        """Close without waiting: for the garbage collector, which may run on any thread."""
        thread = threading.Thread(target=self._close_quietly, name="pyproducer-close", daemon=True)
        # At the program's end no thread starts any more; then the closing comes with the exit.
        with contextlib.suppress(RuntimeError):
            thread.start()

    def _close_quietly(self) -> None:
        try:
            self.close(None)
        except ProducerError as error:
            logger.error("while closing a producer that was dropped: %s", error)

    def _after_fork(self) -> None:
        # Of the parent's threads only the one that forked lives here; what the others held they
        # will never let go.
        self._lock = threading.Lock()
        if not self._is_foreign:
            self._thread = LoopThread("pyproducer")


def _close_at_exit() -> None:
    global _finalized_in  # noqa: PLW0603
    # What was started last ends first: behind this producer may be a broker of this process that
    # has to take its last records.
    atexit.unregister(_close_all)
    atexit.register(_close_all)
    util = sys.modules.get("multiprocessing.util")
    if util is None or _finalized_in == os.getpid():
        return
    if sys.modules["multiprocessing.process"].parent_process() is not None:
        # Such a child leaves by os._exit(), and before Python 3.13 past the handlers of atexit.
        util.Finalize(None, _close_all, exitpriority=0)
        _finalized_in = os.getpid()


def _close_all() -> None:
    """Close what a program that ends has left open."""
    left = list(_running.values())
    dropped = [one for one in left if one.open]
    for one in left:
        one._close_quietly()
    for one in dropped:
        warnings.warn(
            f"{one._inner!r} was not closed before the program's end; it was closed then. "
            "Use 'with', or call close().".replace("AsyncProducer", "SyncProducer", 1),
            ResourceWarning,
            source=one,
            stacklevel=1,
        )


def _after_fork() -> None:
    for one in list(_all):
        one._after_fork()
    _running.clear()


atexit.register(_close_all)
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
