"""Forcing logs to disk for all who wait, in one round for all of them.

Whoever has appended says so with `wrote`, and may `wait`. A round takes up all that was written
until it begins and forces it to disk on a thread, while the broker goes on receiving; what comes
meanwhile is the next round's. So there are as many fsyncs as the disk can do, and not one for each
request.

With `flush=always` a record counts, for its producer and for readers, once a round has it. Else
rounds are made for topics with `flush.messages` or `flush.ms`, and for rolled segments.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from typing import TYPE_CHECKING

from pyproducer.broker.errors import Refused

if TYPE_CHECKING:
    from pyproducer.broker.log.flushing import FlushTicket
    from pyproducer.broker.partition import Partition


def _sync(tickets: Iterable[FlushTicket]) -> None:
    """Every ticket is carried out."""
    for ticket in tickets:
        ticket.sync()


class GroupCommit:
    """Forces partitions to disk in rounds, on the loop's thread but for the waiting itself.

    Args:
        always: Every append is forced to disk before it counts.
        in_thread: Runs a call on another thread.

    Attributes:
        always: The same.
        awaited: Whether producers may have to wait for a round at all.
    """

    def __init__(
        self,
        *,
        always: bool = False,
        in_thread: Callable[..., Awaitable[None]] = asyncio.to_thread,
    ) -> None:
        self.always = always
        self.awaited = always
        self._in_thread = in_thread
        self._written: dict[Partition, int] = {}
        self._waiters: list[asyncio.Future[None]] = []
        self._rounds: asyncio.Task[None] | None = None

    def wrote(self, partition: Partition, size: int = 0) -> None:
        """The partition is in the next round; its readers are told of so many bytes after it."""
        self._written[partition] = self._written.get(partition, 0) + size
        if self._rounds is None:
            self._rounds = asyncio.get_running_loop().create_task(self._work(), name="group commit")

    async def wait(self) -> None:
        """Returns after the round that has what was written so far, whatever came of it."""
        if not self._written:
            return
        waiter = asyncio.get_running_loop().create_future()
        self._waiters.append(waiter)
        await waiter

    async def close(self) -> None:
        """What was written is in no round any more, and none is under way."""
        while self._rounds is not None:
            await asyncio.wait([self._rounds])

    async def _work(self) -> None:
        try:
            while self._written:
                await self._round()
        finally:
            self._rounds = None

    async def _round(self) -> None:
        written, self._written = self._written, {}
        waiters, self._waiters = self._waiters, []
        begun: list[tuple[Partition, FlushTicket]] = []
        try:
            for partition in written:
                try:
                    begun.append((partition, partition.log.begin_flush()))
                except Refused:
                    # The log has said so. Who waits for it sees that it is not on disk.
                    continue
            try:
                await self._in_thread(_sync, [ticket for _, ticket in begun])
            finally:
                for partition, ticket in begun:
                    try:
                        partition.log.end_flush(ticket)
                    except Refused:
                        # Offline from now on, which a reader need not wait to be told.
                        partition.retire()
                        continue
                    if self.always:
                        partition.settled(written[partition])
        finally:
            for waiter in waiters:
                if not waiter.done():
                    waiter.set_result(None)
