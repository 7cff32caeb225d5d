"""Timers and waits by the broker's clock: they end when real time passes, and when a tick does."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from operator import attrgetter
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pyproducer.broker.broker_clock import BrokerClock


class AskedCall:
    """A call that has been asked for."""

    __slots__ = ("_alarm", "_callback", "_timers", "moment", "when")

    def __init__(
        self, timers: Timers, when: float, callback: Callable[[], None], *, moment: bool
    ) -> None:
        self.when = when
        self.moment = moment
        self._timers = timers
        self._callback = callback
        self._alarm: asyncio.TimerHandle | None = None

    def cancel(self) -> None:
        """The call does not happen; cancelling twice, or too late, is harmless."""
        if self._alarm is not None:
            self._alarm.cancel()
            self._alarm = None
        self._timers.forget(self)

    def arm(self, loop: asyncio.AbstractEventLoop, seconds: float) -> None:
        """The clock is looked at when so much real time has passed."""
        self._alarm = loop.call_later(max(0.0, seconds), self._timers.look, self)

    def ring(self) -> None:
        """The call happens, now."""
        self.cancel()
        self._callback()


class Timers:
    """Calls at moments of the broker's clock, on the loop that it runs on.

    Args:
        loop: The loop; it wakes up when real time has brought a moment.
        clock: Says whether it is time. One that jumps by itself is noticed by `ring_due`.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop, clock: BrokerClock) -> None:
        self._loop = loop
        self._clock = clock
        self._asked: set[AskedCall] = set()

    def now(self) -> float:
        """The clock's monotonic seconds."""
        return self._clock.monotonic()

    def call_at(
        self, when: float, callback: Callable[[], None], *, moment: bool = True
    ) -> AskedCall:
        """Have `callback` called when the clock's monotonic seconds reach `when`.

        Args:
            when: The moment.
            callback: Called on the loop, never at once.
            moment: Whether a tick stops there on its way. Requests that wait do not ask for
                that: their client would wait again at once, and a tick of days never end.
        """
        call = AskedCall(self, when, callback, moment=moment)
        self._asked.add(call)
        call.arm(self._loop, when - self._clock.monotonic())
        return call

    async def sleep(self, seconds: float) -> None:
        """Returns when so many seconds have passed by the clock."""
        passed = self._loop.create_future()
        call = self.call_at(
            self._clock.monotonic() + seconds,
            lambda: None if passed.done() else passed.set_result(None),
            moment=False,
        )
        try:
            await passed
        finally:
            call.cancel()

    @property
    def next_moment(self) -> float | None:
        """When the next call is due that a tick has to stop for, or None."""
        return min((call.when for call in self._asked if call.moment), default=None)

    def ring_due(self) -> None:
        """Every call that is due by the clock happens, in the order of their moments."""
        now = self._clock.monotonic()
        due = [call for call in self._asked if call.when <= now]
        for call in sorted(due, key=attrgetter("when")):
            # One of the calls before may have cancelled it.
            if call in self._asked:
                call.ring()

    def look(self, call: AskedCall) -> None:
        """The call happens if it is due by the clock; else it is looked at again later."""
        left = call.when - self._clock.monotonic()
        if left <= 0:
            call.ring()
        else:
            call.arm(self._loop, left)

    def forget(self, call: AskedCall) -> None:
        """Nobody has asked for the call."""
        self._asked.discard(call)
