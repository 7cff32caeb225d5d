"""A background thread that runs one event loop and takes calls from other threads.

Blocking front ends (the sync producer, the embedded broker) own a `LoopThread` and have
coroutines run by it. The thread is a daemon, so a program that forgets to stop it can still end.
A fork copies the object but not the thread: the child is told so instead of waiting for ever.
"""

from __future__ import annotations

import asyncio
import concurrent.futures
import contextlib
import os
import threading
from typing import TYPE_CHECKING, Any, TypeVar

from pyproducer.errors import UsageError, WouldDeadlock

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

T = TypeVar("T")


class LoopThread:
    """One event loop on one daemon thread.

    Args:
        name: Name of the thread, as seen in tracebacks and debuggers.
        loop_factory: Makes the event loop; None takes asyncio's default.
        debug: asyncio's debug mode; None follows the interpreter's settings.
    """

    def __init__(
        self,
        name: str = "pyproducer-loop",
        *,
        loop_factory: Callable[[], asyncio.AbstractEventLoop] | None = None,
        debug: bool | None = None,
    ) -> None:
        self._name = name
        self._loop_factory = loop_factory
        self._debug = debug
        # Guards the three fields below against start, stop and call from several threads.
        # A call is scheduled while holding it, so it is either before the loop's stop (and
        # gets cancelled by the loop's shutdown) or refused: it can never be forgotten.
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._pid = os.getpid()

    @property
    def running(self) -> bool:
        """True from the return of `start` to the call of `stop`, in the process that started."""
        return self._loop is not None and not self.forked

    @property
    def forked(self) -> bool:
        """True in a child process that inherited a started thread, which does not run there."""
        return self._thread is not None and self._pid != os.getpid()

    @property
    def loop(self) -> asyncio.AbstractEventLoop:
        """The running loop.

        Raises:
            UsageError: The thread is not running.
        """
        return self._running_loop()

    def start(self) -> None:
        """The loop runs when this returns; does nothing if it already does.

        Raises:
            UsageError: The thread was started before a fork, by the parent process.
            Exception: Whatever making the event loop raised.
        """
        with self._lock:
            if self.forked:
                raise UsageError(
                    f"{self._name} was started by process {self._pid} and does not run in "
                    f"its fork {os.getpid()}; create a new object after the fork"
                )
            if self._thread is not None:
                return
            started: concurrent.futures.Future[asyncio.AbstractEventLoop]
            started = concurrent.futures.Future()
            thread = threading.Thread(
                target=self._run, args=(started,), name=self._name, daemon=True
            )
            self._pid = os.getpid()
            thread.start()
            try:
                self._loop = started.result()
            except BaseException:
                thread.join()
                raise
            self._thread = thread

    def call(
        self, function: Callable[[], Coroutine[Any, Any, T]], timeout: float | None = None
    ) -> T:
        """Runs a coroutine on the loop and returns its result; blocks the calling thread.

        Args:
            function: Makes the coroutine, on the loop's thread. So there is none that Ctrl-C,
                which may strike the caller anywhere, keeps from being run or closed.
            timeout: Seconds to wait; then the coroutine is cancelled. None waits for ever.

        Raises:
            TimeoutError: The timeout passed (or the coroutine itself raised it).
            WouldDeadlock: Called on the loop's own thread, which would wait for itself.
            UsageError: The thread is not running, or was stopped during the call.
        """
        future: concurrent.futures.Future[T] = concurrent.futures.Future()
        try:
            with self._lock:
                loop = self._running_loop()
                if threading.current_thread() is self._thread:
                    raise WouldDeadlock(
                        f"a blocking call on {self._name} from its own thread would wait for "
                        "itself; use the non-blocking form in callbacks"
                    )
                loop.call_soon_threadsafe(_begin, loop, function, future)
            return future.result(timeout)
        except concurrent.futures.CancelledError:
            if self.running:
                raise
            raise UsageError(f"{self._name} was stopped during the call") from None
        finally:
            # Reached with an unfinished future on a timeout, and on KeyboardInterrupt anywhere.
            future.cancel()

    def post(self, callback: Callable[..., object], *args: object) -> None:
        """Schedules a plain callback on the loop and returns at once; order is kept.

        Raises:
            UsageError: The thread is not running.
        """
        with self._lock:
            self._running_loop().call_soon_threadsafe(callback, *args)

    def stop(self, timeout: float | None = None) -> None:
        """Cancels what still runs on the loop, closes it and ends the thread.

        Does nothing if the thread does not run, and only forgets it in a forked child, whose
        loop shares its selector with the parent and must not touch it.

        Args:
            timeout: Seconds to wait for the thread; None waits for ever.

        Raises:
            WouldDeadlock: Called on the loop's own thread.
            TimeoutError: A task on the loop did not end in time. The thread is a daemon and
                is left behind.
        """
        with self._lock:
            thread, loop = self._thread, self._loop
            if thread is None or self.forked:
                self._thread = self._loop = None
                return
            if threading.current_thread() is thread:
                raise WouldDeadlock(f"{self._name} cannot be stopped from its own thread")
            if loop is not None:
                self._loop = None
                loop.call_soon_threadsafe(loop.stop)
        thread.join(timeout)
        if thread.is_alive():
            raise TimeoutError(f"{self._name} did not stop within {timeout} s")
        with self._lock:
            if self._thread is thread:
                self._thread = None

    def _running_loop(self) -> asyncio.AbstractEventLoop:
        if self.forked:
            raise UsageError(f"{self._name} was started before a fork and does not run here")
        if self._loop is None:
            raise UsageError(f"{self._name} is not running; start it first")
        return self._loop

    def _run(self, started: concurrent.futures.Future[asyncio.AbstractEventLoop]) -> None:
        try:
            runner = asyncio.Runner(debug=self._debug, loop_factory=self._loop_factory)
            loop = runner.get_loop()
        except BaseException as error:
            started.set_exception(error)
            return
        with runner:
            loop.call_soon(started.set_result, loop)
            loop.run_forever()


def _begin(
    loop: asyncio.AbstractEventLoop,
    function: Callable[[], Coroutine[Any, Any, T]],
    future: concurrent.futures.Future[T],
) -> None:
    """Start a call, on the loop's thread, unless the caller has given it up."""
    if future.cancelled():
        return

    async def run() -> T:
        return await function()

    task = loop.create_task(run())

    def told(task: asyncio.Task[T]) -> None:
        error = None if task.cancelled() else task.exception()
        if task.cancelled():
            future.cancel()
        if not future.set_running_or_notify_cancel():
            return
        if error is not None:
            future.set_exception(error)
        else:
            future.set_result(task.result())

    def given_up(future: concurrent.futures.Future[T]) -> None:
        if future.cancelled() and not task.done():
            # A loop that is closed has cancelled what ran on it.
            with contextlib.suppress(RuntimeError):
                loop.call_soon_threadsafe(task.cancel)

    task.add_done_callback(told)
    future.add_done_callback(given_up)
