"""The background loop: calls, posts, and every way in which they cannot be done."""

from __future__ import annotations

import asyncio
import gc
import itertools
import linecache
import os
import sys
import threading
import warnings

import pytest

from pyproducer.errors import UsageError, WouldDeadlock
from pyproducer.loop_thread import LoopThread


@pytest.fixture
def thread():
    """A running loop thread, stopped afterwards."""
    running = LoopThread("test-loop")
    running.start()
    yield running
    running.stop(10)


def test_call_returns_the_result(thread: LoopThread):
    """
    A coroutine runs on the loop's thread, and its result or exception is the caller's.
    """

    async def where() -> str:
        return threading.current_thread().name

    async def fail() -> None:
        raise KeyError("mine")

    assert "test-loop" == thread.call(where)
    with pytest.raises(KeyError, match="mine"):
        thread.call(fail)


def test_call_times_out_and_cancels(thread: LoopThread):
    """
    A call that takes too long raises TimeoutError, and its coroutine is cancelled.
    """
    cancelled = threading.Event()

    async def forever() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            cancelled.set()

    with pytest.raises(TimeoutError):
        thread.call(forever, timeout=0.01)
    assert cancelled.wait(10)


def test_call_from_its_own_thread_is_refused(thread: LoopThread):
    """
    A blocking call on the loop's own thread would wait for itself: WouldDeadlock.
    """

    async def nested() -> None:
        thread.call(lambda: asyncio.sleep(0))

    async def stopping() -> None:
        thread.stop()

    for function in (nested, stopping):
        with pytest.raises(WouldDeadlock):
            thread.call(function)


def test_interrupt_at_any_line(thread: LoopThread):
    """
    Ctrl-C may strike a call at any line of ours and of asyncio's: the caller has it, the loop goes
    on, and every coroutine that was made is run to its end or cancelled.
    """
    places = (LoopThread.call.__code__.co_filename, asyncio.base_events.__file__)
    begun: list[int] = []
    over: list[int] = []

    async def work() -> str:
        begun.append(1)
        try:
            await asyncio.sleep(0)
        finally:
            over.append(1)
        return "done"

    def struck(at: int) -> bool:
        lines = itertools.count()

        def trace(frame, event, _):
            if frame.f_code.co_filename not in places:
                return None
            line = linecache.getline(frame.f_code.co_filename, frame.f_lineno)
            # Python looks for signals after it has left the block, not before.
            held = line.lstrip().startswith("with ")
            if event == "line" and not held and next(lines) == at:
                raise KeyboardInterrupt
            return trace

        former = sys.gettrace()
        # What others have left is not to be struck while it is freed.
        gc.disable()
        sys.settrace(trace)
        try:
            answer = thread.call(work)
        except KeyboardInterrupt:
            return True
        finally:
            sys.settrace(former)
            gc.enable()
        assert "done" == answer
        return False

    strikes = next(at for at in itertools.count() if not struck(at))

    assert strikes > 20
    thread.call(lambda: asyncio.sleep(0.01))
    assert begun == over


def test_failure_to_make_the_coroutine_is_the_callers(thread: LoopThread):
    """
    What the function raises instead of making a coroutine, the call raises.
    """

    def broken():
        raise KeyError("mine")

    with pytest.raises(KeyError, match="mine"):
        thread.call(broken)


def test_post_keeps_order(thread: LoopThread):
    """
    Posted callbacks run in the order of posting, before a call made after them.
    """
    seen: list[int] = []
    for number in range(100):
        thread.post(seen.append, number)
    thread.call(lambda: asyncio.sleep(0))

    assert list(range(100)) == seen


def test_not_running_is_told():
    """
    Before start and after stop, call and post raise, and no coroutine is made.
    """
    thread = LoopThread()
    with pytest.raises(UsageError, match="not running"):
        thread.call(lambda: asyncio.sleep(0))
    thread.start()
    thread.start()
    assert thread.running
    thread.stop()
    thread.stop()
    assert not thread.running
    with pytest.raises(UsageError, match="not running"):
        thread.post(print)
    with pytest.raises(UsageError, match="not running"):
        _ = thread.loop


def test_stop_ends_calls_under_way(thread: LoopThread):
    """
    A call that waits when the loop is stopped ends with an error, not never.
    """
    errors: list[BaseException] = []
    entered = threading.Event()

    async def forever() -> None:
        entered.set()
        await asyncio.Event().wait()

    def wait() -> None:
        try:
            thread.call(forever)
        except UsageError as error:
            errors.append(error)

    waiter = threading.Thread(target=wait)
    waiter.start()
    entered.wait(10)
    thread.stop(10)
    waiter.join(10)

    assert ["test-loop was stopped during the call"] == [str(error) for error in errors]


def test_no_call_is_lost_between_start_and_stop():
    """
    Calls from many threads racing with stop either return or raise; none hangs.
    """
    thread = LoopThread()
    thread.start()
    outcomes: list[str] = []

    def work() -> None:
        try:
            while True:
                thread.call(lambda: asyncio.sleep(0))
        except UsageError:
            outcomes.append("refused")

    workers = [threading.Thread(target=work) for _ in range(8)]
    for worker in workers:
        worker.start()
    thread.stop(10)
    for worker in workers:
        worker.join(10)

    assert ["refused"] * 8 == outcomes


def test_stop_that_takes_too_long_is_told():
    """
    A task that ignores its cancellation does not hold up stop beyond its timeout.
    """
    thread = LoopThread()
    thread.start()
    release = threading.Event()
    thread.post(release.wait)
    with pytest.raises(TimeoutError, match="did not stop"):
        thread.stop(0.01)
    release.set()
    thread.stop(10)


def test_failure_to_make_a_loop_is_the_callers():
    """
    Whatever the loop factory raises, start raises.
    """

    def broken() -> asyncio.AbstractEventLoop:
        raise OSError("no more files")

    thread = LoopThread(loop_factory=broken)
    with pytest.raises(OSError, match="no more files"):
        thread.start()
    assert not thread.running


def test_fork_is_noticed(thread: LoopThread, tmp_path):
    """
    A child process is told that the thread does not run there; the parent's goes on.
    """
    report = tmp_path / "report"
    with warnings.catch_warnings():
        # Python 3.12 on warns of just what is tested here.
        warnings.simplefilter("ignore", DeprecationWarning)
        child = os.fork()
    if child == 0:
        lines = [f"forked={thread.forked} running={thread.running}"]
        for action in (
            lambda: thread.call(lambda: asyncio.sleep(0)),
            lambda: thread.post(print),
            thread.start,
        ):
            try:
                action()
            except UsageError as error:
                lines.append(str(error))
        thread.stop()
        report.write_text("\n".join(lines))
        os._exit(0)
    os.waitpid(child, 0)

    first, *errors = report.read_text().splitlines()
    assert "forked=True running=False" == first
    assert 3 == len(errors)
    assert all("fork" in error for error in errors)
    thread.call(lambda: asyncio.sleep(0))
