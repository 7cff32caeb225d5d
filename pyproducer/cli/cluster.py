"""A cluster as the command line sees it: whom to ask, and who leads what."""

from __future__ import annotations

import asyncio
import copy
from collections.abc import Sequence
from types import TracebackType
from typing import Self, TypeVar, cast

from pyproducer.cli.connection import BrokerConnection
from pyproducer.config.bootstrap import parse_bootstrap
from pyproducer.errors import ConnectionFailed, SaslExpected, TlsError, UnknownTopic
from pyproducer.net.security import Security
from pyproducer.protocol.error_codes import ErrorCode, error_name
from pyproducer.protocol.messages.metadata import (
    MetadataRequest,
    MetadataRequestTopic,
    MetadataResponse,
    MetadataResponseTopic,
)
from pyproducer.protocol.schema import Message

__all__ = ["ANY", "CONTROLLER", "Cluster"]

#: Stand for a node where any broker will do, and where only the controller will.
ANY = -1
CONTROLLER = -2

#: Seconds for one attempt to connect; a person is waiting.
_CONNECT_TIMEOUT = 5.0
#: Seconds for which a topic may be without leader, as it is right after its creation.
_LEADER_TIMEOUT = 10.0
_PAUSE = 0.1
#: How often a broker that ended a connection at its first request is asked something else.
_ASKED_AGAIN = 2

_Response = TypeVar("_Response", bound=Message)


class Cluster:
    """Connections to the brokers of a cluster, opened as they are needed.

    Args:
        servers: brokers to ask first.
        client_id: what we call ourselves.
        request_timeout: seconds for one answer.
        security: what makes the connections secure, and says who we are; None for plain ones.
    """

    def __init__(
        self,
        servers: str | Sequence[str],
        *,
        client_id: str,
        request_timeout: float,
        security: Security | None = None,
    ) -> None:
        self._bootstrap = parse_bootstrap(servers)
        self._client_id = client_id
        self._timeout = request_timeout
        self._security = security
        self._any: BrokerConnection | None = None
        self._nodes: dict[int, BrokerConnection] = {}
        self._addresses: dict[int, tuple[str, int]] = {}
        self._controller = -1

    async def __aenter__(self) -> Self:
        await self._reach_any()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        for connection in (self._any, *self._nodes.values()):
            if connection is not None:
                connection.close()
        if self._security is not None:
            await asyncio.gather(*self._security.close(), return_exceptions=True)
        # Transports close in the loop's next turns.
        for _ in range(2):
            await asyncio.sleep(0)

    async def ask(
        self,
        message: Message,
        answer: type[_Response],
        *,
        node: int = ANY,
        max_version: int | None = None,
        wait: float = 0.0,
    ) -> _Response:
        """Sends a request and returns its answer.

        Args:
            message: the request.
            answer: its response's class.
            node: whom to ask: a node's number, ``ANY`` or ``CONTROLLER``.
            max_version: the newest version to use.
            wait: seconds that the broker itself may take, on top of the usual.

        Raises:
            ConnectionFailed: the broker cannot be reached, or did not answer.
            SaslExpected: its listener wants to know who we are.
            UnsupportedVersion: it does not serve the request.
        """
        connection = await self._reach(node)
        try:
            response = await connection.request(
                message, timeout=self._timeout + wait, max_version=max_version
            )
        except SaslExpected as error:
            if await self._hangs_up(connection):
                raise
            raise ConnectionFailed(
                f"{connection.address}: the broker closed the connection before it answered",
                address=connection.address,
            ) from error
        return cast("_Response", response)

    async def versions(self, api_key: int, node: int = ANY) -> tuple[int, int] | None:
        """First and last version that a broker serves of an API; None if it lacks it."""
        return (await self._reach(node)).version_range(api_key)

    async def metadata(self, topics: Sequence[str] | None) -> MetadataResponse:
        """Which topics there are and who leads them; brokers and controller are remembered.

        Args:
            topics: their names; None for all. They are never created by this.
        """
        wanted = None if topics is None else [MetadataRequestTopic(name=name) for name in topics]
        response = await self.ask(
            MetadataRequest(topics=wanted, allow_auto_topic_creation=False), MetadataResponse
        )
        self._addresses = {one.node_id: (one.host, one.port) for one in response.brokers}
        self._controller = response.controller_id
        return response

    async def topic(self, name: str) -> MetadataResponseTopic:
        """One topic with all its partitions led by somebody.

        Raises:
            UnknownTopic: there is no such topic.
            ConnectionFailed: a partition has no leader for too long.
        """
        loop = asyncio.get_running_loop()
        deadline = loop.time() + _LEADER_TIMEOUT
        while True:
            [found] = (await self.metadata([name])).topics
            codes = {found.error_code, *(one.error_code for one in found.partitions)}
            if codes == {ErrorCode.NONE}:
                return found
            if found.error_code in {
                ErrorCode.UNKNOWN_TOPIC_OR_PARTITION,
                ErrorCode.INVALID_TOPIC_EXCEPTION,
                ErrorCode.TOPIC_AUTHORIZATION_FAILED,
            }:
                raise UnknownTopic(
                    f"there is no topic {name!r} [{error_name(found.error_code)}]; "
                    "'pyproducer topics list' shows those there are",
                    topic=name,
                )
            if loop.time() > deadline:
                reasons = ", ".join(error_name(code) for code in sorted(codes - {0}))
                raise ConnectionFailed(f"topic {name!r} is not available: {reasons}")
            await asyncio.sleep(_PAUSE)

    async def _hangs_up(self, lost: BrokerConnection) -> bool:
        """True where a broker goes on ending connections at the first request, whatever it is.

        One that is going down ends a connection as well. It is not asked again what was asked:
        that may have been done.
        """
        for _ in range(_ASKED_AGAIN):
            try:
                connection = await self._open(lost.host, lost.port)
            except ConnectionFailed:
                return False
            try:
                await connection.request(MetadataRequest(topics=[]), timeout=self._timeout)
            except SaslExpected:
                continue
            except ConnectionFailed:
                return False
            finally:
                connection.close()
            return False
        return True

    def forget(self, node: int) -> None:
        """Drops the connection to a node; the next request opens another."""
        connection = self._nodes.pop(node, None)
        if connection is not None:
            connection.close()

    async def _reach(self, node: int) -> BrokerConnection:
        if node == ANY:
            return await self._reach_any()
        if node == CONTROLLER:
            await self.metadata([])
            node = self._controller
        connection = self._nodes.get(node)
        if connection is None or not connection.usable:
            if node not in self._addresses:
                await self.metadata([])
            if node not in self._addresses:
                raise ConnectionFailed(f"the cluster names no broker {node} at the moment")
            host, port = self._addresses[node]
            connection = await self._open(host, port)
            self._nodes[node] = connection
        return connection

    async def _reach_any(self) -> BrokerConnection:
        if self._any is not None and self._any.usable:
            return self._any
        tried: list[ConnectionFailed] = []
        for host, port in dict.fromkeys((*self._bootstrap, *self._addresses.values())):
            try:
                self._any = await self._open(host, port)
            except ConnectionFailed as error:
                tried.append(error)
            else:
                return self._any
        texts = "; ".join(map(str, tried))
        insecure = [error for error in tried if isinstance(error, TlsError)]
        if insecure:
            made = copy.copy(insecure[-1])
            made.args = (texts,)
            raise made from insecure[-1]
        raise ConnectionFailed(
            f"no broker can be reached ({texts}); check the address, and that a broker listens "
            "there for connections of this kind"
        )

    async def _open(self, host: str, port: int) -> BrokerConnection:
        return await BrokerConnection.open(
            host,
            port,
            self._client_id,
            min(_CONNECT_TIMEOUT, self._timeout),
            self._security,
        )
