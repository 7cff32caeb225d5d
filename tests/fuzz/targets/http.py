"""The broker's HTTP side: requests as bytes, by aiohttp's parser to its middleware and handlers.

The input is whether the stranger knows the token, how the bytes come in pieces, then the bytes.
"""

from __future__ import annotations

import asyncio
import atexit
import contextlib
from collections.abc import Iterator

from pyproducer.broker import Broker
from tests.fuzz.bites import Bites, pieces
from tests.fuzz.target import Target
from tests.fuzz.targets._pipes import PipeTransport
from tests.helpers.memory_disk import MemoryDisk

#: It is in no input: who does not know it cannot guess it.
_TOKEN = "eJ2Wn0pT7v_5rQkLx93z"
#: Stands for it in what comes from somebody who knows it.
_KNOWN = b"$TOKEN"
#: Seconds that the HTTP side waits for anything, and more.
_LONG = 20.0
#: Inputs after which another broker is begun: what they leave makes it slow, and time passes.
_LIFE = 2000
#: Turns of the loop in which a request is answered, but for those that let time pass.
_TURNS = 8
#: Those in which all of it ends, in the second half of them by waiting no longer.
_PATIENCE = 2000
_WITHOUT_TOKEN = {400, 401, 403, 413, 417}


class _Loop(asyncio.SelectorEventLoop):
    """One whose time passes by itself, and when it is told to.

    Attributes:
        ahead: Seconds that were added.
    """

    ahead = 0.0

    def time(self) -> float:
        return super().time() + self.ahead


class _Served:
    """A broker with an HTTP side, on a loop that turns when it is asked to."""

    def __init__(self) -> None:
        self.loop = _Loop()
        self.inputs = 0
        self.broker = Broker(
            {"orders": 2}, data_dir="/data", fs=MemoryDisk(), http_port=0, http_token=_TOKEN
        )
        self.loop.run_until_complete(self._start())

    async def _start(self) -> None:
        ready = asyncio.Event()
        self._serving = asyncio.ensure_future(
            self.broker.serve(on_ready=lambda broker: ready.set())
        )
        first, _ = await asyncio.wait(
            [self._serving, asyncio.ensure_future(ready.wait())],
            return_when=asyncio.FIRST_COMPLETED,
        )
        assert self._serving not in first, self._serving.exception()

    def close(self) -> None:
        self._serving.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            self.loop.run_until_complete(self._serving)
        self.loop.close()

    def ask(self, pieces: list[bytes]) -> bytes:
        """Everything that is answered to bytes that come in these pieces, then no more."""
        return self.loop.run_until_complete(self._ask(pieces))

    async def _ask(self, pieces: list[bytes]) -> bytes:
        running = self.broker._running
        assert running is not None
        assert running.http_guard is not None
        before = asyncio.all_tasks()
        protocol = running.http_guard()
        transport = PipeTransport(protocol)
        protocol.connection_made(transport)
        for piece in pieces:
            if transport.closed:
                break
            protocol.data_received(piece)
            await self._rest(transport)
        transport.close()
        for turn in range(_PATIENCE):
            if turn % _TURNS == _TURNS - 1 and not asyncio.all_tasks() - before:
                break
            if turn == _PATIENCE // 2:
                self.loop.ahead += _LONG
            await asyncio.sleep(0)
        # Nothing of the connection is left.
        assert not asyncio.all_tasks() - before
        assert not running.http_guard._connections
        return bytes(transport.written)

    async def _rest(self, transport: PipeTransport) -> None:
        size = -1
        while size != len(transport.written):
            size = len(transport.written)
            for _ in range(_TURNS):
                await asyncio.sleep(0)


_served: _Served | None = None


@atexit.register
def _end() -> None:
    if _served is not None:
        _served.close()


def run(data: bytes) -> None:
    """Whatever comes is answered, by less than 500; without the token by a refusal."""
    global _served
    if _served is None or _served.inputs >= _LIFE:
        if _served is not None:
            _served.close()
        _served = _Served()
    _served.inputs += 1
    bites = Bites(data)
    knows = bool(bites.byte() & 1)
    size = bites.byte()
    stream = bites.rest()
    if knows:
        stream = stream.replace(_KNOWN, _TOKEN.encode())
    try:
        for status in _statuses(_served.ask(pieces(stream, size))):
            assert status < 500
            assert knows or status in _WITHOUT_TOKEN
        _served.broker.faults.clear()
        _served.broker.journal.bodies = False
    except BaseException:
        # What broke it may be in it still.
        broken, _served = _served, None
        with contextlib.suppress(Exception):
            broken.close()
        raise


def _statuses(answers: bytes) -> Iterator[int]:
    """The status of each answer; all of them say how long they are."""
    while answers:
        head, separator, answers = answers.partition(b"\r\n\r\n")
        assert separator
        lines = head.split(b"\r\n")
        protocol, status, _ = lines[0].split(b" ", 2)
        assert protocol.startswith(b"HTTP/")
        if status == b"100":
            continue
        yield int(status)
        headers = {k.lower(): v for k, _, v in (line.partition(b": ") for line in lines[1:])}
        size = int(headers[b"content-length"])
        # That to a HEAD has no body, and no body begins like an answer.
        if not answers.startswith(b"HTTP/"):
            assert len(answers) >= size or not answers
            answers = answers[size:]


def _request(
    method: str, path: str, body: str = "", *, token: bytes = _KNOWN, more: str = ""
) -> bytes:
    head = f"{method} {path} HTTP/1.1\r\nHost: x\r\n{more}".encode()
    if token:
        head += b"Authorization: Bearer " + token + b"\r\n"
    if body:
        head += f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n".encode()
    return head + b"\r\n" + body.encode()


_BODIES = (
    ("/tick", '{"days": 8}'),
    ("/tick", '{"hours": 1e300, "seconds": NaN}'),
    ("/faults", '{"kind": "fail", "api": "Produce", "code": "NOT_LEADER_OR_FOLLOWER"}'),
    ("/faults", '{"kind": "fail", "api": 3, "code": 5, "topic": "orders", "partition": 0}'),
    ("/faults", '{"kind": "delay", "api": "Fetch", "seconds": 1.5, "times": 3}'),
    ("/faults", '{"kind": "cut", "after_bytes": 7}'),
    ("/faults", '{"kind": "throttle", "api": null, "ms": 100}'),
    ("/faults", '{"kind": "leaderless", "topic": "orders"}'),
    ("/faults", '{"kind": "forget_producers", "topic": "orders"}'),
    ("/faults", '{"kind": "refuse_unknown_producers", "times": null}'),
    ("/faults", '{"kind": "drop_response", "api": "\\ud800"}'),
    *(("/faults", f'{{"kind": "{kind}"}}') for kind in ("pause", "disk_full", "close_connections")),
    ("/faults", "[" * 300),
    ("/faults", "1" * 300),
)


def seeds() -> Iterator[bytes]:
    """Every path by every method, bodies that mean something, and what is between requests."""
    paths = ("/health", "/topics", "/metrics", "/state", "/journal", "/faults", "/faults/1", "/%00")
    for path in paths:
        for method in ("GET", "HEAD", "DELETE", "OPTIONS"):
            yield b"\x01\x00" + _request(method, path)
        yield b"\x00\x00" + _request("GET", path, token=b"")
    for path, body in _BODIES:
        yield b"\x01\x00" + _request("POST", path, body) + _request("GET", "/faults")
    yield b"\x01\x00" + _request("PUT", "/journal", '{"bodies": true}')
    yield b"\x01\x00" + _request(
        "GET", "/journal?api=Produce&version=1&connection=2&client_id=x&error=NONE&since=0&last=9"
    )
    yield b"\x00\x00" + _request("GET", "/state", token=b"t\xf6ken-\xff\x80")
    yield b"\x00\x00" + _request("GET", "/state", token=b"x", more="Authorization: Bearer y\r\n")
    yield b"\x01\x05" + _request("GET", "/state") * 2
    chunked = "Transfer-Encoding: chunked\r\nContent-Type: application/json\r\n"
    yield b"\x01\x00" + _request("POST", "/tick", more=chunked) + b'd\r\n{"seconds":1}\r\n0\r\n\r\n'
    yield b"\x01\x00" + _request("POST", "/tick", more="Expect: 100-continue\r\n" + chunked)
    yield b"\x01\x00" + _request("POST", "/tick", '{"days": 1}').replace(
        b"application/json", b"application/json; charset=idna"
    )
    packed = "Content-Encoding: deflate\r\n"
    yield b"\x01\x00" + _request("POST", "/tick", '{"days": 1}', more=packed)
    yield b"\x00\x00PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
    yield b"\x00\x00GET http://[::1/ HTTP/1.1\r\nHost: [::1\r\n\r\n"


TARGET = Target(run, seeds, max_len=700)
