"""The making of one connection: a name looked up, and its addresses tried until one answers."""

from __future__ import annotations

import asyncio
import contextlib
import copy
import os
import socket
from collections import deque
from typing import TYPE_CHECKING, Final, Protocol, cast

from pyproducer.errors import AuthenticationError, ConnectionFailed, ProducerError
from pyproducer.net.failures import (
    cut_off,
    is_security,
    plain_failure,
    silent_failure,
    tls_failure,
)
from pyproducer.net.patience import Patience
from pyproducer.net.transport import BrokerProtocol, BrokerTransport

if TYPE_CHECKING:
    import ssl
    from collections.abc import Iterator

    from pyproducer.core.effects import Connect
    from pyproducer.net.credentials import MakeMechanism
    from pyproducer.net.resolver import Address, Resolver
    from pyproducer.net.security import Security
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
    goes on. The first to tell its versions, and to accept who we are, wins. So an address that
    swallows everything costs a moment, not the attempt, whether it is one of three brokers or IPv6
    on a network without.
    """

    def __init__(
        self,
        effect: Connect,
        owner: DialingOwner,
        loop: asyncio.AbstractEventLoop,
        resolver: Resolver,
        *,
        client_id: str,
        security: Security | None = None,
    ) -> None:
        self.node = effect.node
        self._host = effect.host
        self._port = effect.port
        self._owner = owner
        self._loop = loop
        self._resolver = resolver
        self._client_id = client_id
        self._timeout = effect.timeout
        self._stage = f"looking {self._host!r} up"
        # What became of each address; of one that is being tried, what it owes.
        self._told: dict[Address, str] = {}
        self._resolved = False
        self._security = security
        self._context: ssl.SSLContext | None = None
        self._make_mechanism: MakeMechanism | None = None
        # What kept an address from being used that was there.
        self._refusals: list[ProducerError] = []
        self._attempts: dict[BrokerTransport, asyncio.Future[None]] = {}
        self._over = False

    async def run(self) -> None:
        """Try; the connection is handed to the owner before this returns.

        Raises:
            ConnectionFailed: no address can be used. The text has each with its reason.
            AuthenticationError: a broker does not believe who we are, or nobody can say it.
        """
        try:
            async with Patience(self._timeout):
                if self._security is not None:
                    self._stage = "getting ready to say who we are"
                    self._context = await self._security.context()
                    self._make_mechanism = await self._security.mechanism()
                    self._stage = f"looking {self._host!r} up"
                addresses = await self._resolver.addresses(self._host, self._port)
                self._resolved = True
                await self._try_all(addresses)
        except TimeoutError:
            if self._over:
                return
            for address in self._told:
                self._resolver.blame(address)
            raise self._failure() from None
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
                        if isinstance(error, AuthenticationError):
                            # It is not the address: the others would be told the same, and count
                            # it as another attempt to guess.
                            raise error
                    if done:
                        break
        finally:
            for task in tries:
                task.cancel()
            await asyncio.gather(*tries, return_exceptions=True)
        raise self._failure()

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
        make, context = self._make_mechanism, self._context
        transport = BrokerProtocol(
            self,
            self.node,
            self._client_id,
            address,
            self._host,
            None if make is None else make(self._host),
            plain_failure if context is None else self._explain,
        )
        done = self._attempts[transport] = self._loop.create_future()
        # From here on the socket is the transport's.
        if context is None:
            await self._loop.create_connection(lambda: transport, sock=sock)
        else:
            await self._encrypt(transport, sock, context)
        await done

    async def _encrypt(
        self, transport: BrokerProtocol, sock: socket.socket, context: ssl.SSLContext
    ) -> None:
        try:
            await self._loop.create_connection(
                lambda: transport,
                sock=sock,
                ssl=context,
                server_hostname=self._host,
                # Ours comes first, and says more.
                ssl_handshake_timeout=self._timeout + 1,
            )
        except Exception as error:
            raise silent_failure(error) or self._explain(error) from error

    def _explain(self, error: Exception) -> Exception:
        """What ended a connection over TLS, in terms of what to do about it."""
        security = self._security
        certificate = security is not None and security.certificate
        found = tls_failure(error, self._host, certificate=certificate)
        if found is None and isinstance(error, ConnectionError) and not self._over:
            # What the broker had to say was lost with the connection (RFC 8446, section 6.2: with
            # TLS 1.3 it looks at a client's certificate behind the handshake).
            found = cut_off(error, certificate=certificate)
        return found or error

    @property
    def _silence(self) -> str:
        return f"accepted the connection and did not answer within {self._timeout:.3g} s"

    def _fail(self, address: Address, error: BaseException) -> None:
        self._resolver.blame(address)
        self._told[address] = _reason(error)
        if is_security(error):
            self._refusals.append(cast("ProducerError", error))

    def _failure(self) -> ProducerError:
        """The end of it all: what says most of what to do, with the reason of each address."""
        text = self._history()
        if not self._refusals:
            return ConnectionFailed(text)
        made = copy.copy(self._refusals[-1])
        made.args = (text,)
        made.__cause__ = self._refusals[-1].__cause__
        return made

    def _history(self) -> str:
        if not self._resolved:
            return f"{self._stage} took longer than {self._timeout:.3g} s"
        if [address.ip for address in self._told] == [self._host]:
            return next(iter(self._told.values()))
        if len(set(self._told.values())) == 1:
            return f"{next(iter(self._told.values()))}"
        return "; ".join(f"{address.ip}: {text}" for address, text in self._told.items())

    # The transports' side.

    def made(self, transport: BrokerTransport) -> None:
        """There is a socket."""
        self._owner.made(transport)

    def lost(self, transport: BrokerTransport) -> None:
        """There is none any more."""
        self._owner.lost(transport)

    def connected(self, transport: BrokerTransport) -> None:
        """The broker has told its versions, and accepted who we are."""
        if self._over:
            transport.abort()
            return
        self._over = True
        # Kept from being dropped with the others.
        done = self._attempts.pop(transport)
        if not done.done():
            done.set_result(None)
        self._owner.answered_first(self, transport)

    def authenticated(self, transport: BrokerTransport) -> None:
        """Nobody proves anew who we are before the first time is over."""
        raise AssertionError(transport)

    def disconnected(
        self, transport: BrokerTransport, reason: str, error: Exception | None
    ) -> None:
        """The connection is gone."""
        done = self._attempts[transport]
        if not done.done():
            done.set_exception(
                error if is_security(error) and error is not None else ConnectionFailed(reason)
            )
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
    if isinstance(error, ProducerError):
        return text
    return f"{type(error).__name__}: {text}" if text else type(error).__name__
