"""The network between a stranger and a protocol of asyncio's, in memory."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import Any


class PipeTransport(asyncio.Transport):
    """Keeps what a protocol writes; nothing is ever in its way.

    Attributes:
        written: Every byte so far.
        closed: Whether the protocol has ended the connection.
    """

    def __init__(self, protocol: asyncio.Protocol) -> None:
        super().__init__({"peername": ("127.0.0.1", 1), "sockname": ("127.0.0.1", 2)})
        self.written = bytearray()
        self.closed = False
        self._protocol = protocol

    def write(self, data: bytes | bytearray | memoryview) -> None:
        if not self.closed:
            self.written += data

    def writelines(self, list_of_data: Iterable[Any]) -> None:
        for data in list_of_data:
            self.write(data)

    def is_closing(self) -> bool:
        return self.closed

    def close(self) -> None:
        if not self.closed:
            self.closed = True
            asyncio.get_running_loop().call_soon(self._protocol.connection_lost, None)

    abort = close

    def pause_reading(self) -> None:
        """What comes next comes all the same: it is in memory already."""

    def resume_reading(self) -> None:
        """As `pause_reading`."""

    def can_write_eof(self) -> bool:
        return False

    def get_write_buffer_size(self) -> int:
        return 0

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        """There are none."""
