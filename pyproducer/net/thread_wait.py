"""A thread that waits for what happens on the loop of another."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

from pyproducer.errors import NotDone, WrongLoop

if TYPE_CHECKING:
    from pyproducer.core.appender import Delivery

__all__ = ["ThreadWait", "loop_closed", "not_done"]


class ThreadWait:
    """A thread that waits for one delivery."""

    __slots__ = ("_gone", "_lock")

    def __init__(self) -> None:
        # The bare lock: an event is a lock, a condition and a line of waiters, made and taken
        # apart while the loop's thread waits for this one to let go of the interpreter.
        self._lock = threading.Lock()
        self._lock.acquire()
        self._gone = False

    def __call__(self, delivery: Delivery) -> None:
        """The delivery is done."""
        self._lock.release()

    def cancelled(self) -> bool:
        """True once the thread has given up: then it does not count as having seen a failure."""
        return self._gone

    def wait(self, timeout: float | None) -> bool:
        """Wait; False where the time runs out first."""
        try:
            seconds = -1 if timeout is None else min(max(timeout, 0.0), threading.TIMEOUT_MAX)
            self._gone = not self._lock.acquire(timeout=seconds)
        except BaseException:
            # KeyboardInterrupt, for one.
            self._gone = True
            raise
        return not self._gone


def not_done(delivery: Delivery) -> NotDone:
    """The error of one who must not wait for it, or would wait for ever."""
    return NotDone(
        f"the outcome of this record to {delivery.topic!r} is not known yet; "
        "await the delivery, or ask after done() is true"
    )


def loop_closed() -> WrongLoop:
    """The error of one who has a record that nobody will ever send."""
    return WrongLoop(
        "the event loop that the producer was started on is closed, so that nothing can be sent; "
        "make a producer in the loop that runs now, and close it there"
    )
