"""The seam to time: whatever needs it takes a :class:`Clock`."""

from __future__ import annotations

import time
from typing import Protocol

__all__ = ["Clock", "SystemClock"]


class Clock(Protocol):
    """Two readings of time."""

    def monotonic(self) -> float:
        """Seconds that never go back, for deadlines and durations."""

    def wall_ms(self) -> int:
        """Milliseconds since the epoch, for what is written into records and logs."""


class SystemClock:
    """The machine's own clock."""

    __slots__ = ()

    #: Seconds that never go back: the very function, which is asked several times for each send.
    monotonic = staticmethod(time.monotonic)

    def wall_ms(self) -> int:
        """Milliseconds since the epoch, for what is written into records and logs."""
        return time.time_ns() // 1_000_000
