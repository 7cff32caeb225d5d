"""The connections of one producer: at most one to each broker, and one for metadata."""

from __future__ import annotations

import asyncio
import socket
import sys
import threading
from typing import TYPE_CHECKING, Protocol

from pyproducer.net.transport import BrokerTransport

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pyproducer.core.effects import Connect, Send
    from pyproducer.protocol.connection import Answer
    from pyproducer.protocol.schema import Message

__all__ = ["Pool", "PoolOwner"]

#: Seconds that a broker may take, at the end, to read what was written for it.
_DRAIN_TIMEOUT = 1.0


class PoolOwner(Protocol):
    """Who is told of what happens on the connections, by the engine's number of the broker."""

    def node_connected(self, node: int, features: Mapping[str, int], features_epoch: int) -> None:
        """A connection can be used; it has told the cluster's features."""

    def node_disconnected(self, node: int, reason: str) -> None:
        """A connection is gone, or could not be made."""

    def node_answered(self, node: int, tag: int, message: Message | None) -> None:
        """A response came; None where the request was written and wants none."""


class Pool:
    """Opens, keeps and closes connections as it is told."""

    def __init__(
        self,
        owner: PoolOwner,
        loop: asyncio.AbstractEventLoop,
        *,
        client_id: str,
        setup_timeout: float,
    ) -> None:
        self._owner = owner
        self._loop = loop
        self._client_id = client_id
        self._setup_timeout = setup_timeout
        self._transports: dict[int, BrokerTransport] = {}
        self._opening: dict[int, asyncio.Task[None]] = {}
        self._timers: dict[int, asyncio.TimerHandle] = {}
        # Everything that close() has to see the end of: attempts, given up or not, and sockets.
        self._tasks: set[asyncio.Task[None]] = set()
        self._sockets: set[BrokerTransport] = set()
        self._emptied: asyncio.Future[None] | None = None

    @property
    def nodes(self) -> list[int]:
        """Those with a connection, or with one on its way."""
        return list({**self._opening, **self._transports})

    def connect(self, effect: Connect) -> None:
        """Begin to open a connection."""
        self.disconnect(effect.node)
        task = self._loop.create_task(self._open(effect))
        self._opening[effect.node] = task
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        self._timers[effect.node] = self._loop.call_later(
            self._setup_timeout, self._too_slow, effect.node, f"{effect.host}:{effect.port}"
        )

    def disconnect(self, node: int) -> None:
        """Drop a connection, or the attempt to open one."""
        self._settle(node)
        transport = self._transports.pop(node, None)
        if transport is not None:
            transport.abort()

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
        for node in {*self._timers, *self._opening}:
            self._settle(node)
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

    def _settle(self, node: int) -> None:
        timer = self._timers.pop(node, None)
        if timer is not None:
            timer.cancel()
        task = self._opening.pop(node, None)
        if task is not None and not task.done():
            task.cancel()

    async def _open(self, effect: Connect) -> None:
        transport = BrokerTransport(self, effect.node, self._client_id)
        try:
            host = await self._resolved(effect)
            await self._loop.create_connection(lambda: transport, host, effect.port)
        except Exception as error:
            # Not OSError alone: an address that a broker tells may be no address at all.
            transport.abort()
            # Taken out first: settling would cancel this very task.
            self._opening.pop(effect.node, None)
            self._settle(effect.node)
            self._owner.node_disconnected(effect.node, _reason(error))
            return
        except BaseException:
            transport.abort()
            raise
        self._transports[effect.node] = transport
        self._opening.pop(effect.node, None)

    async def _resolved(self, effect: Connect) -> str:
        """The host, or its address where the loop cannot look it up any more."""
        if not sys.is_finalizing() and threading.main_thread().is_alive():
            return effect.host
        # The program is ending: its threads are gone, and the loop asks a thread for names.
        found = socket.getaddrinfo(effect.host, effect.port, type=socket.SOCK_STREAM)
        return str(found[0][4][0])

    def _too_slow(self, node: int, address: str) -> None:
        self.disconnect(node)
        self._owner.node_disconnected(
            node, f"{address} did not answer within {self._setup_timeout:g} s"
        )

    # The transports' side.

    def made(self, transport: BrokerTransport) -> None:
        """There is a socket."""
        self._sockets.add(transport)

    def lost(self, transport: BrokerTransport) -> None:
        """There is none any more."""
        self._sockets.discard(transport)
        if self._emptied is not None and not self._sockets and not self._emptied.done():
            self._emptied.set_result(None)

    def connected(self, transport: BrokerTransport) -> None:
        """The broker has told its versions."""
        self._transports[transport.node] = transport
        timer = self._timers.pop(transport.node, None)
        if timer is not None:
            timer.cancel()
        self._owner.node_connected(transport.node, *transport.features)

    def answered(self, transport: BrokerTransport, answer: Answer) -> None:
        """A response came."""
        assert isinstance(answer.tag, int)
        self._owner.node_answered(transport.node, answer.tag, answer.message)

    def written(self, transport: BrokerTransport, tag: int) -> None:
        """A request that wants no response was written."""
        self._owner.node_answered(transport.node, tag, None)

    def disconnected(self, transport: BrokerTransport, reason: str) -> None:
        """The connection is gone."""
        self._settle(transport.node)
        self._transports.pop(transport.node, None)
        self._owner.node_disconnected(transport.node, reason)


def _reason(error: Exception) -> str:
    """What a failed attempt to connect says, in one line."""
    text = str(error)
    return f"{type(error).__name__}: {text}" if text else type(error).__name__
