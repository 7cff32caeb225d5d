"""What a broker does without being asked: checkpoints, flushes, retention, idle connections."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pyproducer.clock import Clock

log = logging.getLogger(__name__)

#: Seconds of real time between looks at the clock.
TICK = 0.5


@dataclass(slots=True)
class _Chore:
    name: str
    every: float
    action: Callable[[], object]
    due: float


class Housekeeping:
    """Chores with intervals, done when the clock says so.

    Args:
        clock: Decides what is due. `run` looks at it in real time, so a clock that jumps
            ahead makes everything due at once.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._chores: list[_Chore] = []

    def add(self, name: str, every: float, action: Callable[[], object]) -> None:
        """The action is done `every` so many seconds from now on."""
        self._chores.append(_Chore(name, every, action, self._clock.monotonic() + every))

    async def run_due(self) -> None:
        """Everything due by now is done once. A chore that fails is logged and tried again."""
        now = self._clock.monotonic()
        for chore in self._chores:
            if chore.due > now:
                continue
            chore.due = now + chore.every
            try:
                pending = chore.action()
                if isinstance(pending, Awaitable):
                    await pending
            except Exception:
                log.exception("%s failed", chore.name)

    async def run(self) -> None:
        """Does the chores until cancelled."""
        while True:
            await asyncio.sleep(TICK)
            await self.run_due()
