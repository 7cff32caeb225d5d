"""What stands between the HTTP side and strangers: limits of each connection, a token, names.

A connection has so many seconds for each request to arrive, from its first byte to the last of its
body, and so many to read what it is sent; aiohttp itself would wait for ever. There are so many
connections and no more, and headers and bodies have a size.

Without a token the HTTP side is of this machine alone, but a browser on it may be made to ask:
some site's name can be told to be 127.0.0.1 once its page is loaded (DNS rebinding), and the page
may then read what is answered. What gives it away is the name, which the browser sends as `Host`:
it has to be one of this machine's own. With a token the name does not matter, since such a page
does not have the token.
"""

from __future__ import annotations

import asyncio
import hmac
import json
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Final, cast

from pyproducer.broker.http_settings import is_loopback

if TYPE_CHECKING:
    from aiohttp import web
    from aiohttp.typedefs import Middleware

    Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
    AnyHandler = Callable[[web.BaseRequest], Awaitable[web.StreamResponse]]

__all__ = ["BODY_SIZE", "HEADER_SIZE", "Guard", "admitted", "complete"]

#: Bytes of a body, and of the request line or one header.
BODY_SIZE: Final = 1 << 16
HEADER_SIZE: Final = 8190
#: Connections at once; one more is closed.
CONNECTIONS: Final = 64
#: Seconds in which a request arrives, and in which a client reads on.
_PATIENCE: Final = 10.0

#: Of every answer: nobody keeps it, or takes it for something else.
_HEADERS: Final = {
    "Cache-Control": "no-store",
    "Server": "pyproducer",
    "X-Content-Type-Options": "nosniff",
}


class Guard:
    """Makes the protocols of connections, behind limits.

    Args:
        make: Makes aiohttp's own.
        patience: Seconds.
        most: Connections at once.
    """

    def __init__(
        self,
        make: Callable[[], asyncio.Protocol],
        *,
        patience: float = _PATIENCE,
        most: int = CONNECTIONS,
    ) -> None:
        self._make = make
        self.patience = patience
        self.most = most
        self._connections: dict[asyncio.BaseTransport, _Guarded] = {}

    def __call__(self) -> asyncio.Protocol:
        """The protocol of the next connection."""
        return _Guarded(self, self._make)

    def arrived(self, request: web.Request) -> None:
        """All of the request is there: how long the answer takes is no matter of the client's."""
        transport = request.transport
        if transport is not None and transport in self._connections:
            self._connections[transport].rest()

    def enter(self, transport: asyncio.BaseTransport, connection: _Guarded) -> bool:
        """Whether there is room for one more connection, which then is counted."""
        if len(self._connections) >= self.most:
            return False
        self._connections[transport] = connection
        return True

    def leave(self, transport: asyncio.BaseTransport) -> None:
        """A connection is gone."""
        self._connections.pop(transport, None)


class _Guarded(asyncio.Protocol):
    """One connection: hands everything on to aiohttp, and ends it when it takes too long."""

    def __init__(self, guard: Guard, make: Callable[[], asyncio.Protocol]) -> None:
        self._guard = guard
        self._make = make
        self._inner: asyncio.Protocol | None = None
        self._transport: asyncio.Transport | None = None
        self._alarm: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        transport = self._transport = cast("asyncio.Transport", transport)
        if not self._guard.enter(transport, self):
            transport.abort()
            return
        self._inner = self._make()
        self._inner.connection_made(transport)
        self._wait()

    def data_received(self, data: bytes) -> None:
        if self._inner is None:
            return
        if self._alarm is None:
            self._wait()
        self._inner.data_received(data)

    def eof_received(self) -> bool | None:
        return None if self._inner is None else self._inner.eof_received()

    def pause_writing(self) -> None:
        self._wait()
        if self._inner is not None:
            self._inner.pause_writing()

    def resume_writing(self) -> None:
        self.rest()
        if self._inner is not None:
            self._inner.resume_writing()

    def connection_lost(self, exc: Exception | None) -> None:
        self.rest()
        if self._transport is not None:
            self._guard.leave(self._transport)
        if self._inner is not None:
            self._inner.connection_lost(exc)

    def rest(self) -> None:
        """Nothing is waited for."""
        if self._alarm is not None:
            self._alarm.cancel()
            self._alarm = None

    def _wait(self) -> None:
        self.rest()
        loop = asyncio.get_running_loop()
        self._alarm = loop.call_later(self._guard.patience, self._end)

    def _end(self) -> None:
        self._alarm = None
        if self._transport is not None:
            self._transport.abort()


def admitted(
    token: str | None, handle: AnyHandler, refused: Callable[[web.BaseRequest, str], None]
) -> AnyHandler:
    """What stands before all that aiohttp does with a request: asks for the token, or the name.

    Args:
        token: What a request has to bring; None is none.
        handle: Answers those that are let in.
        refused: Told of one that is not, and what was wrong with it.
    """
    wanted = None if token is None else f"Bearer {token}".encode()

    async def check(request: web.BaseRequest) -> web.StreamResponse:
        refusal = _refusal(request, wanted)
        if refusal is not None:
            refused(request, "no token, or a wrong one" if wanted else "another name as Host")
        else:
            refusal = _unexpected(request)
        if refusal is None:
            return await handle(request)
        refusal.headers.update(_HEADERS)
        # Its body is not waited for.
        refusal.force_close()
        return refusal

    return check


def complete(arrived: Callable[[web.Request], None]) -> Middleware:
    """A middleware of aiohttp: takes the body in before the handler is called.

    Args:
        arrived: Told when all of a request is there.
    """
    from aiohttp import web

    @web.middleware
    async def take(request: web.Request, handler: Handler) -> web.StreamResponse:
        try:
            await request.read()
            arrived(request)
            response = await handler(request)
        except web.HTTPException as error:
            response = _as_json(error)
        response.headers.update(_HEADERS)
        return response

    return take


def _unexpected(request: web.BaseRequest) -> web.Response | None:
    """A refusal of what a client expects, if that is not to be told that its body may come.

    aiohttp's own repeats it, which fails where it is no text.
    """
    from aiohttp import web

    if request.headers.get("Expect", "100-continue").lower() == "100-continue":
        return None
    return web.json_response({"error": "Expect: 100-continue is all that is known"}, status=417)


def _refusal(request: web.BaseRequest, wanted: bytes | None) -> web.Response | None:
    from aiohttp import web

    if wanted is not None:
        given = request.headers.getall("Authorization", [])
        # Bytes that are no UTF-8 come as aiohttp reads them.
        if len(given) == 1 and hmac.compare_digest(
            given[0].encode("utf-8", "surrogateescape"), wanted
        ):
            return None
        return web.json_response(
            {"error": "give the token of the broker's HTTP side: Authorization: Bearer TOKEN"},
            status=401,
            headers={"WWW-Authenticate": "Bearer"},
        )
    if is_loopback(_name(request.headers.get("Host", ""))):
        return None
    return web.json_response(
        {
            "error": "without a token this is for this machine alone: ask for localhost or its "
            "address, or start the broker with http_token"
        },
        status=403,
    )


def _name(host: str) -> str:
    """The name in a Host header, without the port."""
    if host.startswith("["):
        return host[1:].partition("]")[0]
    return host.partition(":")[0]


def _as_json(error: web.HTTPException) -> web.Response:
    """What aiohttp says in text, as all else is said; what was said in JSON stays."""
    from aiohttp import web

    text = error.text or ""
    if error.content_type != "application/json":
        text = json.dumps({"error": error.reason})
    headers = {name: error.headers[name] for name in ("Allow",) if name in error.headers}
    response = web.Response(
        text=text, status=error.status, content_type="application/json", headers=headers
    )
    if error.status == web.HTTPRequestEntityTooLarge.status_code:
        response.force_close()
    return response
