"""One connection to a broker whose answers are awaited, request by request."""

from __future__ import annotations

import asyncio
from typing import Self

from pyproducer.core.effects import Send
from pyproducer.errors import ConnectionFailed
from pyproducer.net.resolver import Address
from pyproducer.net.transport import BrokerTransport
from pyproducer.protocol.connection import Answer
from pyproducer.protocol.schema import Message

__all__ = ["BrokerConnection"]


class BrokerConnection:
    """An open connection.

    Attributes:
        address: ``host:port`` of the broker.
    """

    def __init__(self, host: str, port: int, client_id: str) -> None:
        self.address = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
        self._transport = BrokerTransport(self, 0, client_id, Address(0, (host, port)))
        self._ready: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting: dict[int, asyncio.Future[Message]] = {}
        self._next_tag = 0
        self._lost: str | None = None

    @classmethod
    async def open(cls, host: str, port: int, client_id: str, timeout: float) -> Self:
        """Connects, and learns the broker's versions.

        Raises:
            ConnectionFailed: nothing listens there, or it is no Kafka broker.
        """
        made = cls(host, port, client_id)
        address = made.address
        try:
            async with asyncio.timeout(timeout):
                await asyncio.get_running_loop().create_connection(
                    lambda: made._transport, host, port
                )
                await made._ready
        except TimeoutError:
            made.close()
            raise ConnectionFailed(
                f"{address} did not answer within {timeout:g} s", address=address
            ) from None
        except OSError as error:
            if isinstance(error, ConnectionFailed):
                raise
            reason = str(error) or type(error).__name__
            raise ConnectionFailed(f"{address}: {reason}", address=address) from error
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
            UnsupportedVersion: the broker does not serve the request.
        """
        if self._lost is not None:
            raise self._failure(self._lost)
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
        self._transport.abort()

    def _failure(self, reason: str) -> ConnectionFailed:
        return ConnectionFailed(f"{self.address}: {reason}", address=self.address)

    # The transport's side.

    def made(self, transport: BrokerTransport) -> None:
        """There is a socket."""

    def lost(self, transport: BrokerTransport) -> None:
        """There is none any more; disconnected() has said so where it matters."""

    def connected(self, transport: BrokerTransport) -> None:
        """The broker has told its versions."""
        if not self._ready.done():
            self._ready.set_result(None)

    def answered(self, transport: BrokerTransport, answer: Answer) -> None:
        """A response came; nobody may be waiting for it any more."""
        assert isinstance(answer.tag, int)
        future = self._waiting.get(answer.tag)
        if future is not None and not future.done():
            future.set_result(answer.message)

    def written(self, transport: BrokerTransport, tag: int) -> None:
        """Every request here wants a response."""

    def disconnected(self, transport: BrokerTransport, reason: str) -> None:
        """The connection is gone; whoever waits is told."""
        self._lost = reason
        error = self._failure(reason)
        if not self._ready.done():
            self._ready.set_exception(error)
        for future in self._waiting.values():
            if not future.done():
                future.set_exception(error)
        # Nobody may be waiting for the handshake any more.
        if self._ready.done() and not self._ready.cancelled():
            self._ready.exception()
