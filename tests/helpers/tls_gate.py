"""A server that ends TLS handshakes as OpenSSL does, alerts and all, and serves nothing behind them.

asyncio's servers drop a connection whose handshake fails without telling why.
"""

from __future__ import annotations

import contextlib
import socket
import ssl
import threading
from types import TracebackType
from typing import Self


class TlsGate:
    """Listens on 127.0.0.1, for the ``with`` block."""

    def __init__(self, context: ssl.SSLContext) -> None:
        self._context = context
        self._socket = socket.create_server(("127.0.0.1", 0))
        self._thread = threading.Thread(target=self._serve)

    @property
    def address(self) -> str:
        """``host:port`` for clients."""
        return f"127.0.0.1:{self._socket.getsockname()[1]}"

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        # Closing alone would leave accept() waiting.
        self._socket.shutdown(socket.SHUT_RDWR)
        self._thread.join()
        self._socket.close()

    def _serve(self) -> None:
        while True:
            try:
                made, _ = self._socket.accept()
            except OSError:
                return
            with contextlib.suppress(OSError), made:
                made.settimeout(10)
                with self._context.wrap_socket(made, server_side=True) as tls:
                    # With TLS 1.3 the client's certificate is looked at behind the handshake.
                    tls.recv(1)
