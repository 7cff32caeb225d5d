"""Strikes at the moment a certain request passes a `FaultProxy`, or its answer.

trap = RequestTrap()
proxy.watch = trap.at(1)
strike = trap.arm(ApiKey.END_TXN, "after", lambda broker: cluster.kill(broker), deliver=False)
...                         # the broker has done it, is killed, and nobody was told
assert strike.broker == 1
"""

from __future__ import annotations

import asyncio
import struct
import threading
from collections import deque
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from typing import Literal

When = Literal["before", "after"]


@dataclass(eq=False)
class Strike:
    """One trap, set and perhaps sprung.

    Attributes:
        broker: the number of the broker whose proxy saw the request; None until it did.
    """

    api: int
    when: When
    action: Callable[[int], object]
    deliver: bool
    skip: int
    broker: int | None = None
    over: threading.Event = field(default_factory=threading.Event)


class RequestTrap:
    """Shared by the proxies of a cluster: whichever sees the request first springs it."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._set: Strike | None = None

    def arm(
        self,
        api: int,
        when: When,
        action: Callable[[int], object],
        *,
        deliver: bool = True,
        skip: int = 0,
    ) -> Strike:
        """Have something done once, when the next request of this API passes.

        Args:
            api: the request's API key.
            when: before the broker gets the request, or after it has answered.
            action: called with the broker's number; the request or answer is held meanwhile.
            deliver: False has the connection reset instead of what was held passed on.
            skip: so many requests of the API pass before.
        """
        strike = Strike(api, when, action, deliver, skip)
        with self._lock:
            self._set = strike
        return strike

    def disarm(self) -> None:
        """Nothing is waited for any more."""
        with self._lock:
            self._set = None

    def at(self, broker: int) -> Watch:
        """What a proxy of this broker needs."""
        return Watch(self, broker)

    def take(self, api: int) -> Strike | None:
        """The trap, if this request springs it."""
        with self._lock:
            strike = self._set
            if strike is None or strike.api != api:
                return None
            if strike.skip:
                strike.skip -= 1
                return None
            self._set = None
            return strike


class Watch:
    """A trap at one broker's proxy; makes the two sides of each connection."""

    def __init__(self, trap: RequestTrap, broker: int) -> None:
        self._trap = trap
        self._broker = broker

    def sides(
        self, up: asyncio.StreamReader, down: asyncio.StreamReader, drop: Callable[[], None]
    ) -> tuple[AsyncIterator[bytes], AsyncIterator[bytes]]:
        """Requests and answers of one connection, frame by frame; ``drop`` resets it."""
        owed: deque[Strike | None] = deque()
        return self._requests(up, owed, drop), self._answers(down, owed, drop)

    async def _requests(
        self, reader: asyncio.StreamReader, owed: deque[Strike | None], drop: Callable[[], None]
    ) -> AsyncIterator[bytes]:
        async for frame in _frames(reader):
            (api,) = struct.unpack_from(">h", frame, 4)
            strike = self._trap.take(api)
            if strike is not None and strike.when == "before":
                await self._spring(strike, drop)
                strike = None
            owed.append(strike)
            yield frame

    async def _answers(
        self, reader: asyncio.StreamReader, owed: deque[Strike | None], drop: Callable[[], None]
    ) -> AsyncIterator[bytes]:
        async for frame in _frames(reader):
            strike = owed.popleft() if owed else None
            if strike is not None:
                await self._spring(strike, drop)
            yield frame

    async def _spring(self, strike: Strike, drop: Callable[[], None]) -> None:
        strike.broker = self._broker
        try:
            await asyncio.to_thread(strike.action, self._broker)
        finally:
            strike.over.set()
        if not strike.deliver:
            drop()
            # Cancelled by the drop; until that arrives nothing may pass.
            await asyncio.Event().wait()


async def _frames(reader: asyncio.StreamReader) -> AsyncIterator[bytes]:
    """Whole frames, with their size; what is left of a broken one is not passed on."""
    try:
        while True:
            head = await reader.readexactly(4)
            (size,) = struct.unpack(">i", head)
            yield head + await reader.readexactly(size)
    except asyncio.IncompleteReadError:
        return
