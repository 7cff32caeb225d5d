"""One connection to a broker whose answers are awaited, request by request."""

from __future__ import annotations

import asyncio
from typing import Self

from pyproducer.core.effects import Connect, Send
from pyproducer.errors import AuthenticationError, ConnectionFailed, ProducerError, SaslExpected
from pyproducer.net.dialing import Dialing
from pyproducer.net.failures import is_security, located
from pyproducer.net.resolver import Resolver
from pyproducer.net.security import Security
from pyproducer.net.transport import BrokerTransport
from pyproducer.protocol.connection import Answer
from pyproducer.protocol.schema import Message

__all__ = ["BrokerConnection"]


class BrokerConnection:
    """An open connection.

    Attributes:
        address: ``host:port`` of the broker.
        host: its name.
        port: its port.
    """

    def __init__(self, host: str, port: int) -> None:
        self.host, self.port = host, port
        self.address = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
        self._transport: BrokerTransport | None = None
        self._waiting: dict[int, asyncio.Future[Message]] = {}
        self._next_tag = 0
        self._lost: str | None = None
        self._hung_up: SaslExpected | None = None

    @classmethod
    async def open(
        cls, host: str, port: int, client_id: str, timeout: float, security: Security | None
    ) -> Self:
        """Connects, learns the broker's versions, and tells who we are where it wants to know.

        Raises:
            ConnectionFailed: nothing listens there, it is no Kafka broker, or TLS fails.
            AuthenticationError: the broker does not believe who we are.
        """
        made = cls(host, port)
        address = made.address
        loop = asyncio.get_running_loop()
        dialing = Dialing(
            Connect(0, host, port, timeout),
            made,
            loop,
            Resolver(loop),
            client_id=client_id,
            security=security,
        )
        try:
            await dialing.run()
        except ConnectionFailed as error:
            if is_security(error):
                raise located(error, address) from error
            raise ConnectionFailed(f"{address}: {error}", address=address) from error
        except AuthenticationError as error:
            raise located(error, address) from error
        except BaseException:
            made.close()
            raise
        return made

    @property
    def usable(self) -> bool:
        """False once the connection is gone."""
        return self._lost is None

    def version_range(self, api_key: int) -> tuple[int, int] | None:
        """First and last version that the broker serves of an API; None if it lacks it."""
        assert self._transport is not None
        return self._transport.versions.get(api_key)

    async def request(
        self, message: Message, *, timeout: float, max_version: int | None = None
    ) -> Message:
        """Sends a request and returns its answer.

        Args:
            message: the request.
            timeout: seconds for the answer.
            max_version: the newest version to use; None for the newest that both know.

        Raises:
            ConnectionFailed: the connection is gone, or the answer did not come in time; the
                broker may have carried out the request.
            SaslExpected: the connection has ended at its first request.
            UnsupportedVersion: the broker does not serve the request.
        """
        if self._lost is not None:
            raise self._failure(self._lost)
        assert self._transport is not None
        tag, self._next_tag = self._next_tag, self._next_tag + 1
        future: asyncio.Future[Message] = asyncio.get_running_loop().create_future()
        self._waiting[tag] = future
        try:
            self._transport.send(Send(0, message, tag, max_version=max_version))
            async with asyncio.timeout(timeout):
                return await future
        except TimeoutError:
            self.close()
            raise self._failure(f"no answer to {type(message).__name__} in {timeout:g} s") from None
        finally:
            self._waiting.pop(tag, None)

    def close(self) -> None:
        """Drops the connection."""
        self._lost = self._lost or "the connection was closed"
        if self._transport is not None:
            self._transport.abort()

    def _failure(self, reason: str) -> ProducerError:
        if self._hung_up is not None:
            return located(self._hung_up, self.address)
        return ConnectionFailed(f"{self.address}: {reason}", address=self.address)

    # The transport's side.

    def made(self, transport: BrokerTransport) -> None:
        """There is a socket."""

    def lost(self, transport: BrokerTransport) -> None:
        """There is none any more; disconnected() has said so where it matters."""

    def answered_first(self, dialing: Dialing, transport: BrokerTransport) -> None:
        """The broker has told its versions."""
        transport.owner = self
        self._transport = transport

    def connected(self, transport: BrokerTransport) -> None:
        """The broker has told its versions; the dialing was told."""

    def authenticated(self, transport: BrokerTransport) -> None:
        """A connection of a command is over before anything has to be proven anew."""

    def answered(self, transport: BrokerTransport, answers: list[Answer]) -> None:
        """Responses came; nobody may be waiting for them any more."""
        for answer in answers:
            assert isinstance(answer.tag, int)
            future = self._waiting.get(answer.tag)
            if future is not None and not future.done():
                future.set_result(answer.message)

    def written(self, transport: BrokerTransport, tag: int) -> None:
        """Every request here wants a response."""

    def disconnected(
        self, transport: BrokerTransport, reason: str, error: Exception | None
    ) -> None:
        """The connection is gone; whoever waits is told."""
        self._lost = reason
        self._hung_up = error if isinstance(error, SaslExpected) else None
        failure = self._failure(reason)
        for future in self._waiting.values():
            if not future.done():
                future.set_exception(failure)
