# cython: annotation_typing=False, nonecheck=True, binding=False, freethreading_compatible=True
"""One TCP connection to a broker, as asyncio sees it.

It feeds the sans-IO :class:`~pyproducer.protocol.connection.ClientConnection` and passes on what
comes of it; it decides nothing.
"""

from __future__ import annotations

import asyncio
import socket
from collections import deque
from typing import TYPE_CHECKING, Final, Protocol, cast

from pyproducer._version import VERSION
from pyproducer.errors import ProducerError
from pyproducer.net.failures import hung_up
from pyproducer.protocol.connection import Answer, ClientConnection
from pyproducer.threads import in_thread
from pyproducer.writing import write_buffers

if TYPE_CHECKING:
    from collections.abc import Callable

    from pyproducer.core.effects import Send
    from pyproducer.net.resolver import Address
    from pyproducer.protocol.sasl.mechanism import Mechanism

__all__ = ["BrokerProtocol", "BrokerTransport", "TransportOwner"]

#: Bytes that asyncio may hold for a slow broker before requests without an answer wait.
_HIGH_WATER: Final = 1024 * 1024


class TransportOwner(Protocol):
    """Who is told of what happens on a connection."""

    def made(self, transport: BrokerTransport) -> None:
        """There is a socket."""

    def lost(self, transport: BrokerTransport) -> None:
        """There is none any more; told always, also after :meth:`BrokerTransport.abort`."""

    def connected(self, transport: BrokerTransport) -> None:
        """The broker has told its versions, and accepted who we are."""

    def authenticated(self, transport: BrokerTransport) -> None:
        """The broker has accepted anew who we are."""

    def answered(self, transport: BrokerTransport, answers: list[Answer]) -> None:
        """Responses came: all that one reading of the socket brought, in order."""

    def written(self, transport: BrokerTransport, tag: int) -> None:
        """A request that wants no response has left our memory, or soon will."""

    def disconnected(
        self, transport: BrokerTransport, reason: str, error: Exception | None
    ) -> None:
        """The connection is gone; told once, and not after :meth:`BrokerTransport.abort`.

        With an ``error``, what the other side did, or failed to do, is told by its class.
        """


class BrokerTransport:
    """Drives one wire connection. Knows sockets; knows nothing of records.

    Attributes:
        owner: who is told of what happens.
        node: the engine's number for the broker.
        address: where it is connected to.
        host: the broker's name, as we know it.
        torn: bytes are being read; outside of that, a signal's handler raised between the reading
            and the telling, and nobody knows how many are lost.
    """

    def __init__(
        self,
        owner: TransportOwner,
        node: int,
        client_id: str,
        address: Address,
        host: str = "",
        mechanism: Mechanism | None = None,
        explain: Callable[[Exception], Exception] | None = None,
    ) -> None:
        """Makes one that has no socket yet.

        Args:
            owner: who is told of what happens.
            node: the engine's number for the broker.
            client_id: told to the broker.
            address: where it will be connected to.
            host: the broker's name, as we know it.
            mechanism: what proves who we are; None where nobody asks.
            explain: makes of what ended the connection what is to be told of it.
        """
        self.owner = owner
        self.node = node
        self.address = address
        self.host = host
        self._explain = explain
        self._connected = self._answered = False
        self._asks = mechanism is not None
        self._step: asyncio.Task[None] | None = None
        self._wire = ClientConnection(client_id, software_version=VERSION, mechanism=mechanism)
        self._transport: asyncio.Transport | None = None
        self._paused = False
        self._unanswerable: deque[int] = deque()
        self._unconfirmed = False
        self._over = False
        self.torn = False

    @property
    def versions(self) -> dict[int, tuple[int, int]]:
        """The broker's API versions."""
        return self._wire.versions

    @property
    def features(self) -> tuple[dict[str, int], int]:
        """The cluster's finalized features by name, and which of two answers is the newer."""
        return self._wire.features, self._wire.features_epoch

    @property
    def session(self) -> float:
        """Seconds for which the broker believes who we are, from when it said so; 0 for good."""
        return self._wire.session_lifetime

    def authenticate(self, mechanism: Mechanism) -> None:
        """Prove anew who we are; requests that follow are written once that is done."""
        self._wire.authenticate(mechanism)
        self._go_on()

    def send(self, request: Send) -> None:
        """Write a request, behind those written before.

        Raises:
            ProducerError: it cannot be written in any version that the broker knows.
        """
        self._wire.send(request.message, request.tag, request.expect_response, request.max_version)
        self._write()
        if not request.expect_response:
            self._unconfirmed = True
            self._unanswerable.append(request.tag)
            self._report_written()

    def abort(self) -> None:
        """Drop the connection and what was not written; the owner hears nothing more."""
        self._over = True
        if self._step is not None:
            self._step.cancel()
        if self._transport is not None:
            self._transport.abort()

    def close(self) -> None:
        """Close the connection once what was written has left; the owner hears nothing more."""
        self._over = True
        if self._step is not None:
            self._step.cancel()
        if self._transport is None or self._transport.is_closing():
            return
        if self._unconfirmed and self._transport.can_write_eof():
            # Some brokers answer even acks=0. A socket that is closed with an answer unread resets
            # the connection, and the broker drops requests that it has but did not look at. So
            # only our side ends here; the broker ends the other once it has seen all.
            self._transport.write_eof()
        else:
            self._transport.close()

    # asyncio's side

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        self.owner.made(self)
        if self._over:
            self._transport.abort()
            return
        sock = transport.get_extra_info("socket")
        if sock is not None and sock.family in {socket.AF_INET, socket.AF_INET6}:
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._transport.set_write_buffer_limits(high=_HIGH_WATER)
        self._wire.start()
        self._write()

    def get_buffer(self, sizehint: int) -> memoryview:
        self.torn = True
        return self._wire.get_buffer(sizehint)

    def buffer_updated(self, nbytes: int) -> None:
        self.torn = False
        wire = self._wire
        if wire.ready:
            wire.buffer_updated(nbytes)
        else:
            self._shake(nbytes)
        answers = wire.answers()
        if answers and not self._over:
            self._answered = True
            self.owner.answered(self, answers)
        if wire.error is not None:
            self._gone(wire.error)

    def eof_received(self) -> bool:
        self.torn = False
        self._wire.receive_eof()
        return False

    def connection_lost(self, exc: Exception | None) -> None:
        self.owner.lost(self)
        self._gone(exc or self._wire.error)

    def pause_writing(self) -> None:
        self._paused = True

    def resume_writing(self) -> None:
        self._paused = False
        self._report_written()

    def _shake(self, nbytes: int) -> None:
        self._wire.buffer_updated(nbytes)
        self._go_on()

    def _go_on(self) -> None:
        """Do what the bytes before the first request, or between two, have come to."""
        step = self._wire.take_step()
        if step is not None and not self._over:
            self._step = asyncio.get_running_loop().create_task(self._take(step))
        # The broker may have to be asked in another version, or told more.
        self._write()
        if self._over:
            return
        if self._wire.error is not None:
            self._gone(self._wire.error)
        elif self._wire.ready and self._connected:
            self._report_written()
            self.owner.authenticated(self)
        elif self._wire.ready:
            self._connected = True
            self.owner.connected(self)

    async def _take(self, step: Callable[[], bytes | None]) -> None:
        """Have a step of the authentication made by a thread."""
        result: bytes | Exception | None
        try:
            result = await in_thread("sasl", step)
        except Exception as error:
            result = error
        self._step = None
        if not self._over:
            self._wire.step_taken(result)
            self._go_on()

    def _write(self) -> None:
        buffers = self._wire.data_to_send()
        if buffers and self._transport is not None and not self._transport.is_closing():
            write_buffers(self._transport, buffers)

    def _report_written(self) -> None:
        # Not while requests are held: nothing of them has left our memory.
        while self._unanswerable and not self._paused and not self._over and self._wire.ready:
            self.owner.written(self, self._unanswerable.popleft())

    def _gone(self, error: Exception | None) -> None:
        if self._over:
            return
        self.abort()
        unheard = self._connected and not self._answered and not self._asks
        if unheard and self._wire.in_flight and (likely := hung_up(error)) is not None:
            error = likely
        elif error is not None and self._explain is not None:
            error = self._explain(error)
        if error is None:
            reason = "the broker closed the connection"
        elif isinstance(error, ProducerError):
            reason = str(error)
        else:
            reason = f"{type(error).__name__}: {error}"
        self.owner.disconnected(self, reason, error)


class BrokerProtocol(BrokerTransport, asyncio.BufferedProtocol):
    """The same as asyncio knows it: by its class, which a compiled one cannot have for a base."""

    __slots__ = ()
