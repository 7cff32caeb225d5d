"""The way out of a connection: answers to its socket, no faster than the client reads.

Records of an answer are slices of log files, which the system takes from its page cache when the
socket has room. So a client that reads slowly, or not at all, holds nothing of an answer in memory
but its small parts and one piece of `PIECE` bytes: asyncio watches a socket for room only while it
has something to send to it, and that is what the piece is for.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import TYPE_CHECKING, Final

from pyproducer.broker.log.slices import LogSlice
from pyproducer.writing import write_buffers

if TYPE_CHECKING:
    from pyproducer.broker.faults.fault import Fault
    from pyproducer.model import Buffer

__all__ = ["Outlet", "send_part"]

#: Bytes of a slice that asyncio is given when the socket is full.
PIECE: Final = 16 << 10
#: Bytes that the system is asked to send in one call, and after which others have their turn.
STRETCH: Final = 1 << 20


class Outlet:
    """Sends a connection's answers, one behind the other.

    Args:
        transport: The connection.
        room: Returns once nothing waits to be sent.
    """

    def __init__(self, transport: asyncio.Transport, room: Callable[[], Awaitable[None]]) -> None:
        sock = transport.get_extra_info("socket")
        # What goes through TLS must pass through this process.
        plain = transport.get_extra_info("sslcontext") is None
        # Whatever the socket does not take at once makes the connection wait. A transport with TLS
        # would take 0 for always, and pause whoever has nothing to send.
        transport.set_write_buffer_limits(high=0 if plain else 1)
        self._transport = transport
        self._room = room
        self._socket: int | None = sock.fileno() if plain and sock is not None else None

    async def send(self, answer: Sequence[Buffer | LogSlice]) -> None:
        """The answer is with the socket, or the last bytes of it are with the transport.

        Raises:
            VoidSlice: The rest of a slice is gone; the connection cannot be used any more.
            OSError: The disk failed, or the connection is lost; likewise.
        """
        plain: list[Buffer] = []
        for part in answer:
            if not isinstance(part, LogSlice):
                plain.append(part)
                continue
            write_buffers(self._transport, plain)
            plain.clear()
            await self._send(part)
        write_buffers(self._transport, plain)

    async def _send(self, part: LogSlice) -> None:
        transport = self._transport
        at, turn = 0, 0
        while at < part.size:
            if transport.get_write_buffer_size():
                await self._room()
            if transport.is_closing():
                raise ConnectionResetError("the connection was closed in the middle of an answer")
            wanted = min(STRETCH, part.size - at)
            sent = self._pass(part, at, wanted)
            at += sent
            turn += sent
            if sent < wanted:
                piece = part.read(at, PIECE)
                at += len(piece)
                transport.write(piece)
            if turn >= STRETCH:
                turn = 0
                await asyncio.sleep(0)

    def _pass(self, part: LogSlice, at: int, count: int) -> int:
        """How many bytes of the slice the system has taken from the file to the socket."""
        if self._socket is None:
            return 0
        try:
            return part.send(self._socket, at, count)
        except (BlockingIOError, InterruptedError):
            return 0


def send_part(
    fault: Fault, transport: asyncio.Transport, answer: Sequence[Buffer | LogSlice]
) -> None:
    """Sends the answer as far as a test wants it, and closes the connection."""
    whole = b"".join(one.read() if isinstance(one, LogSlice) else one for one in answer)
    after = fault.settings["after_bytes"]
    # Never all of it: an answer that arrives whole was not cut.
    size = len(whole) // 2 if after is None else min(after, len(whole) - 1)
    transport.write(whole[:size])
    transport.close()
    fault.strike()
