"""A task that wants to run every millisecond, and notes how late it was each time."""

from __future__ import annotations

import asyncio
from time import perf_counter, thread_time
from typing import Self

_TICK = 0.001


class Ticker:
    """Ticks beside the body of an ``async with`` block until its time is over.

    Attributes:
        stalls: seconds that each tick came late; what the loop was held up for.
        held: seconds for which the loop's thread ran meanwhile. The rest of a stall is the machine's
            doing, which gave the processor to somebody else.
        over: true once the time is over; the body ends by it.
    """

    def __init__(self, seconds: float) -> None:
        self.stalls: list[float] = []
        self.held: list[float] = []
        self.over = False
        self._seconds = seconds

    async def __aenter__(self) -> Self:
        self._task = asyncio.create_task(self._tick())
        await asyncio.sleep(0)
        return self

    async def __aexit__(self, *args: object) -> None:
        await self._task

    async def _tick(self) -> None:
        end = perf_counter() + self._seconds
        while (began := perf_counter()) < end:
            ran = thread_time()
            await asyncio.sleep(_TICK)
            self.held.append(thread_time() - ran)
            self.stalls.append(max(0.0, perf_counter() - began - _TICK))
        self.over = True
