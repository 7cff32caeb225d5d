"""What a client is told whose TLS handshake fails.

OpenSSL has an alert ready when it refuses a client, and asyncio drops it with the connection. So
the client would only see an end, and could not tell a certificate that is missing from a broker
that is gone. Kafka sends the alert.
"""

from __future__ import annotations

import ssl
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    import asyncio

__all__ = ["AlertingSSLObject", "socket_of_handshake"]

#: Where the client is whose handshake begins in this context.
socket_of_handshake: ContextVar[asyncio.Transport] = ContextVar("socket_of_handshake")

#: Fatal: protocol version (RFC 8446, section 6). For those who do not speak TLS at all OpenSSL has
#: none, and a client of Kafka's protocol knows by it what stands here.
_NO_TLS: Final = b"\x15\x03\x03\x00\x02\x02\x46"
_NOT_YET: Final = (ssl.SSLWantReadError, ssl.SSLWantWriteError)


class AlertingSSLObject(ssl.SSLObject):
    """The server's side of one connection; it writes OpenSSL's last words before it fails."""

    _outgoing: ssl.MemoryBIO
    _socket: asyncio.Transport | None

    @classmethod
    def _create(cls, incoming: ssl.MemoryBIO, outgoing: ssl.MemoryBIO, **settings: Any) -> Any:
        made = super()._create(incoming, outgoing, **settings)  # type: ignore[misc]
        made._outgoing = outgoing
        made._socket = socket_of_handshake.get(None)
        return made

    def do_handshake(self) -> None:
        """As the base has it, and the client hears of a failure."""
        try:
            super().do_handshake()
        except _NOT_YET:
            raise
        except ssl.SSLError:
            if self._socket is not None and not self._socket.is_closing():
                self._socket.write(self._outgoing.read() or _NO_TLS)
            raise
