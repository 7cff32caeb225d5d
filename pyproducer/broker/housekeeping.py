"""What a broker does without being asked: checkpoints, flushes, retention, expiries, timeouts."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from pyproducer.broker.broker_clock import BrokerClock
    from pyproducer.broker.pulse import Pulse
    from pyproducer.broker.timers import Timers

log = logging.getLogger(__name__)

#: Seconds of real time between looks at the clock.
TICK: Final = 0.5
#: Stops that one tick makes for the chores; a tick of 8 days looks at them every 3 hours.
_STRIDES: Final = 64
#: Seconds that pass at least between two stops, so that rounding cannot make it none.
_LEAST: Final = 0.001
#: Turns of the loop in which whoever a timer woke does what it has to.
_TURNS: Final = 3


@dataclass(slots=True)
class _Chore:
    name: str
    every: Callable[[], float]
    action: Callable[[], object]
    since: float
    moment: Callable[[], float | None] | None
    beside: bool
    running: asyncio.Task[None] | None = None

    @property
    def due(self) -> float:
        return self.since + self.every()


class Housekeeping:
    """Chores with intervals, done when the clock says so; and the passing of time by a tick.

    Args:
        clock: Decides what is due. `run` looks at it in real time, so a clock that jumps
            ahead makes everything due at once.
        timers: The calls at moments of that clock, which may jump ahead of them.
        pulse: Told that chores were done.
    """

    def __init__(self, clock: BrokerClock, timers: Timers, pulse: Pulse) -> None:
        self._clock = clock
        self._timers = timers
        self._pulse = pulse
        self._chores: list[_Chore] = []
        # A chore that waits for the disk is not begun a second time by a tick.
        self._turn = asyncio.Lock()

    def add(
        self,
        name: str,
        every: float | Callable[[], float],
        action: Callable[[], object],
        *,
        moment: Callable[[], float | None] | None = None,
        beside: bool = False,
    ) -> None:
        """The action is done `every` so many seconds from now on.

        Args:
            name: For the log.
            every: Seconds between two times, or what gives them where they can change.
            action: What is done; may be a coroutine function.
            moment: Says in how many seconds there will be something to do, where that can be
                known: a tick stops there, since others may go on from what is done.
            beside: It can take long, and others do not wait for it, except for a tick, at the
                end of which all is done.
        """
        now = self._clock.monotonic()
        interval = every if callable(every) else lambda: every
        self._chores.append(_Chore(name, interval, action, now, moment, beside))

    async def close(self) -> None:
        """What was begun beside the others has ended."""
        running = [chore.running for chore in self._chores if chore.running is not None]
        for one in running:
            one.cancel()
        await asyncio.gather(*running, return_exceptions=True)

    async def run_due(self) -> None:
        """Everything due by now is done once. A chore that fails is logged and tried again."""
        async with self._turn:
            self._timers.ring_due()
            now = self._clock.monotonic()
            await self._do(lambda chore: chore.due <= now, wait=False)

    async def run(self) -> None:
        """Does the chores until cancelled."""
        while True:
            await asyncio.sleep(TICK)
            await self.run_due()

    async def pass_time(self, seconds: float) -> None:
        """The clock is so many seconds later, and all that this brings is done.

        Time passes in steps: it stops at every moment that a group waits for and that a
        transaction times out at, so that what follows from these begins then and not at the
        end: a consumer's session ends after 10 s, its group is empty, and 7 days later the
        group's offsets go, all in one tick of 8 days. Everything else is done at 64 stops on the
        way, whatever the intervals of the chores, and twice at the end, since a chore may make
        work for one before it.
        """
        async with self._turn:
            begin = self._clock.ahead
            for stop in range(1, _STRIDES + 1):
                await self._pass_until(begin + seconds * stop / _STRIDES)
                await self._do(_any)
            await self._ring()
            await self._do(_any)
            await self._ring()

    async def _pass_until(self, ahead: float) -> None:
        clock = self._clock
        while clock.ahead < ahead:
            clock.ahead = min([ahead, *(clock.ahead + left for left in self._moments())])
            await self._ring()
            await self._do(_has_moment)

    async def _ring(self) -> None:
        self._timers.ring_due()
        for _ in range(_TURNS):
            await asyncio.sleep(0)

    def _moments(self) -> Iterator[float]:
        """In how many seconds something has to be done at its time, if that is to come."""
        now = self._clock.monotonic()
        due = self._timers.next_moment
        if due is not None and due > now:
            yield max(due - now, _LEAST)
        for chore in self._chores:
            left = None if chore.moment is None else chore.moment()
            # One that stays due cannot be done, and must not keep time from passing.
            if left is not None and left > 0:
                yield max(left, _LEAST)

    async def _do(self, wanted: Callable[[_Chore], bool], *, wait: bool = True) -> None:
        for chore in self._chores:
            if not wanted(chore):
                continue
            if chore.running is not None:
                if not wait:
                    continue
                await asyncio.wait([chore.running])
            chore.since = self._clock.monotonic()
            if chore.beside and not wait:
                chore.running = asyncio.create_task(self._one(chore), name=chore.name)
            else:
                await self._one(chore)
        self._pulse.beat()

    async def _one(self, chore: _Chore) -> None:
        try:
            pending = chore.action()
            if isinstance(pending, Awaitable):
                await pending
        except Exception:
            log.exception("%s failed", chore.name)
        finally:
            chore.running = None


def _any(_: _Chore) -> bool:
    return True


def _has_moment(chore: _Chore) -> bool:
    return chore.moment is not None
