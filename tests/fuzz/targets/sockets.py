"""A stranger's connection to a real broker, over loopback, at a listener that demands SASL.

The input is what the stranger begins with, whether the rest is in frames, the pieces in which it
comes, and then its bytes.
"""

from __future__ import annotations

import asyncio
import atexit
import contextlib
import os
import secrets
import socket
import struct
from collections.abc import Iterator
from typing import Any
from unittest.mock import patch

from pyproducer.broker import Broker
from pyproducer.broker import running as running_broker
from pyproducer.broker.handlers.route import Route
from pyproducer.broker.handlers.table import ROUTES
from pyproducer.protocol.api import API, ApiKey
from pyproducer.protocol.frame import encode_request
from pyproducer.protocol.messages.api_versions import ApiVersionsRequest
from pyproducer.protocol.messages.metadata import MetadataRequest
from pyproducer.protocol.messages.sasl_authenticate import SaslAuthenticateRequest
from pyproducer.protocol.messages.sasl_handshake import SaslHandshakeRequest
from pyproducer.protocol.schema import Message
from tests.fuzz.bites import Bites, pieces
from tests.fuzz.target import Target
from tests.helpers.memory_disk import MemoryDisk

_SPOKEN = {ApiKey.API_VERSIONS, ApiKey.SASL_HANDSHAKE, ApiKey.SASL_AUTHENTICATE}
_MECHANISMS = ("SCRAM-SHA-256", "SCRAM-SHA-512", "PLAIN", "OAUTHBEARER", "GSSAPI")
#: Inputs of which one has the open files counted.
_LOOK = 50
#: Seconds in which a connection whose stranger has said all has to end.
_PATIENCE = 10.0
#: Ports of an ended connection rest for a minute; each address of this machine has its own.
_ADDRESSES = 200


class _Listening:
    """A broker whose users nobody knows, on a loop that turns while a stranger is there."""

    def __init__(self) -> None:
        self.loop = asyncio.new_event_loop()
        self.inputs = 0
        #: APIs whose handlers were called.
        self.handled: set[int] = set()
        self._broker = Broker(
            {"orders": 1},
            data_dir="/data",
            fs=MemoryDisk(),
            security="SASL_PLAINTEXT",
            users={"alice": secrets.token_urlsafe()},
            config={
                "connection.failed.authentication.delay.ms": "0",
                "sasl.enabled.mechanisms": "PLAIN,SCRAM-SHA-256,SCRAM-SHA-512",
            },
        )
        with patch.object(running_broker, "ROUTES", tuple(map(self._noted, ROUTES))):
            self.loop.run_until_complete(self._start())
        self.port = self._broker.port

    def _noted(self, route: Route) -> Route:
        async def handle(*arguments: Any) -> Any:
            self.handled.add(route.api_key)
            return await route.handle(*arguments)

        return route._replace(handle=handle)

    async def _start(self) -> None:
        ready = asyncio.Event()
        self._serving = asyncio.ensure_future(
            self._broker.serve(on_ready=lambda broker: ready.set())
        )
        waiting = asyncio.ensure_future(ready.wait())
        await asyncio.wait([self._serving, waiting], return_when=asyncio.FIRST_COMPLETED)
        assert ready.is_set(), self._serving.exception()

    def close(self) -> None:
        self._serving.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            self.loop.run_until_complete(self._serving)
        self.loop.close()

    def visit(self, pieces: list[bytes]) -> bytes:
        """What a connection is answered that says this and then no more, until its end."""
        self.inputs += 1
        return self.loop.run_until_complete(self._visit(pieces))

    async def _visit(self, pieces: list[bytes]) -> bytes:
        tasks = asyncio.all_tasks()
        files = _open_files() if self.inputs % _LOOK == 0 else None
        with socket.socket() as sock:
            sock.bind((f"127.0.1.{1 + self.inputs % _ADDRESSES}", 0))
            sock.connect(("127.0.0.1", self.port))
            sock.setblocking(False)
            found = b""
            with contextlib.suppress(ConnectionError):
                for piece in pieces:
                    sock.send(piece)
                    if len(pieces) > 1:
                        await asyncio.sleep(0)
                with contextlib.suppress(OSError):
                    sock.shutdown(socket.SHUT_WR)
                async with asyncio.timeout(_PATIENCE):
                    while data := await self.loop.sock_recv(sock, 1 << 16):
                        found += data
        for _ in range(4):
            await asyncio.sleep(0)
        assert files is None or _open_files() <= files
        self._check()
        if left := asyncio.all_tasks() - tasks:
            # The broker's own housekeeping begins a task now and then, and ends it.
            _, left = await asyncio.wait(left, timeout=_PATIENCE)
            assert not left, left
        return found

    def _check(self) -> None:
        running = self._broker._running
        assert running is not None
        metrics = running.node.metrics
        assert self.handled <= _SPOKEN
        assert set(metrics.requests) <= _SPOKEN
        assert metrics.authentications == 0
        assert metrics.connections_open == 0


def _open_files() -> int:
    return sum(1 for _ in os.scandir("/dev/fd"))


_listening: _Listening | None = None


@atexit.register
def _end() -> None:
    if _listening is not None:
        _listening.close()


def run(data: bytes) -> None:
    """The connection is answered in whole frames and ends, and no handler but SASL's is reached."""
    global _listening
    if _listening is None:
        _listening = _Listening()
    bites = Bites(data)
    stream = _begin(bites.byte())
    framed = bool(bites.byte() & 1)
    size = bites.byte()
    if framed:
        while bites:
            frame = bites.take(min(bites.number(2, signed=False), len(data)))
            stream += struct.pack(">i", len(frame)) + frame
    else:
        stream += bites.rest()
    try:
        found = _listening.visit(pieces(stream, size))
        while found:
            (length,) = struct.unpack_from(">i", found)
            assert 0 <= length <= len(found) - 4
            found = found[4 + length :]
    except BaseException:
        # What broke it may be in it still.
        broken, _listening = _listening, None
        with contextlib.suppress(Exception):
            broken.close()
        raise


def _frame(message: Message, version: int) -> bytes:
    return b"".join(encode_request(message, version, 7, "c"))


def _begin(choice: int) -> bytes:
    """What a client says before it proves anything, as much of it as is chosen."""
    hello = ApiVersionsRequest(client_software_name="x", client_software_version="1")
    begin = _frame(hello, choice >> 1 & 3) if choice & 1 else b""
    if choice & 8:
        mechanism = _MECHANISMS[(choice >> 5) % len(_MECHANISMS)]
        begin += _frame(SaslHandshakeRequest(mechanism=mechanism), choice >> 4 & 1)
    return begin


def seeds() -> Iterator[bytes]:
    """Ways in up to the proof, requests that come too early, and what is no Kafka."""
    for choice in range(0, 256, 3):
        yield bytes((choice, 0, 0))
    first = b"n,,n=alice,r=abcdefghijklmnopqrst"
    wrapped = _frame(SaslAuthenticateRequest(auth_bytes=first), 2)
    for choice in (0x19, 0x38, 0x1F):
        yield bytes((choice, 0, 0)) + wrapped
        yield bytes((choice, 0, 3)) + wrapped + wrapped
        yield bytes((choice, 0, 0)) + _frame(MetadataRequest(topics=None), 9)
    yield bytes((0x08, 1, 0)) + struct.pack(">H", len(first)) + first + b"\x00\x01x"
    yield bytes((0x48, 1, 0)) + b"\x00\x0a\0alice\0pwd"
    for api in API.values():
        head = struct.pack(">hhih", api.key, api.max_version, 7, -1) + bytes(20)
        yield bytes((0x07, 1, 0)) + struct.pack(">H", len(head)) + head
    yield b"\x00\x00\x00GET / HTTP/1.1\r\n\r\n"
    yield b"\x00\x00\x00\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"
    yield b"\x00\x00\x00\x7f\xff\xff\xff\x00"
    yield b"\x07\x00\x00\x00\x00\x00\x00\xff\xff\xff\xff"


TARGET = Target(run, seeds, max_len=400)
