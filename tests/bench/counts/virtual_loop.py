"""An event loop without sockets and without real time, so that two runs do the very same work.

The producer, the runner, the pool and the transports are the real ones; only what lies below
asyncio is replaced: a connection is made of memory, and with nothing to do the loop jumps to its
next timer.
"""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import Callable
from typing import Any, Protocol

from tests.bench.counts.marks import Marks

__all__ = ["MemoryTransport", "Peer", "VirtualLoop"]

#: Seconds to wait for another thread before the run is given up.
_PATIENCE = 60.0


class Peer(Protocol):
    """The other end of a connection."""

    def connected(self, transport: MemoryTransport) -> None:
        """There is somebody to answer to."""

    def receive(self, data: Any) -> None:
        """The very object that was handed to the transport."""


class VirtualLoop(asyncio.base_events.BaseEventLoop):
    """See the module.

    Args:
        make_peer: makes the other end of every connection that is opened.
        marks: pass time; what the loop's stand-ins do themselves is not counted.
        waits: there are other threads; with nothing to do the loop waits for them, and time
            stands still.

    Attributes:
        turns: how often a real loop would have asked its selector.
        transports: every connection made.
        listening: the protocol factories of servers, the last one last.
    """

    def __init__(self, make_peer: Callable[[], Peer], marks: Marks, *, waits: bool = False) -> None:
        super().__init__()
        self.marks = marks
        self._make_peer = make_peer
        self._waits = waits
        self._woken = threading.Event()
        self._selector = self
        self.turns = 0
        self.transports: list[MemoryTransport] = []
        self.listening: list[Callable[[], asyncio.BaseProtocol]] = []

    # What BaseEventLoop wants of those below it.

    def select(self, timeout: float | None) -> list[Any]:
        """Nothing is ever ready below; time passes, or another thread has its turn."""
        self.turns += 1
        if timeout is not None and timeout <= 0:
            self._woken.clear()
            return []
        if self._waits or threading.active_count() > 1:
            if not self._woken.wait(_PATIENCE):
                raise RuntimeError("no thread woke the loop")
            self._woken.clear()
        elif timeout is None:
            raise RuntimeError("the loop has nothing to wait for")
        else:
            self.marks.pass_time(timeout)
        return []

    def _process_events(self, event_list: list[Any]) -> None:
        assert not event_list

    def _write_to_self(self) -> None:
        self._woken.set()

    # What the code under measurement asks for.

    def run_in_executor(  # type: ignore[override]
        self, executor: Any, func: Callable[..., Any], *args: Any
    ) -> asyncio.Future[Any]:
        """Done at once: threads would do the same work in an order that no run repeats."""
        future = self.create_future()
        try:
            future.set_result(func(*args))
        except Exception as error:
            future.set_exception(error)
        return future

    async def sock_connect(self, sock: socket.socket, address: Any) -> None:
        """Connected, without the system's knowledge."""

    async def create_connection(
        self, protocol_factory: Callable[[], Any], *args: Any, sock: Any = None, **options: Any
    ) -> tuple[MemoryTransport, Any]:
        """A connection to a new peer."""
        protocol = protocol_factory()
        transport = MemoryTransport(self, protocol, self._make_peer(), sock)
        self.transports.append(transport)
        protocol.connection_made(transport)
        return transport, protocol

    async def create_server(  # type: ignore[override]
        self, protocol_factory: Callable[[], Any], *args: Any, **options: Any
    ) -> _Listener:
        """A server that whoever holds the loop makes connections to."""
        self.listening.append(protocol_factory)
        return _Listener()

    def remove_reader(self, fd: Any) -> bool:
        """There are none."""
        return False


class _Listener:
    """As much of asyncio's Server as is used."""

    def __init__(self) -> None:
        self.sockets = [self]

    def getsockname(self) -> tuple[str, int]:
        return "127.0.0.1", 9092

    def fileno(self) -> int:
        return -1

    def close(self) -> None:
        """Nobody listens."""

    async def wait_closed(self) -> None:
        """Nobody listens."""


class MemoryTransport(asyncio.Transport):
    """One end of a connection: what is written goes to the peer as the object that it is.

    Attributes:
        writes: how often the system would have been asked to send.
        reads: how often it would have been asked to receive.
        written: bytes.
    """

    def __init__(self, loop: VirtualLoop, protocol: Any, peer: Peer, sock: Any = None) -> None:
        super().__init__({"socket": sock, "peername": ("127.0.0.1", 1)})
        self._loop = loop
        self._protocol = protocol
        self._peer = peer
        self._sock = sock
        self._closing = False
        self.writes = 0
        self.reads = 0
        self.written = 0
        peer.connected(self)

    def get_protocol(self) -> Any:
        return self._protocol

    def set_protocol(self, protocol: Any) -> None:
        self._protocol = protocol

    def write(self, data: Any) -> None:
        self.writes += 1
        self.written += len(data)
        with self._loop.marks.uncounted():
            self._peer.receive(data)

    def writelines(self, list_of_data: Any) -> None:
        for data in list_of_data:
            self.write(data)

    def deliver(self, data: bytes) -> None:
        """The peer's bytes arrive in a later turn."""
        self._loop.call_soon(self._arrive, data)

    def _arrive(self, data: bytes) -> None:
        if self._closing:
            return
        protocol = self._protocol
        self.reads += 1
        room = protocol.get_buffer(len(data))
        size = min(len(room), len(data))
        room[:size] = data[:size]
        protocol.buffer_updated(size)
        if size < len(data):
            self._arrive(data[size:])

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        """Memory takes everything."""

    def get_write_buffer_size(self) -> int:
        return 0

    def can_write_eof(self) -> bool:
        return False

    def is_closing(self) -> bool:
        return self._closing

    def pause_reading(self) -> None:
        """The peer sends no more than it is asked for."""

    def resume_reading(self) -> None:
        """The peer sends no more than it is asked for."""

    def close(self) -> None:
        self.abort()

    def abort(self) -> None:
        if not self._closing:
            self._closing = True
            self._loop.call_soon(self._lost)

    def _lost(self) -> None:
        self._protocol.connection_lost(None)
        if self._sock is not None:
            self._sock.close()
