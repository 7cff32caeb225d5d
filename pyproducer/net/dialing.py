"""The making of one connection: a name looked up, and its addresses tried until one answers."""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
from collections import deque
from typing import TYPE_CHECKING, Final, Protocol

from pyproducer.errors import ConnectionFailed
from pyproducer.net.transport import BrokerProtocol, BrokerTransport

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pyproducer.core.effects import Connect
    from pyproducer.net.resolver import Address, Resolver
    from pyproducer.protocol.connection import Answer

__all__ = ["Dialing", "DialingOwner"]

#: Seconds after which an address that has not even accepted gets company (RFC 8305 says 250 ms).
_HEAD_START: Final = 0.25


#: An idle connection whose other side is gone without a word is noticed after 60 + 3 * 10 seconds,
#: and no NAT or load balancer on the way takes it for forgotten; where the system has the options.
_KEEPALIVE: Final = {"TCP_KEEPIDLE": 60, "TCP_KEEPINTVL": 10, "TCP_KEEPCNT": 3}


class DialingOwner(Protocol):
    """Who is told how it ends, and of every socket on the way."""

    def made(self, transport: BrokerTransport) -> None:
        """There is a socket."""

    def lost(self, transport: BrokerTransport) -> None:
        """There is none any more."""

    def answered_first(self, dialing: Dialing, transport: BrokerTransport) -> None:
        """This connection is ready; all others are dropped, and it needs an owner now."""


class Dialing:
    """One attempt to reach a broker, at all addresses of its name (KIP-302, KIP-602).

    They are tried in order: the next one as soon as one fails; or when one has not accepted the
    connection after 250 ms, or not told its versions after its share of the time; what has begun
    goes on. The first to tell its versions wins. So an address that swallows everything costs a
    moment, not the attempt, whether it is one of three brokers or IPv6 on a network without.
    """

    def __init__(
        self,
        effect: Connect,
        owner: DialingOwner,
        loop: asyncio.AbstractEventLoop,
        resolver: Resolver,
        *,
        client_id: str,
    ) -> None:
        self.node = effect.node
        self._host = effect.host
        self._port = effect.port
        self._owner = owner
        self._loop = loop
        self._resolver = resolver
        self._client_id = client_id
        self._timeout = effect.timeout
        # What became of each address; of one that is being tried, what it owes.
        self._told: dict[Address, str] = {}
        self._resolved = False
        self._attempts: dict[BrokerTransport, asyncio.Future[None]] = {}
        self._over = False

    async def run(self) -> None:
        """Try; the connection is handed to the owner before this returns.

        Raises:
            ConnectionFailed: no address can be used. The text has each with its reason.
        """
        try:
            async with asyncio.timeout(self._timeout):
                addresses = await self._resolver.addresses(self._host, self._port)
                self._resolved = True
                await self._try_all(addresses)
        except TimeoutError:
            if self._over:
                return
            for address in self._told:
                self._resolver.blame(address)
            raise ConnectionFailed(self._history()) from None
        finally:
            self._over = True
            for transport in self._attempts:
                transport.abort()

    async def _try_all(self, addresses: list[Address]) -> None:
        waiting = deque(addresses)
        share = self._timeout / len(addresses)
        tries: dict[asyncio.Task[None], Address] = {}
        try:
            while waiting or tries:
                if waiting:
                    newest = waiting.popleft()
                    tries[self._loop.create_task(self._try(newest))] = newest
                # With none left there is nothing but waiting.
                pauses = self._pauses(newest, share) if waiting else iter([None])
                for pause in pauses:
                    done, _ = await asyncio.wait(
                        tries, timeout=pause, return_when=asyncio.FIRST_COMPLETED
                    )
                    for task in done:
                        address, error = tries.pop(task), task.exception()
                        if error is None:
                            return
                        self._fail(address, error)
                    if done:
                        break
        finally:
            for task in tries:
                task.cancel()
            await asyncio.gather(*tries, return_exceptions=True)
        raise ConnectionFailed(self._history())

    def _pauses(self, address: Address, share: float) -> Iterator[float]:
        """How long to wait for an address before the next one gets its turn, bit by bit."""
        head_start = min(_HEAD_START, share)
        yield head_start
        if self._told.get(address) == self._silence:
            # It accepted: a slow broker, most likely, that a second connection would not help.
            yield share - head_start

    async def _try(self, address: Address) -> None:
        """Connect to an address; this ends with the broker's versions known."""
        self._told[address] = f"did not accept the connection within {self._timeout:.3g} s"
        sock = socket.socket(address.family, socket.SOCK_STREAM)
        try:
            sock.setblocking(False)
            _keep_alive(sock)
            await self._loop.sock_connect(sock, address.sockaddr)
        except BaseException:
            sock.close()
            raise
        self._told[address] = self._silence
        transport = BrokerProtocol(self, self.node, self._client_id, address)
        done = self._attempts[transport] = self._loop.create_future()
        # From here on the socket is the transport's.
        await self._loop.create_connection(lambda: transport, sock=sock)
        await done

    @property
    def _silence(self) -> str:
        return f"accepted the connection and did not answer within {self._timeout:.3g} s"

    def _fail(self, address: Address, error: BaseException) -> None:
        self._resolver.blame(address)
        self._told[address] = _reason(error)

    def _history(self) -> str:
        if not self._resolved:
            return f"looking {self._host!r} up took longer than {self._timeout:.3g} s"
        if [address.ip for address in self._told] == [self._host]:
            return next(iter(self._told.values()))
        return "; ".join(f"{address.ip}: {text}" for address, text in self._told.items())

    # The transports' side.

    def made(self, transport: BrokerTransport) -> None:
        """There is a socket."""
        self._owner.made(transport)

    def lost(self, transport: BrokerTransport) -> None:
        """There is none any more."""
        self._owner.lost(transport)

    def connected(self, transport: BrokerTransport) -> None:
        """The broker has told its versions."""
        if self._over:
            transport.abort()
            return
        self._over = True
        # Kept from being dropped with the others.
        done = self._attempts.pop(transport)
        if not done.done():
            done.set_result(None)
        self._owner.answered_first(self, transport)

    def disconnected(self, transport: BrokerTransport, reason: str) -> None:
        """The connection is gone."""
        done = self._attempts[transport]
        if not done.done():
            done.set_exception(ConnectionFailed(reason))
            # Its task may be cancelled before it looks.
            done.exception()

    def answered(self, transport: BrokerTransport, answers: list[Answer]) -> None:
        """Nothing is asked before the broker has told its versions."""
        raise AssertionError(answers)

    def written(self, transport: BrokerTransport, tag: int) -> None:
        """Nothing is written before the broker has told its versions."""
        raise AssertionError(tag)


def _keep_alive(sock: socket.socket) -> None:
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for name, value in _KEEPALIVE.items():
        option = getattr(socket, name, None)
        if option is not None:
            sock.setsockopt(socket.IPPROTO_TCP, option, value)


def _reason(error: BaseException) -> str:
    """Why an address failed, in one line."""
    if isinstance(error, OSError) and error.errno is not None:
        with contextlib.suppress(ValueError, OverflowError):
            return os.strerror(error.errno)
    text = str(error)
    if isinstance(error, ConnectionFailed):
        return text
    return f"{type(error).__name__}: {text}" if text else type(error).__name__
