"""The listener: sockets in, frames to the router, answers out.

Requests of one connection are worked on one at a time and answered in order, as Kafka does it.
Reading stops while enough of a connection's requests are waiting, and the next request is not
begun while the client does not read the last answer, so a connection holds at most one answer, of
records not even that (see `outlet`), and a bounded amount of requests in memory.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import resource
import socket
from collections import deque
from typing import TYPE_CHECKING, cast

from pyproducer.broker.context import CloseConnection, ConnectionInfo
from pyproducer.broker.log.slices import LogSlice
from pyproducer.broker.outlet import Outlet
from pyproducer.errors import ProtocolError
from pyproducer.protocol.frame import FrameReader
from pyproducer.protocol.frame_pool import FramePool
from pyproducer.writing import write_buffers

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pyproducer.broker.faults.fault import Fault
    from pyproducer.broker.node import Node
    from pyproducer.broker.router import Router
    from pyproducer.model import Buffer

log = logging.getLogger(__name__)

#: Bytes of complete requests that may wait on one connection before it is no longer read.
QUEUE_LIMIT = 1 << 20
#: Bytes of freed memory that the C library need not give back to the system at once.
_KEPT_MEMORY = 8 << 20

#: Open files that connections leave to logs, which open their indexes for a moment at a time.
_FILES_LEFT = 32

#: Turns of the loop within which a socket that was accepted has its connection.
_TURNS_TO_CONNECT = 4


class Server:
    """Accepts connections for a node, from `start` until `close`.

    Args:
        node: Whose clock, settings and counters are used.
        router: Turns request frames into answers.
    """

    def __init__(self, node: Node, router: Router) -> None:
        self.node = node
        self.router = router
        self.pool = FramePool()
        self._connections: set[Connection] = set()
        self._listener: asyncio.Server | None = None
        self._numbers = 0
        self._out_of_files = False

    async def start(self, host: str, port: int) -> int:
        """Listens at the address; returns the port, which the system picks for port 0.

        Raises:
            OSError: The address cannot be bound.
        """
        _keep_freed_memory()
        loop = asyncio.get_running_loop()
        self._listener = await loop.create_server(
            self._connect,
            host,
            port,
            backlog=self.node.config.int("socket.listen.backlog.size"),
            reuse_address=True,
        )
        return int(self._listener.sockets[0].getsockname()[1])

    async def close(self) -> None:
        """Every socket is closed and every handler has ended."""
        if self._listener is not None:
            await self._stop_listening(self._listener)
        connections = list(self._connections)
        for connection in connections:
            connection.abort()
        for connection in connections:
            await connection.closed()
        if self._listener is not None:
            await self._listener.wait_closed()
            self._listener = None

    @staticmethod
    async def _stop_listening(listener: asyncio.Server) -> None:
        loop = asyncio.get_running_loop()
        for sock in listener.sockets:
            loop.remove_reader(sock.fileno())
        # A connection that was accepted in this very turn is made by a task of the loop's, in the
        # next ones; with its listener closed by then that fails, and leaves the socket open.
        for _ in range(_TURNS_TO_CONNECT):
            await asyncio.sleep(0)
        listener.close()

    def close_idle(self, now: float, limit: float) -> int:
        """Closes connections that were silent, or not read by their client, for `limit` seconds.

        A request that is being worked on keeps its connection. Returns how many were closed.
        """
        idle = [c for c in self._connections if now - c.last_active > limit and not c.busy]
        for connection in idle:
            connection.abort()
        return len(idle)

    def connections(self) -> list[ConnectionInfo]:
        """Every open connection."""
        return [one.info for one in self._connections if one.info is not None]

    def close_all(self) -> int:
        """Closes every connection at once, in the middle of whatever it does; says how many."""
        for connection in list(self._connections):
            connection.abort()
        return len(self._connections)

    def _connect(self) -> Connection:
        return Connection(self)

    def admit(
        self, connection: Connection, peer: tuple[str, int], descriptor: int
    ) -> ConnectionInfo | None:
        """The new connection's particulars; None if there are too many already."""
        metrics = self.node.metrics
        if len(self._connections) >= self.node.config.int(
            "max.connections"
        ) or not self._leaves_files(descriptor):
            metrics.connections_rejected += 1
            return None
        self._connections.add(connection)
        self.node.pulse.beat()
        self._numbers += 1
        metrics.connections_total += 1
        metrics.connections_open = len(self._connections)
        return ConnectionInfo(self._numbers, *peer)

    def _leaves_files(self, descriptor: int) -> bool:
        """Whether this process can open some more files beside this one."""
        # The system gives the lowest number that is free, so that a high one says how many are
        # in use. Without room for another file a log cannot roll, and an index cannot be read.
        limit = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
        left = min(self.node.config.int("socket.listen.backlog.size") + _FILES_LEFT, limit // 4)
        short = limit != resource.RLIM_INFINITY and descriptor >= limit - left
        if short and not self._out_of_files:
            log.warning(
                "refusing connections: the process may open %d files, and %d are left to logs; "
                "raise its limit (ulimit -n)",
                limit,
                left,
            )
        self._out_of_files = short
        return not short

    def forget(self, connection: Connection) -> None:
        """The connection is gone."""
        self._connections.discard(connection)
        self.node.pulse.beat()
        self.node.metrics.connections_open = len(self._connections)


class Connection(asyncio.BufferedProtocol):
    """One client's socket.

    Attributes:
        info: Its particulars, once it is admitted.
        busy: Whether a request is worked on.
        last_active: When the client was last heard of, by the outside clock.
    """

    def __init__(self, server: Server) -> None:
        self._server = server
        # A client and its silence are outside: a tick passes for the broker alone.
        self._clock = server.node.clock.outside
        self._reader = FrameReader(
            server.node.config.int("socket.request.max.bytes"), pool=server.pool
        )
        self._frames: deque[memoryview] = deque()
        self._queued = 0
        self._paused = False
        self._transport: asyncio.Transport | None = None
        self.info: ConnectionInfo | None = None
        self._worker: asyncio.Task[None] | None = None
        self._outlet: Outlet
        # The worker waits for one of these at a time: a frame, or room to write.
        self._wake: asyncio.Future[None] | None = None
        self._writable = True
        self._broken: ProtocolError | None = None
        self._ended = False
        self.busy = False
        self.last_active = self._clock.monotonic()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Called by asyncio: admits the connection and starts its worker."""
        # Not asserted: uvloop's transports are no asyncio.Transport.
        transport = cast("asyncio.Transport", transport)
        self._transport = transport
        peer = transport.get_extra_info("peername") or ("unknown", 0)
        sock = transport.get_extra_info("socket")
        self.info = self._server.admit(self, (str(peer[0]), int(peer[1])), sock.fileno())
        if self.info is None:
            transport.abort()
            return
        self._outlet = Outlet(transport, self._room)
        self._set_socket_buffers(sock)
        self._worker = asyncio.get_running_loop().create_task(self._work(self.info))

    def connection_lost(self, exc: Exception | None) -> None:
        """Called by asyncio: ends the request under way, if any."""
        self._server.forget(self)
        if self._worker is not None:
            self._worker.cancel()

    def get_buffer(self, sizehint: int) -> memoryview:
        """Called by asyncio: where the next bytes go."""
        return self._reader.get_buffer(sizehint)

    def buffer_updated(self, nbytes: int) -> None:
        """Called by asyncio: takes up the requests that are complete now."""
        self.last_active = self._clock.monotonic()
        try:
            self._reader.buffer_updated(nbytes)
        except ProtocolError as error:
            # What came before it is answered first; no more is read.
            self._broken = error
        for frame in self._reader.frames():
            if self._at_rest and self._server.router.answers_at_once(frame):
                self._answer_at_once(frame)
                continue
            self._frames.append(frame)
            self._queued += len(frame)
        if self._frames or self._broken is not None:
            self._notify()
            if self._paused or self._transport is None:
                return
            if self._queued >= QUEUE_LIMIT or self._broken is not None:
                self._paused = True
                self._transport.pause_reading()

    def eof_received(self) -> bool:
        """Called by asyncio: what the client sent before it stopped is still worked on."""
        # With acks=0 a client closes right behind its last records: they have arrived.
        self._ended = bool(self._frames)
        return self._ended

    def pause_writing(self) -> None:
        """Called by asyncio: the client does not read fast enough."""
        self._writable = False

    def resume_writing(self) -> None:
        """Called by asyncio: the client has caught up."""
        self._writable = True
        self.last_active = self._clock.monotonic()
        self._notify()

    def abort(self) -> None:
        """Closes the socket at once; what is not sent yet is dropped."""
        if self._transport is not None:
            self._transport.abort()

    async def closed(self) -> None:
        """Returns when the worker has ended."""
        if self._worker is not None:
            with contextlib.suppress(asyncio.CancelledError):
                await self._worker

    @property
    def _at_rest(self) -> bool:
        """Whether the worker waits for a frame, and nothing keeps it from answering one."""
        return (
            self._wake is not None
            and not self._wake.done()
            and not self._frames
            and self._writable
            and not self._server.node.faults.pauses
        )

    def _answer_at_once(self, frame: memoryview) -> None:
        """Does what the worker would do, one turn of the loop earlier and without waking it."""
        assert self.info is not None
        assert self._worker is not None
        assert self._transport is not None
        try:
            answer = self._server.router.answer_at_once(frame, self.info)
        except Exception as error:
            self._fail(error, self.info, self._transport)
            self._worker.cancel()
            return
        self._server.pool.give(frame)
        if answer is not None:
            write_buffers(self._transport, answer)

    async def _work(self, info: ConnectionInfo) -> None:
        transport = self._transport
        assert transport is not None
        faults = self._server.node.faults
        while True:
            while not self._frames or not self._writable:
                if self._broken is not None and not self._frames:
                    self._refuse(self._broken)
                    return
                if self._ended and not self._frames:
                    transport.close()
                    return
                self.busy = False
                await self._news()
            self.busy = True
            if faults.pauses:
                await faults.gate()
            frame = self._frames.popleft()
            self._queued -= len(frame)
            if self._paused and self._queued < QUEUE_LIMIT and self._broken is None:
                self._paused = False
                transport.resume_reading()
            try:
                answer = await self._server.router.answer(frame, info)
            except Exception as error:
                self._fail(error, info, transport)
                return
            self._server.pool.give(frame)
            if faults.pauses:
                await faults.gate()
            mishap, info.mishap = info.mishap, None
            if mishap is not None and mishap.cut is not None and answer is not None:
                _cut(mishap.cut, transport, answer)
                return
            if answer is not None:
                try:
                    await self._outlet.send(answer)
                except OSError as error:
                    self._cut_off(error, info, transport)
                    return
            if mishap is not None and mishap.muted:
                await self._server.node.timers.sleep(mishap.muted)
            self.last_active = self._clock.monotonic()

    async def _room(self) -> None:
        """Returns once the client has read what it was sent."""
        while not self._writable:
            # Nobody but the client can end this, so that silence counts.
            self.busy = False
            await self._news()

    async def _news(self) -> None:
        self._wake = asyncio.get_running_loop().create_future()
        try:
            await self._wake
        finally:
            self._wake = None

    def _notify(self) -> None:
        if self._wake is not None and not self._wake.done():
            self._wake.set_result(None)

    def _fail(self, error: Exception, info: ConnectionInfo, transport: asyncio.Transport) -> None:
        """The connection is closed for what a request has led to."""
        if isinstance(error, CloseConnection | ProtocolError):
            self._refuse(error)
            return
        log.error("request of %s:%d failed", info.peer_host, info.peer_port, exc_info=error)
        transport.abort()

    def _cut_off(self, error: OSError, info: ConnectionInfo, transport: asyncio.Transport) -> None:
        """The connection is closed in the middle of an answer, whose rest is not to be had."""
        if not isinstance(error, ConnectionError):
            log.warning(
                "closing the connection of %s:%d in the middle of an answer: %s",
                info.peer_host,
                info.peer_port,
                error,
            )
        # Not close: a client must not take what follows for the rest of this answer.
        transport.abort()

    def _refuse(self, error: Exception) -> None:
        if self.info is not None:
            log.warning(
                "closing the connection of %s:%d: %s",
                self.info.peer_host,
                self.info.peer_port,
                error,
            )
        if self._transport is not None:
            # Not abort: answers already written, such as the one before this request, arrive.
            self._transport.close()

    def _set_socket_buffers(self, sock: socket.socket) -> None:
        config = self._server.node.config
        for name, option in (
            ("socket.send.buffer.bytes", socket.SO_SNDBUF),
            ("socket.receive.buffer.bytes", socket.SO_RCVBUF),
        ):
            # Kafka's default of 100 KiB would halve the throughput of 1 MB batches on loopback;
            # only a value that was asked for is forced on the system.
            if name in config.static:
                size = config.int(name)
                if size > 0:
                    sock.setsockopt(socket.SOL_SOCKET, option, size)


def _keep_freed_memory() -> None:
    """What a request needed for a moment is there for the next one, where the C library is glibc.

    Else every megabyte that is unfolded or read costs more in page faults than in work: glibc
    gives freed memory back from 128 KiB on. It learns from a larger block that is freed to keep
    twice as much. This one is never touched, and so takes no memory.
    """
    bytes(_KEPT_MEMORY)


def _cut(fault: Fault, transport: asyncio.Transport, answer: Sequence[Buffer | LogSlice]) -> None:
    """Sends the answer as far as a test wants it, and closes the connection."""
    whole = b"".join(one.read() if isinstance(one, LogSlice) else one for one in answer)
    after = fault.settings["after_bytes"]
    # Never all of it: an answer that arrives whole was not cut.
    size = len(whole) // 2 if after is None else min(after, len(whole) - 1)
    transport.write(whole[:size])
    transport.close()
    fault.strike()
