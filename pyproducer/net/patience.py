"""Time that is given to a peer, and not used up while our own loop does not run."""

from __future__ import annotations

import asyncio
from types import TracebackType
from typing import Final

__all__ = ["Patience"]

#: A wait is counted in so many parts.
_PARTS: Final = 8


class Patience:
    """As ``asyncio.timeout``, for what others have to do: ``async with Patience(seconds)``.

    A loop that is kept from running, by the program or because its process does not get a
    processor, listens to nobody. That is not the others' silence: however long it takes, it
    counts as an eighth of the time at most.

    Args:
        seconds: None waits for ever.

    Raises:
        TimeoutError: the time is over.
    """

    def __init__(self, seconds: float | None) -> None:
        self._part = None if seconds is None else seconds / _PARTS
        self._limit = asyncio.timeout(None)
        self._timer: asyncio.TimerHandle | None = None

    async def __aenter__(self) -> None:
        await self._limit.__aenter__()
        self._spend(_PARTS)

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._timer is not None:
            # It knows this object, which would have to wait for the garbage collector.
            self._timer.cancel()
        await self._limit.__aexit__(kind, error, traceback)

    def _spend(self, left: int) -> None:
        if self._part is None:
            return
        loop = asyncio.get_running_loop()
        if left:
            self._timer = loop.call_later(self._part, self._spend, left - 1)
        else:
            self._limit.reschedule(loop.time())
