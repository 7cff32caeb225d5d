"""Wakes an event loop from other threads."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable

__all__ = ["Bell"]

#: Rings that are taken out of the pipe at once; what it holds beyond them rings again.
_MANY = 4096


class Bell:
    """A pipe that the loop reads: ringing it is one system call, and hearing it another.

    asyncio's own way, ``call_soon_threadsafe``, makes a handle with a context for each call and
    reads until there is nothing more, which takes two thirds of the time that a blocking send
    needs beside its way to the broker and back.

    The pipe is closed with the object, so that a thread that is ringing still can never write to
    whatever has the number of its file by then.

    Args:
        loop: the running loop.
        heard: called on the loop's thread after one or more rings.

    Raises:
        NotImplementedError: the loop watches no pipes.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop, heard: Callable[[], object]) -> None:
        self._loop = loop
        self._heard = heard
        self._end, self._rope = os.pipe()
        os.set_blocking(self._end, False)
        os.set_blocking(self._rope, False)
        loop.add_reader(self._end, self._hear)

    def __del__(self) -> None:
        # Not made in full where there were no files left.
        for number in (getattr(self, "_end", -1), getattr(self, "_rope", -1)):
            if number >= 0:
                os.close(number)

    def ring(self) -> None:
        """Have the loop's thread come; from any thread."""
        try:
            os.write(self._rope, b"\0")
        except BlockingIOError:
            # Full of rings, it will be heard.
            return

    def take_down(self) -> None:
        """Nobody comes any more; from the loop's thread."""
        self._loop.remove_reader(self._end)

    def _hear(self) -> None:
        try:
            os.read(self._end, _MANY)
        except BlockingIOError:
            # They were heard.
            return
        self._heard()
