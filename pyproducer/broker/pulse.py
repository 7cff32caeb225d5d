"""Notice that something has happened in a broker, for those who wait for what follows from it."""

from __future__ import annotations

import asyncio


class Pulse:
    """Counts what may have changed the broker; costs next to nothing while nobody waits.

    Attributes:
        count: How often something has happened.
    """

    def __init__(self) -> None:
        self.count = 0
        self._waiting: set[asyncio.Future[None]] = set()

    def beat(self) -> None:
        """Something has happened; on the loop."""
        self.count += 1
        if self._waiting:
            for waiting in self._waiting:
                if not waiting.done():
                    waiting.set_result(None)

    async def after(self, count: int) -> None:
        """Returns once more has happened than so much."""
        while self.count <= count:
            waiting = asyncio.get_running_loop().create_future()
            self._waiting.add(waiting)
            try:
                await waiting
            finally:
                self._waiting.discard(waiting)
