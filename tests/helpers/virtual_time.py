"""A clock and scheduler whose time passes only when a test says so."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass


@dataclass
class VirtualTimer:
    """A call to come."""

    when: float
    callback: Callable[[], None]
    cancelled: bool = False

    def cancel(self) -> None:
        self.cancelled = True


class VirtualTime:
    """A clock and scheduler whose time passes only when told."""

    def __init__(self) -> None:
        self.now = 500.0
        self.timers: list[VirtualTimer] = []

    def monotonic(self) -> float:
        return self.now

    def wall_ms(self) -> int:
        return 1_700_000_000_000 + int(self.now * 1000)

    def call_at(self, when: float, callback: Callable[[], None]) -> VirtualTimer:
        timer = VirtualTimer(when, callback)
        self.timers.append(timer)
        return timer

    def pass_time(self, seconds: float) -> None:
        end = self.now + seconds
        while True:
            self.timers = [timer for timer in self.timers if not timer.cancelled]
            due = min(self.timers, key=lambda timer: timer.when, default=None)
            if due is None or due.when > end:
                self.now = end
                return
            self.timers.remove(due)
            self.now = max(self.now, due.when)
            due.callback()
