"""TLS in front of a broker that has none: ends it, and passes the bytes on."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from types import TracebackType
from typing import Final, Self

from pyproducer.loop_thread import LoopThread

#: Where the front listens, at the broker's own port: the broker advertises this address.
FRONT: Final = "127.0.0.2"


class TlsFront:
    """Listens at `FRONT`, for the ``with`` block.

    Attributes:
        accepted: handshakes that came to their end.

    Args:
        port: the broker's, on 127.0.0.1; its ``advertised_host`` has to be `FRONT`.
        context: what is shown to clients; see `show`.
    """

    def __init__(self, port: int, context: ssl.SSLContext) -> None:
        self.accepted = 0
        self._port = port
        self._context = context
        self._thread = LoopThread("tls-front")
        self._server: asyncio.Server | None = None
        self._writers: set[asyncio.StreamWriter] = set()

    @property
    def address(self) -> str:
        """``host:port`` for clients."""
        return f"{FRONT}:{self._port}"

    def show(self, context: ssl.SSLContext) -> None:
        """Another certificate from now on; the connections there are end."""
        self._context = context
        self._thread.call(self._restart)

    def cut(self) -> None:
        """End all connections."""
        self._thread.call(self._cut)

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

    async def _start(self) -> None:
        # Clients that do not like the certificate are what tests are about, and no news.
        asyncio.get_running_loop().set_exception_handler(lambda loop, context: None)
        self._server = await asyncio.start_server(
            self._serve, FRONT, self._port, ssl=self._context, ssl_shutdown_timeout=1
        )

    async def _restart(self) -> None:
        await self._stop()
        await self._start()

    async def _cut(self) -> None:
        for writer in self._writers:
            writer.transport.abort()

    async def _stop(self) -> None:
        assert self._server is not None
        self._server.close()
        await self._cut()
        await self._server.wait_closed()
        while self._writers:
            await asyncio.sleep(0.01)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.accepted += 1
        self._writers.add(writer)
        try:
            inner_reader, inner = await asyncio.open_connection("127.0.0.1", self._port)
            self._writers.add(inner)
            try:
                await asyncio.gather(_pass(reader, inner), _pass(inner_reader, writer))
            finally:
                self._writers.discard(inner)
                inner.close()
        except (OSError, asyncio.CancelledError):
            pass
        finally:
            self._writers.discard(writer)
            writer.close()


async def _pass(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(OSError):
        while data := await reader.read(64 * 1024):
            writer.write(data)
            await writer.drain()
    with contextlib.suppress(OSError, NotImplementedError):
        if writer.can_write_eof():
            writer.write_eof()
        else:
            writer.close()
