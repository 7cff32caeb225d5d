"""The seam to timers: the coordinator asks for a call at a moment of its clock."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Protocol

from pyproducer.clock import Clock


class Timer(Protocol):
    """A call that has been asked for."""

    def cancel(self) -> None:
        """The call does not happen; cancelling twice, or too late, is harmless."""


class Scheduler(Protocol):
    """Something that calls back later, on the thread of the coordinator, never at once."""

    def call_at(self, when: float, callback: Callable[[], None]) -> Timer:
        """Have `callback` called when the clock's monotonic seconds reach `when`."""


class LoopScheduler:
    """Timers of an asyncio loop, in terms of an injected clock."""

    def __init__(self, loop: asyncio.AbstractEventLoop, clock: Clock) -> None:
        self._loop = loop
        self._clock = clock

    def call_at(self, when: float, callback: Callable[[], None]) -> Timer:
        """Have `callback` called when the clock's monotonic seconds reach `when`."""
        return self._loop.call_later(max(0.0, when - self._clock.monotonic()), callback)
