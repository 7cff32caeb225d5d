"""Time that is given to a peer, and not used up while our own loop does not run."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import Final

__all__ = ["patience"]

#: A wait is counted in so many parts.
_PARTS: Final = 8


@contextlib.asynccontextmanager
async def patience(seconds: float | None) -> AsyncIterator[None]:
    """As ``asyncio.timeout``, for what others have to do.

    A loop that is kept from running, by the program or because its process does not get a
    processor, listens to nobody. That is not the others' silence: however long it takes, it
    counts as an eighth of the time at most.

    Args:
        seconds: None waits for ever.

    Raises:
        TimeoutError: the time is over.
    """
    if seconds is None:
        yield
        return
    loop = asyncio.get_running_loop()
    part = seconds / _PARTS
    timer: asyncio.TimerHandle
    async with asyncio.timeout(None) as limit:

        def spend(left: int) -> None:
            nonlocal timer
            if left:
                timer = loop.call_later(part, spend, left - 1)
            else:
                limit.reschedule(loop.time())

        timer = loop.call_later(part, spend, _PARTS - 1)
        try:
            yield
        finally:
            timer.cancel()
