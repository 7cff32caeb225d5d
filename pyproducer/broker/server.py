"""The listeners' sockets: frames in, to the router, answers out.

Requests of one connection are worked on one at a time and answered in order, as Kafka does it.
Reading stops while enough of a connection's requests are waiting, and the next request is not
begun while the client does not read the last answer, so a connection holds at most one answer, of
records not even that (see `outlet`), and a bounded amount of requests in memory. All of them
together can be bounded too (see `request_memory`), and so can their number (see `admission`).
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import socket
from collections import deque
from typing import TYPE_CHECKING, Final, cast

from pyproducer.broker.admission import Admission
from pyproducer.broker.context import CloseConnection, ConnectionInfo
from pyproducer.broker.outlet import Outlet, send_part
from pyproducer.broker.request_memory import RequestMemory
from pyproducer.broker.security.handshake import (
    known_by_certificate,
    shake_hands,
    tell_failed_handshake,
)
from pyproducer.errors import ProtocolError
from pyproducer.protocol.frame import FrameReader
from pyproducer.protocol.frame_pool import LARGE, FramePool
from pyproducer.writing import write_buffers

if TYPE_CHECKING:
    from collections.abc import Iterable

    from pyproducer.broker.node import Node
    from pyproducer.broker.router import Router
    from pyproducer.broker.security.entrance import Entrance
    from pyproducer.broker.security.tls import ListenerTls
    from pyproducer.broker.timers import AskedCall

log = logging.getLogger(__name__)

#: Bytes of complete requests that may wait on one connection before it is no longer read.
QUEUE_LIMIT = 1 << 20
#: Bytes in front of each request.
FRAME_SIZE: Final = 4
#: Bytes of freed memory that the C library need not give back to the system at once.
_KEPT_MEMORY = 8 << 20

#: Why a connection is not read, each a bit.
_QUEUED: Final = 1
_NO_MEMORY: Final = 2
_TOO_EARLY: Final = 4

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
        # Refused, and closed a little later.
        self._turned_away: set[Connection] = set()
        self._lingering: set[asyncio.Task[None]] = set()
        self._listeners: list[asyncio.Server] = []
        self._numbers = 0
        self._admission = Admission(node)
        limit = node.config.int("queued.max.request.bytes")
        self.memory = RequestMemory(limit, node.timers) if limit > 0 else None

    async def listen(self, entrance: Entrance) -> int:
        """Takes connections there; returns the port, which the system picks for port 0.

        Raises:
            OSError: The address cannot be bound.
        """
        _keep_freed_memory()
        loop = asyncio.get_running_loop()
        listener = await loop.create_server(
            lambda: Connection(self, entrance),
            entrance.listener.host,
            entrance.listener.port,
            backlog=self.node.config.int("socket.listen.backlog.size"),
            reuse_address=True,
        )
        self._listeners.append(listener)
        return int(listener.sockets[0].getsockname()[1])

    async def close(self) -> None:
        """Every socket is closed and every handler has ended."""
        await self._stop_listening()
        connections = [*self._connections, *self._turned_away]
        for connection in connections:
            connection.abort()
        for connection in connections:
            await connection.closed()
        for worker in list(self._lingering):
            worker.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await worker
        for listener in self._listeners:
            await listener.wait_closed()
        self._listeners.clear()

    async def _stop_listening(self) -> None:
        loop = asyncio.get_running_loop()
        for listener in self._listeners:
            for sock in listener.sockets:
                loop.remove_reader(sock.fileno())
        # A connection that was accepted in this very turn is made by a task of the loop's, in the
        # next ones; with its listener closed by then that fails, and leaves the socket open.
        for _ in range(_TURNS_TO_CONNECT):
            await asyncio.sleep(0)
        for listener in self._listeners:
            listener.close()

    def close_idle(self, now: float, limit: float) -> int:
        """Closes connections that were silent, or not read by their client, for `limit` seconds.

        A request that is being worked on keeps its connection, and so does the broker's own
        refusal to read it. Returns how many were closed.
        """
        return self._end(
            "idle",
            (
                c
                for c in self._connections
                if now - c.last_active > limit and not c.busy and not c.held_up
            ),
        )

    def close_stalled(self, now: float, limit: float) -> int:
        """Closes connections whose clients have read nothing of an answer for `limit` seconds.

        Returns how many were closed.
        """
        return self._end(
            "slow reader",
            (c for c in self._connections if c.full_since and now - c.full_since > limit),
        )

    def close_unproven(self, now: float, limit: float) -> int:
        """Closes connections whose clients had to say who they are within `limit` seconds.

        Returns how many were closed.
        """
        return self._end(
            "not authenticated",
            (c for c in self._connections if c.unproven and now - c.since > limit),
        )

    def _end(self, reason: str, connections: Iterable[Connection]) -> int:
        ended = list(connections)
        for connection in ended:
            connection.abort()
        if ended:
            self.node.metrics.connections_closed[reason] += len(ended)
        return len(ended)

    def connections(self) -> list[ConnectionInfo]:
        """Every open connection."""
        return [one.info for one in self._connections if one.info is not None]

    def close_all(self) -> int:
        """Closes every connection at once, in the middle of whatever it does; says how many."""
        for connection in list(self._connections):
            connection.abort()
        return len(self._connections)

    def admit(
        self, connection: Connection, peer: tuple[str, int], descriptor: int, listener: str
    ) -> tuple[ConnectionInfo | None, float]:
        """The new connection's particulars, and the seconds after which it is taken up.

        It has none if there are too many already.
        """
        metrics = self.node.metrics
        limit, delay = self._admission.enter(listener, peer[0], descriptor)
        if limit is not None:
            metrics.connections_rejected[limit] += 1
            self.node.pulse.beat()
            self._turned_away.add(connection)
            return None, delay
        self._connections.add(connection)
        self.node.pulse.beat()
        self._numbers += 1
        metrics.connections_total += 1
        metrics.connections_open = len(self._connections)
        return ConnectionInfo(self._numbers, *peer, listener=listener), delay

    def linger(self, worker: asyncio.Task[None]) -> None:
        """A connection is gone, and what it was sent before that is still worked on."""
        self._lingering.add(worker)
        worker.add_done_callback(self._lingering.discard)

    def forget(self, connection: Connection) -> None:
        """The connection is gone; says so a second time without effect."""
        if connection not in self._connections and connection not in self._turned_away:
            return
        if connection.info is not None:
            self._admission.leave(connection.info.listener, connection.info.peer_host)
        if self.memory is not None:
            self.memory.left(connection)
        self._connections.discard(connection)
        self._turned_away.discard(connection)
        self.node.pulse.beat()
        self.node.metrics.connections_open = len(self._connections)


class Connection(asyncio.BufferedProtocol):
    """One client's socket.

    Attributes:
        info: Its particulars, once it is admitted.
        busy: Whether a request is worked on.
        last_active: When the client was last heard of, by the outside clock.
        since: When it was made, by that clock.
        unproven: Whether the client has still to say who it is.
        full_since: Since when the client has read nothing of what waits for it; 0.0 if it has.
        held: Bytes of requests that it holds, where they are counted.
    """

    def __init__(self, server: Server, entrance: Entrance) -> None:
        self._server = server
        self._entrance = entrance
        # Of its own where a client has to say who it is.
        self._router = entrance.router(server.router, self._opened)
        # A client and its silence are outside: a tick passes for the broker alone.
        self._clock = server.node.clock.outside
        self._reader = FrameReader(
            entrance.first_limit or server.node.config.int("socket.request.max.bytes"),
            pool=server.pool,
        )
        self._frames: deque[memoryview] = deque()
        self._queued = 0
        # Why it is not read, if it is not.
        self._paused = 0
        self._memory = server.memory
        self._start: AskedCall | None = None
        self._transport: asyncio.Transport | None = None
        self.info: ConnectionInfo | None = None
        self._worker: asyncio.Task[None] | None = None
        self._outlet: Outlet
        # The worker waits for one of these at a time: a frame, or room to write.
        self._wake: asyncio.Future[None] | None = None
        self._writable = True
        self._handshaking = False
        self._broken: ProtocolError | None = None
        self._ended = False
        self.busy = False
        self.since = self.last_active = self._clock.monotonic()
        self.unproven = entrance.first_limit is not None
        self.full_since = 0.0
        self.held = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Called by asyncio: admits the connection and starts its worker."""
        # Not asserted: uvloop's transports are no asyncio.Transport.
        transport = cast("asyncio.Transport", transport)
        self._transport = transport
        peer = transport.get_extra_info("peername") or ("unknown", 0)
        sock = transport.get_extra_info("socket")
        address = (str(peer[0]), int(peer[1]))
        self.info, delay = self._server.admit(self, address, sock.fileno(), self._entrance.name)
        if delay:
            self._stop(_TOO_EARLY)
            timers = self._server.node.timers
            self._start = timers.call_at(timers.now() + delay, self._take_up, moment=False)
        if self.info is None:
            if not delay:
                transport.abort()
            return
        self._set_socket_buffers(sock)
        if self._entrance.tls is None:
            self._outlet = Outlet(transport, self._room)
            work = self._work(self.info)
        else:
            # What comes from now on is the handshake's.
            transport.pause_reading()
            self._handshaking = True
            work = self._work_behind_tls(self.info, transport, self._entrance.tls)
        self._worker = asyncio.get_running_loop().create_task(work)

    def connection_lost(self, exc: Exception | None) -> None:
        """Called by asyncio: ends the request under way, if any."""
        self._server.forget(self)
        self._reader.drop()
        if self._start is not None:
            self._start.cancel()
        if self._worker is None:
            return
        if self._frames and exc is None and self._entrance.tls is not None:
            # TLS has no half of a connection: it is closed, and its last requests are worked on.
            self._server.linger(self._worker)
            self._memory = None
            self._ended = self._writable = True
            self._notify()
        else:
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
        complete = False
        for frame in self._reader.frames():
            complete = True
            # The loop looks at a large one's memory until this call is over: the pool could not
            # have it back.
            if len(frame) < LARGE and self._at_rest and self._router.answers_at_once(frame):
                self._answer_at_once(frame)
                continue
            self._frames.append(frame)
            self._queued += len(frame)
        if self._memory is not None:
            self._memory.took(self, nbytes, complete=complete)
        if self._frames or self._broken is not None:
            self._notify()
            if self._queued >= QUEUE_LIMIT or self._broken is not None:
                self._stop(_QUEUED)

    def eof_received(self) -> bool:
        """Called by asyncio: what the client sent before it stopped is still worked on."""
        # With acks=0 a client closes right behind its last records: they have arrived.
        self._ended = bool(self._frames)
        return self._ended and self._entrance.tls is None

    def pause_writing(self) -> None:
        """Called by asyncio: the client does not read fast enough."""
        self._writable = False
        self.full_since = self._clock.monotonic()

    def resume_writing(self) -> None:
        """Called by asyncio: the client has caught up."""
        self._writable = True
        self.full_since = 0.0
        self.last_active = self._clock.monotonic()
        self._notify()

    @property
    def waits_for_answer(self) -> bool:
        """Whether a request is complete that has no answer yet."""
        return bool(self._frames)

    @property
    def held_up(self) -> bool:
        """Whether it is the broker that does not listen, for reasons other than this client's."""
        return bool(self._paused & (_NO_MEMORY | _TOO_EARLY))

    def stop_for_memory(self) -> None:
        """Reading stops: all requests together take too much."""
        self._stop(_NO_MEMORY)

    def go_on(self) -> None:
        """Reading goes on, as far as memory is concerned."""
        self._resume(_NO_MEMORY)

    def _take_up(self) -> None:
        """Its time has come: what was refused is closed, and the others are read."""
        self._start = None
        if self.info is None:
            self.abort()
        else:
            self._resume(_TOO_EARLY)

    def _stop(self, reason: int) -> None:
        # A handshake is read whatever happens.
        if not self._paused and self._transport is not None and not self._handshaking:
            self._transport.pause_reading()
        self._paused |= reason

    def _resume(self, reason: int) -> None:
        if not self._paused & reason:
            return
        self._paused &= ~reason
        if self._handshaking:
            self._notify()
        elif not self._paused and self._transport is not None:
            # Silence does not count while nobody listens.
            self.last_active = self._clock.monotonic()
            self._transport.resume_reading()

    def abort(self) -> None:
        """Closes the socket at once; what is not sent or not begun yet is dropped."""
        self._frames.clear()
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
            answer = self._router.answer_at_once(frame, self.info)
        except Exception as error:
            self._fail(error, self.info, self._transport)
            self._worker.cancel()
            return
        self._give(frame)
        if answer is not None:
            write_buffers(self._transport, answer)

    def _give(self, frame: memoryview) -> None:
        """The request is over, and nobody needs its memory."""
        size = len(frame) + FRAME_SIZE
        self._server.pool.give(frame)
        if self._memory is not None:
            self._memory.gave(self, size)

    def _opened(self) -> None:
        """The client has said who it is, and may send what others may."""
        self.unproven = False
        self._reader.max_size = self._server.node.config.int("socket.request.max.bytes")

    async def _work_behind_tls(
        self, info: ConnectionInfo, plain: asyncio.Transport, tls: ListenerTls
    ) -> None:
        """As `_work`, once both sides have agreed on keys."""
        node = self._server.node
        while self._paused & _TOO_EARLY:
            await self._news()
        try:
            self._transport, certificate = await shake_hands(plain, self, tls)
            if not self._entrance.listener.security.sasl:
                known_by_certificate(info, tls, certificate, node.audit)
        except (OSError, ValueError) as error:
            node.metrics.handshakes_failed += 1
            tell_failed_handshake(info, error, node.audit)
            plain.abort()
            # asyncio tells nobody that a connection is lost which never was one to it.
            self._server.forget(self)
            return
        self._outlet = Outlet(self._transport, self._room)
        self._handshaking = False
        if self._paused:
            self._transport.pause_reading()
        await self._work(info)

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
                self._resume(_QUEUED)
            try:
                answer = await self._router.answer(frame, info)
            except Exception as error:
                self._fail(error, info, transport)
                return
            self._give(frame)
            if faults.pauses:
                await faults.gate()
            mishap, info.mishap = info.mishap, None
            if mishap is not None and mishap.cut is not None and answer is not None:
                send_part(mishap.cut, transport, answer)
                return
            if answer is not None:
                try:
                    await self._outlet.send(answer)
                except OSError as error:
                    self._cut_off(error, info, transport)
                    return
            muted = info.throttled if mishap is None else max(info.throttled, mishap.muted)
            if muted:
                info.throttled = 0.0
                await self._server.node.timers.sleep(muted)
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
            if isinstance(error, CloseConnection) and error.answer:
                write_buffers(transport, error.answer)
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
            # What is no stream of frames comes from somebody who speaks something else.
            level = logging.INFO if error is self._broken else logging.WARNING
            log.log(
                error.level if isinstance(error, CloseConnection) else level,
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
