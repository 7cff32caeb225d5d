# cython: annotation_typing=False, nonecheck=True, binding=False, freethreading_compatible=True
"""The connections of one producer: at most one to each broker, and one for metadata."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, Protocol, cast

from pyproducer.errors import ProducerError
from pyproducer.net.dialing import Dialing
from pyproducer.net.failures import is_security
from pyproducer.net.resolver import Resolver

if TYPE_CHECKING:
    from collections.abc import Coroutine, Iterable, Mapping

    from pyproducer.core.effects import Connect, Send
    from pyproducer.net.security import Security
    from pyproducer.net.transport import BrokerTransport
    from pyproducer.protocol.connection import Answer

__all__ = ["Pool", "PoolOwner"]

#: Seconds that a broker may take, at the end, to read what was written for it.
_DRAIN_TIMEOUT = 1.0


class PoolOwner(Protocol):
    """Who is told of what happens on the connections, by the engine's number of the broker."""

    def node_connected(
        self, node: int, features: Mapping[str, int], features_epoch: int, session: float
    ) -> None:
        """A connection can be used, for so many seconds; it has told the cluster's features."""

    def node_authenticated(self, node: int, session: float) -> None:
        """The broker has accepted anew who we are, for so many seconds."""

    def node_unproven(self, node: int, reason: str) -> None:
        """Nothing could be had to prove anew who we are; the connection is as it was."""

    def node_disconnected(self, node: int, reason: str, error: ProducerError | None) -> None:
        """A connection is gone, or could not be made; with ``error`` security failed."""

    def node_answered(self, node: int, answers: Iterable[tuple[Any, ...]]) -> None:
        """Responses came, each behind its request's tag; None for one that wants no response."""


class Pool:
    """Opens, keeps and closes connections as it is told."""

    def __init__(
        self,
        owner: PoolOwner,
        loop: asyncio.AbstractEventLoop,
        *,
        client_id: str,
        security: Security | None,
    ) -> None:
        self._owner = owner
        self._loop = loop
        self._client_id = client_id
        self._security = security
        self._resolver = Resolver(loop)
        self._transports: dict[int, BrokerTransport] = {}
        self._opening: dict[int, tuple[Dialing, asyncio.Task[None]]] = {}
        # Everything that close() has to see the end of: attempts, given up or not, and sockets.
        self._tasks: set[asyncio.Task[None]] = set()
        self._sockets: set[BrokerTransport] = set()
        self._emptied: asyncio.Future[None] | None = None

    @property
    def nodes(self) -> list[int]:
        """Those with a connection, or with one on its way."""
        return list({**self._opening, **self._transports})

    def drop_torn(self) -> None:
        """Drop the connections of which bytes were lost to a signal's handler that raised."""
        for transport in list(self._transports.values()):
            if transport.torn:
                transport.abort()
                self.disconnected(transport, "a signal's handler raised while it was read", None)

    def connect(self, effect: Connect) -> None:
        """Begin to open a connection."""
        self.disconnect(effect.node)
        dialing = Dialing(
            effect,
            self,
            self._loop,
            self._resolver,
            client_id=self._client_id,
            security=self._security,
        )
        self._opening[effect.node] = dialing, self._begin(self._open(dialing))

    def disconnect(self, node: int) -> None:
        """Drop a connection, or the attempt to open one."""
        self._settle(node)
        transport = self._transports.pop(node, None)
        if transport is not None:
            self._resolver.blame(transport.address)
            transport.abort()

    def authenticate(self, node: int) -> None:
        """Prove anew who we are on an open connection."""
        transport = self._transports.get(node)
        if transport is not None and self._security is not None:
            self._begin(self._prove(transport, self._security))

    def send(self, effect: Send) -> None:
        """Write a request on an open connection.

        Raises:
            ProducerError: the broker knows no version of it.
        """
        transport = self._transports.get(effect.node)
        if transport is not None:
            transport.send(effect)

    async def close(self) -> None:
        """Close all connections; nothing is told any more."""
        for node in list(self._opening):
            self._settle(node)
        for task in self._tasks:
            # Whoever still waits for a password or a token; a thread goes on for itself.
            task.cancel()
        if self._security is not None:
            self._tasks |= self._security.close()
        self._transports.clear()
        for transport in self._sockets:
            transport.close()
        try:
            await asyncio.gather(*self._tasks, return_exceptions=True)
            if self._sockets:
                # With acks=0 records count as delivered that may still lie in a transport: a
                # loop that ends now would lose them, and leave the sockets behind.
                self._emptied = self._loop.create_future()
                await asyncio.wait([self._emptied], timeout=_DRAIN_TIMEOUT)
        finally:
            for transport in list(self._sockets):
                transport.abort()
        if self._sockets:
            await asyncio.sleep(0)

    def _begin(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task = self._loop.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    def _settle(self, node: int) -> None:
        opening = self._opening.pop(node, None)
        if opening is not None:
            opening[1].cancel()

    async def _open(self, dialing: Dialing) -> None:
        try:
            await dialing.run()
        except Exception as error:
            # Not ConnectionFailed alone: somebody has to be told, whatever it was.
            self._opening.pop(dialing.node, None)
            reason = str(error)
            if not isinstance(error, ProducerError):
                reason = f"{type(error).__name__}: {reason}"
            self._owner.node_disconnected(dialing.node, reason, _refusal(error))

    async def _prove(self, transport: BrokerTransport, security: Security) -> None:
        try:
            make = await security.mechanism()
        except ProducerError as error:
            if self._transports.get(transport.node) is transport:
                self._owner.node_unproven(transport.node, str(error))
            return
        if make is not None and self._transports.get(transport.node) is transport:
            transport.authenticate(make(transport.host))

    # The dialing's side, and the transports'.

    def answered_first(self, dialing: Dialing, transport: BrokerTransport) -> None:
        """A connection is ready; it ends the dialing."""
        if self._opening.get(dialing.node, (None,))[0] is not dialing:
            # It was called off, and has not noticed yet.
            transport.abort()
            return
        transport.owner = self
        self._transports[dialing.node] = transport
        self._settle(dialing.node)
        self._owner.node_connected(dialing.node, *transport.features, transport.session)

    def made(self, transport: BrokerTransport) -> None:
        """There is a socket."""
        self._sockets.add(transport)

    def lost(self, transport: BrokerTransport) -> None:
        """There is none any more."""
        self._sockets.discard(transport)
        if self._emptied is not None and not self._sockets and not self._emptied.done():
            self._emptied.set_result(None)

    def connected(self, transport: BrokerTransport) -> None:
        """The broker told its versions before this pool was its owner."""
        raise AssertionError(transport)

    def authenticated(self, transport: BrokerTransport) -> None:
        """The broker has accepted anew who we are."""
        self._owner.node_authenticated(transport.node, transport.session)

    def answered(self, transport: BrokerTransport, answers: list[Answer]) -> None:
        """Responses came."""
        self._resolver.trust(transport.address)
        self._owner.node_answered(transport.node, answers)

    def written(self, transport: BrokerTransport, tag: int) -> None:
        """A request that wants no response was written."""
        self._owner.node_answered(transport.node, [(tag, None)])

    def disconnected(
        self, transport: BrokerTransport, reason: str, error: Exception | None
    ) -> None:
        """The connection is gone."""
        self._resolver.blame(transport.address)
        self._transports.pop(transport.node, None)
        self._owner.node_disconnected(transport.node, reason, _refusal(error))


def _refusal(error: Exception | None) -> ProducerError | None:
    """The error, where it is one of security."""
    return cast("ProducerError", error) if is_security(error) else None
