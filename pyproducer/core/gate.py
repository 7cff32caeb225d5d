"""What keeps new records out: the producer's lifecycle, a fatal error, or its transaction."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import nullcontext
from typing import TypeAlias

from pyproducer.core.appender import Appender

__all__ = ["Gate", "Refusal"]

#: Makes the error of a call: a new one each time, because a traceback grows with every raise.
Refusal: TypeAlias = Callable[[], Exception]


class Gate:
    """Sets the appender's refusal to the first of three reasons that holds, or to none.

    A call that fills a batch at this moment, in another thread, is through when one of the
    methods returns; those that come to it later are refused.
    """

    __slots__ = ("_appender", "_closed", "_held", "_stopped")

    def __init__(self, appender: Appender) -> None:
        self._appender = appender
        self._closed: Refusal | None = None
        self._stopped: Refusal | None = None
        self._held: Refusal | None = None

    @property
    def refusal(self) -> Refusal | None:
        """Why the producer as a whole does nothing any more, or not yet."""
        return self._closed or self._stopped

    @property
    def held(self) -> Refusal | None:
        """Why the producer takes no records now."""
        return self._held

    def close(self, make: Refusal | None) -> None:
        """The producer is not started, closed, or another process's; None once it runs."""
        self._closed = make
        self._set()

    def stop(self, make: Refusal) -> None:
        """The producer met an error that it cannot get over."""
        self._stopped = make
        self._set()

    def hold(self, make: Refusal | None) -> None:
        """The transaction takes no records now; None where it does."""
        self._held = make
        self._set()

    def _set(self) -> None:
        with self._appender.lock or nullcontext():
            self._appender.refusal = self._closed or self._stopped or self._held
