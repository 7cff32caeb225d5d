"""The TLS handshake of one connection, and what the audit log says about it."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

from pyproducer.broker.security.tls_alert import socket_of_handshake

if TYPE_CHECKING:
    from pyproducer.broker.context import ConnectionInfo
    from pyproducer.broker.security.audit import Audit
    from pyproducer.broker.security.tls import ListenerTls

__all__ = ["known_by_certificate", "shake_hands", "tell_failed_handshake"]

#: Seconds that a client has for its part of a handshake, and of the end of TLS.
LIMIT: Final = 10.0
_GOODBYE: Final = 5.0
#: What stands in the audit log for a mechanism.
_MECHANISM: Final = "TLS"
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


def known_by_certificate(
    info: ConnectionInfo, tls: ListenerTls, certificate: bytes | None, audit: Audit
) -> None:
    """The connection is its principal's, if it has shown a certificate.

    Raises:
        ValueError: Nobody who is let in has such a one.
    """
    if certificate is None:
        return
    info.authenticated(tls.principal(certificate))
    audit.authenticated(info, _MECHANISM, again=False)


def tell_failed_handshake(info: ConnectionInfo, error: Exception, audit: Audit) -> None:
    """The audit log has a line about it, with OpenSSL's reason, which names no secrets."""
    reason = getattr(error, "reason", None) or str(error)
    audit.refused(info, _MECHANISM, "", f"TLS handshake failed: {_HINTS.get(reason, reason)}")
