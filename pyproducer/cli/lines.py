"""Lines out of a file, a pipe or a terminal, until they end or somebody says stop.

Nothing is read ahead that would be lost by stopping: every whole line that was taken out of a
pipe is given, and after a stop nothing more is taken.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator
from typing import Final, NamedTuple

__all__ = ["Line", "LineReader"]

_CHUNK: Final = 256 * 1024


class Line(NamedTuple):
    """One line.

    Attributes:
        number: counted from 1.
        data: without the line feed; None where the line is longer than the limit.
    """

    number: int
    data: bytes | None


class LineReader:
    """The lines of a file descriptor, in bounded memory.

    Args:
        descriptor: what to read; it stays open.
        limit: bytes of a line beyond which it is only counted.

    Attributes:
        bytes_read: how much was read.
        lines_read: how many lines were given.
        unfinished: bytes of a last line that a stop has cut short; they were not given.
    """

    def __init__(self, descriptor: int, *, limit: int) -> None:
        self.bytes_read = 0
        self.lines_read = 0
        self.unfinished = 0
        self._descriptor = descriptor
        self._limit = limit
        self._stopped = asyncio.Event()

    @property
    def stopped(self) -> bool:
        """Whether it was told to stop."""
        return self._stopped.is_set()

    def stop(self) -> None:
        """Nothing more is read; the lines that were read are still given."""
        self._stopped.set()

    async def __aiter__(self) -> AsyncIterator[Line]:
        rest = b""
        skipping = False
        async for chunk in self._chunks():
            *whole, rest = (rest + chunk).split(b"\n")
            for data in whole:
                yield self._line(None if skipping else data)
                skipping = False
            if len(rest) > self._limit:
                rest, skipping = b"", True
        if self.stopped:
            self.unfinished = len(rest)
        elif rest or skipping:
            yield self._line(None if skipping else rest)

    def _line(self, data: bytes | None) -> Line:
        self.lines_read += 1
        if data is not None and len(data) > self._limit:
            data = None
        return Line(self.lines_read, data)

    async def _chunks(self) -> AsyncIterator[bytes]:
        loop = asyncio.get_running_loop()
        readable = asyncio.Event()
        try:
            loop.add_reader(self._descriptor, readable.set)
            watched = True
        except (NotImplementedError, OSError):
            # A regular file never makes anybody wait, so it is read straight away.
            watched = False
        try:
            while not self.stopped:
                if watched:
                    readable.clear()
                    await self._either(readable)
                    if self.stopped:
                        return
                chunk = os.read(self._descriptor, _CHUNK)
                if not chunk:
                    return
                self.bytes_read += len(chunk)
                yield chunk
        finally:
            if watched:
                loop.remove_reader(self._descriptor)

    async def _either(self, readable: asyncio.Event) -> None:
        waits = [asyncio.ensure_future(one.wait()) for one in (readable, self._stopped)]
        try:
            await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for one in waits:
                one.cancel()
