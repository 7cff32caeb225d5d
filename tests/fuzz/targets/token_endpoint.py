"""A hostile authorization server: what a client makes of its answers.

The input is the status of an answer, then its body; or, of some, all bytes of an HTTP answer.
"""

from __future__ import annotations

import asyncio
import atexit
import base64
import json
import math
from collections.abc import Iterator
from functools import cache

from pyproducer.security import Token
from pyproducer.tokens import ClientCredentials, TokenRequestFailed
from tests.fuzz.bites import Bites
from tests.fuzz.target import Target

_SECRET = "the-secret-of-the-client"
_STATUSES = (200, 200, 200, 400, 401, 403, 404, 429, 500, 503, 302)


class _Server:
    """Answers every connection with the bytes that it has been given, on a loop of its own."""

    def __init__(self) -> None:
        self.loop = asyncio.new_event_loop()
        self.answer = b""
        self._server = self.loop.run_until_complete(
            asyncio.start_server(self._serve, "127.0.0.1", 0)
        )
        self.port = self._server.sockets[0].getsockname()[1]
        atexit.register(self._close)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(self.answer)
        writer.close()
        await writer.wait_closed()

    def _close(self) -> None:
        self._server.close()
        self.loop.run_until_complete(asyncio.sleep(0))
        self.loop.close()


@cache
def _server() -> _Server:
    return _Server()


@cache
def _client(port: int) -> ClientCredentials:
    return ClientCredentials(
        f"http://127.0.0.1:{port}/token", client_id="me", client_secret=_SECRET, timeout=5
    )


def run(data: bytes) -> None:
    """There is a token that can be used for some time, or an error without the secret in it."""
    bites = Bites(data)
    how = bites.byte()
    # Connections take long.
    whole = how == 0x7F
    try:
        if whole:
            server = _server()
            server.answer = bites.rest()
            found = server.loop.run_until_complete(_client(server.port)._ask(_SECRET))
        else:
            status = _STATUSES[how % len(_STATUSES)]
            found = _client(1)._answered(status, bites.rest(), _SECRET, 0.5)
    except TokenRequestFailed as error:
        for told in (str(error), error.error, error.description):
            assert _SECRET not in (told or "")
        assert str(error).encode()
        return
    assert isinstance(found, Token)
    assert found.value.isascii()
    assert found.lifetime is not None
    assert 0 < found.lifetime < math.inf


def _jwt(claims: object) -> str:
    parts = (b"{}", json.dumps(claims).encode(), b"x")
    return ".".join(base64.urlsafe_b64encode(one).rstrip(b"=").decode() for one in parts)


def seeds() -> Iterator[bytes]:
    """What servers say, and what says something else than it should."""
    good = {"access_token": "abc", "expires_in": 3600, "token_type": "Bearer"}
    bodies = [
        json.dumps(one).encode()
        for one in (
            good,
            {**good, "expires_in": "3600"},
            {**good, "expires_in": 10**400},
            {**good, "expires_in": -1},
            {**good, "access_token": "\u00e4"},
            {**good, "access_token": 5},
            {"access_token": _jwt({"exp": 4_000_000_000, "sub": "x"})},
            {"access_token": _jwt({"exp": 1e308, "sub": 5})},
            {"access_token": _jwt([[]])},
            {"error": "invalid_client", "error_description": "wrong: the-secret-of-the-client"},
            {"error": 5, "error_description": {"\ud800": "\ud800"}},
            {"error": "\ud800", "error_description": "\udfff"},
            [],
        )
    ]
    bodies += [b"[" * 300, b"", b"\xff\xfe", b'{"access_token": "' + b"a" * 300, b"NaN"]
    for body in bodies:
        yield b"\x00" + body
        yield b"\x04" + body
    head = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
    length = b"Content-Length: %d\r\n\r\n" % len(bodies[0])
    yield b"\x7f" + head + length + bodies[0]
    yield b"\x7f" + head + b"Content-Encoding: gzip\r\n" + length + bodies[0]
    yield b"\x7f" + head + b'Transfer-Encoding: chunked\r\n\r\n5\r\n{"acc\r\n0\r\n\r\n'
    yield b"\x7fHTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:1/\r\n\r\n"
    yield b"\x7fHTTP/1.1 200\r\nSet-Cookie: \xff=\xff\r\nContent-Length: 99999999999\r\n\r\n{}"
    yield b"\x7f\x16\x03\x01"


TARGET = Target(run, seeds, max_len=700)
