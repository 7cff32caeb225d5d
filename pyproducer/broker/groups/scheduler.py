"""The seam to timers: the coordinator asks for a call at a moment of its clock."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol


class Timer(Protocol):
    """A call that has been asked for."""

    def cancel(self) -> None:
        """The call does not happen; cancelling twice, or too late, is harmless."""


class Scheduler(Protocol):
    """Something that calls back later, on the thread of the coordinator, never at once."""

    def call_at(self, when: float, callback: Callable[[], None]) -> Timer:
        """Have `callback` called when the clock's monotonic seconds reach `when`."""
