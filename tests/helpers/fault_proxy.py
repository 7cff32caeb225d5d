"""A TCP proxy that harms connections on command, for brokers that have no faults of their own.

    with FaultProxy("127.0.0.1:9092") as proxy:
        client = AnyKafkaClient(proxy.address)
        proxy.hold("down")          # answers are read from the broker and go no further
        proxy.heal()

A Kafka client goes to the addresses that brokers advertise, so a broker behind a proxy has to
advertise the proxy's. "up" is from the client to the broker, "down" is the way back.

Run ``python -m tests.helpers.fault_proxy TARGET [PORT]`` to have one by hand; it obeys one command a
line on standard input: ``hold up``, ``delay 0.1``, ``rate 100000``, ``cut 500 down``, ``refuse``,
``reset``, ``close``, ``heal``.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import struct
import sys
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Final, Self

from pyproducer.loop_thread import LoopThread
from tests.helpers.request_trap import Watch

DIRECTIONS: Final = ("up", "down")
_CHUNK: Final = 64 * 1024
#: SO_LINGER with no time: closing sends RST and drops what was not sent.
_RESET: Final = struct.pack("ii", 1, 0)


@dataclass
class _Way:
    """What happens to bytes that go one way, on every connection.

    Attributes:
        delay: seconds that each chunk is late.
        rate: bytes a second; 0 is no limit.
        left: bytes that still pass before the connections are cut; None is all.
        flows: set while bytes pass.
    """

    delay: float = 0.0
    rate: int = 0
    left: int | None = None
    flows: asyncio.Event = field(default_factory=asyncio.Event)


class FaultProxy:
    """Passes connections on to one address, for the ``with`` block.

    Every method returns when it holds for all connections, old and new. Faults add up until `heal`.

    Attributes:
        target: as below.
        watch: looks at every request and answer of the connections that begin from now on.

    Args:
        target: ``host:port`` to connect to; may be set later, when the broker's port is known.
        port: where to listen on 127.0.0.1; 0 lets the system pick.
    """

    def __init__(self, target: str = "", *, port: int = 0) -> None:
        self.target = target
        self.watch: Watch | None = None
        self._port = port
        self._thread = LoopThread("fault-proxy")
        self._dialing: set[asyncio.Future[Any]] = set()
        self._listener: asyncio.Server | None = None
        self._open: set[_Pair] = set()
        self._refusing = False
        self._ways: dict[str, _Way] = {}
        self._accepted = 0

    @property
    def address(self) -> str:
        """``host:port`` for clients."""
        return f"127.0.0.1:{self.port}"

    @property
    def port(self) -> int:
        """The port that it listens at."""
        return self._port

    @property
    def accepted(self) -> int:
        """How many connections it has taken so far."""
        return self._accepted

    @property
    def connections(self) -> int:
        """How many are open."""
        return len(self._open)

    def __enter__(self) -> Self:
        self._thread.start()
        self._thread.call(self._start)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._thread.call(self._stop)
        self._thread.stop(10)

    def hold(self, direction: str = "both") -> None:
        """Nothing arrives any more, and nobody is told: a black hole. It is kept for `heal`."""
        self._each(direction, lambda way: way.flows.clear())

    def delay(self, seconds: float, direction: str = "both") -> None:
        """Bytes arrive so much later."""
        self._each(direction, lambda way: setattr(way, "delay", seconds))

    def rate(self, bytes_per_second: int, direction: str = "both") -> None:
        """No more than so many bytes a second arrive, on each connection."""
        self._each(direction, lambda way: setattr(way, "rate", bytes_per_second))

    def cut(self, after_bytes: int, direction: str = "down") -> None:
        """So many bytes more arrive, on all connections together; then the next is cut off there.

        Strikes once: the connections that follow are whole.
        """
        self._each(direction, lambda way: setattr(way, "left", after_bytes))

    def refuse(self) -> None:
        """New connections are reset at once; the old ones stay."""
        self._do(lambda: setattr(self, "_refusing", True))

    def reset(self) -> int:
        """Every connection is reset, on both sides; returns how many there were."""
        return self._do(lambda: self._end_all(reset=True))

    def close(self) -> int:
        """Every connection is closed in good order, on both sides; returns how many there were."""
        return self._do(lambda: self._end_all(reset=False))

    def heal(self) -> None:
        """What was held arrives, and everything passes as if nothing had been."""

        def heal() -> None:
            self._refusing = False
            for way in self._ways.values():
                way.delay, way.rate, way.left = 0.0, 0, None
                way.flows.set()

        self._do(heal)

    def _each(self, direction: str, change) -> None:
        names = DIRECTIONS if direction == "both" else (direction,)
        ways = [self._ways[name] for name in names]
        self._do(lambda: [change(way) for way in ways])

    def _do(self, action):
        async def do():
            return action()

        return self._thread.call(do)

    def _end_all(self, *, reset: bool) -> int:
        pairs = list(self._open)
        for pair in pairs:
            pair.end(reset=reset)
        return len(pairs)

    async def _start(self) -> None:
        self._ways = {name: _Way() for name in DIRECTIONS}
        for way in self._ways.values():
            way.flows.set()
        self._listener = await asyncio.start_server(self._accept, "127.0.0.1", self._port)
        self._port = self._listener.sockets[0].getsockname()[1]

    async def _stop(self) -> None:
        assert self._listener is not None
        self._listener.close()
        for dialing in self._dialing:
            # What was accepted has nobody yet to end it.
            dialing.cancel()
        pairs = list(self._open)
        self._end_all(reset=True)
        for pair in pairs:
            await pair.ended()
        await self._listener.wait_closed()
        # A transport is closed in the turn after its end.
        await asyncio.sleep(0)
        await asyncio.sleep(0)

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._accepted += 1
        if self._refusing:
            _linger(writer)
            writer.transport.abort()
            return
        host, _, port = self.target.rpartition(":")
        dialing = asyncio.ensure_future(asyncio.open_connection(host, int(port)))
        self._dialing.add(dialing)
        try:
            far_reader, far_writer = await dialing
        except (OSError, asyncio.CancelledError):
            # The client learns what it would have learnt without us, only a little later.
            _linger(writer)
            writer.transport.abort()
            return
        finally:
            self._dialing.discard(dialing)
        pair = _Pair(writer, far_writer)
        self._open.add(pair)
        try:
            if self.watch is None:
                up, down = _chunks(reader), _chunks(far_reader)
            else:
                up, down = self.watch.sides(reader, far_reader, lambda: pair.end(reset=True))
            await pair.run(
                _pump(up, far_writer, self._ways["up"], pair),
                _pump(down, writer, self._ways["down"], pair),
            )
        finally:
            self._open.discard(pair)


class _Pair:
    """A client's connection and ours to the broker, which live and die together."""

    def __init__(self, near: asyncio.StreamWriter, far: asyncio.StreamWriter) -> None:
        self._sides = (near, far)
        self._pumps: list[asyncio.Task[None]] = []
        self._over = asyncio.Event()

    async def run(self, *pumps) -> None:
        """Returns when both directions have ended, or one was broken off."""
        self._pumps = [asyncio.ensure_future(pump) for pump in pumps]
        try:
            await asyncio.wait(self._pumps)
        finally:
            for pump in self._pumps:
                pump.cancel()
            await asyncio.gather(*self._pumps, return_exceptions=True)
            for side in self._sides:
                side.close()
                with contextlib.suppress(OSError):
                    await side.wait_closed()
            self._over.set()

    def end(self, *, reset: bool) -> None:
        """Both connections end now."""
        for pump in self._pumps:
            pump.cancel()
        for side in self._sides:
            if reset:
                _linger(side)
                side.transport.abort()

    async def ended(self) -> None:
        """Returns when nothing is left of it."""
        await self._over.wait()


async def _chunks(reader: asyncio.StreamReader) -> AsyncIterator[bytes]:
    while data := await reader.read(_CHUNK):
        yield data


async def _pump(
    source: AsyncIterator[bytes], writer: asyncio.StreamWriter, way: _Way, pair: _Pair
) -> None:
    with contextlib.suppress(ConnectionError):
        async for data in source:
            if way.delay:
                await asyncio.sleep(way.delay)
            await way.flows.wait()
            if way.left is not None and len(data) > way.left:
                data, way.left = data[: way.left], None
                writer.write(data)
                pair.end(reset=False)
                return
            if way.left is not None:
                way.left -= len(data)
            writer.write(data)
            await writer.drain()
            if way.rate:
                await asyncio.sleep(len(data) / way.rate)
        # One side has said all it has to say; the other may still speak.
        writer.write_eof()


def _linger(writer: asyncio.StreamWriter) -> None:
    # A pair that is just ending may have closed this side already.
    with contextlib.suppress(OSError):
        writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)


def _main() -> None:
    target, *rest = sys.argv[1:]
    with FaultProxy(target, port=int(rest[0]) if rest else 0) as proxy:
        print(proxy.address, flush=True)
        for line in sys.stdin:
            command, *words = line.split()
            try:
                arguments = [
                    word if word.isalpha() else float(word) if "." in word else int(word)
                    for word in words
                ]
                getattr(proxy, command)(*arguments)
            except (AttributeError, KeyError, TypeError, ValueError) as error:
                print(f"error {error!r}", flush=True)
            else:
                print("ok", flush=True)


if __name__ == "__main__":
    _main()
