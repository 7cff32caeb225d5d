"""The TLS handshake of one connection, and what the log says about it."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, Final

from pyproducer.broker.security.tls_alert import socket_of_handshake

if TYPE_CHECKING:
    from pyproducer.broker.context import ConnectionInfo
    from pyproducer.broker.security.tls import ListenerTls

__all__ = ["known_by_certificate", "log_failed_handshake", "shake_hands"]

log = logging.getLogger(__name__)

#: Seconds that a client has for its part of a handshake, and of the end of TLS.
LIMIT: Final = 10.0
_GOODBYE: Final = 5.0
#: What OpenSSL says of those who speak something else.
_HINTS: Final = {
    "WRONG_VERSION_NUMBER": "it does not speak TLS",
    "HTTP_REQUEST": "it speaks HTTP without TLS",
    "PEER_DID_NOT_RETURN_A_CERTIFICATE": "it has shown no certificate",
}


async def shake_hands(
    plain: asyncio.Transport, protocol: asyncio.BaseProtocol, tls: ListenerTls
) -> tuple[asyncio.Transport, bytes | None]:
    """What the protocol writes to from now on, and the certificate that the client has shown.

    The protocol may be given its first data before this returns.

    Raises:
        OSError: Both sides do not agree, the client has gone, or it takes too long.
    """
    socket_of_handshake.set(plain)
    found = await asyncio.get_running_loop().start_tls(
        plain,
        protocol,
        tls.context(),
        server_side=True,
        ssl_handshake_timeout=LIMIT,
        ssl_shutdown_timeout=_GOODBYE,
    )
    if found is None:
        raise ConnectionResetError("the client has gone")
    return found, found.get_extra_info("ssl_object").getpeercert(binary_form=True)


def known_by_certificate(info: ConnectionInfo, tls: ListenerTls, certificate: bytes | None) -> None:
    """The connection is its principal's, if it has shown a certificate.

    Raises:
        ValueError: Nobody who is let in has such a one.
    """
    if certificate is None:
        return
    principal = tls.principal(certificate)
    info.authenticated(principal)
    log.info(
        "connection %d of %s:%d at %s is %s by certificate",
        info.number,
        info.peer_host,
        info.peer_port,
        info.listener,
        principal,
    )


def log_failed_handshake(info: ConnectionInfo, error: Exception) -> None:
    """The log has a line about it, with OpenSSL's reason, which names no secrets."""
    reason = getattr(error, "reason", None) or str(error)
    log.info(
        "closing the connection of %s:%d at %s: TLS handshake failed: %s",
        info.peer_host,
        info.peer_port,
        info.listener,
        _HINTS.get(reason, reason),
    )
