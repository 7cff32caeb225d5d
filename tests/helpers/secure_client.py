"""A wire client that speaks TLS and SASL, one step at a time."""

from __future__ import annotations

import socket
import ssl
import struct
from typing import Any

import scramp

from pyproducer.protocol.messages.sasl_authenticate import (
    SaslAuthenticateRequest,
    SaslAuthenticateResponse,
)
from pyproducer.protocol.messages.sasl_handshake import SaslHandshakeRequest, SaslHandshakeResponse
from tests.helpers.wire_client import PATIENCE, WireClient


def plain(name: str, password: str, acting_as: str = "") -> bytes:
    """A token of PLAIN."""
    return f"{acting_as}\0{name}\0{password}".encode()


class SecureClient(WireClient):
    """A blocking connection that says who it is.

    Args:
        bootstrap_servers: Where.
        tls: With TLS, what to trust and to show.
    """

    def __init__(self, bootstrap_servers: str, *, tls: ssl.SSLContext | None = None) -> None:
        super().__init__(bootstrap_servers)
        if tls is not None:
            try:
                self.socket = tls.wrap_socket(self.socket, server_hostname="localhost")
            except OSError:
                self.socket.close()
                raise

    def is_silent(self) -> bool:
        """Whether nothing has come that was not read; does not wait."""
        self.socket.setblocking(False)
        try:
            self.socket.recv(1, socket.MSG_PEEK)
            return False
        except BlockingIOError:
            return True
        finally:
            self.socket.settimeout(PATIENCE)

    def handshake(self, mechanism: str, version: int = 1) -> SaslHandshakeResponse:
        """Ask for a mechanism."""
        answer: SaslHandshakeResponse = self.ask(SaslHandshakeRequest(mechanism=mechanism), version)
        return answer

    def token(self, token: bytes, version: int = 2) -> SaslAuthenticateResponse:
        """Send a token in SaslAuthenticate."""
        answer: SaslAuthenticateResponse = self.ask(
            SaslAuthenticateRequest(auth_bytes=token), version
        )
        return answer

    def bare_token(self, token: bytes) -> bytes:
        """Send a token with its size and nothing else, as after a handshake of version 0."""
        self.socket.sendall(struct.pack(">i", len(token)) + token)
        return self.receive_frame()

    def plain(self, name: str, password: str, acting_as: str = "") -> SaslAuthenticateResponse:
        """Handshake and token of PLAIN."""
        assert self.handshake("PLAIN").error_code == 0
        return self.token(plain(name, password, acting_as))

    def scram(self, mechanism: str, name: str, password: str) -> SaslAuthenticateResponse:
        """All of SCRAM; the broker's proof is checked. Ends with the first refusal."""
        assert self.handshake(mechanism).error_code == 0
        return self.scram_tokens(mechanism, name, password)

    def scram_tokens(self, mechanism: str, name: str, password: str) -> SaslAuthenticateResponse:
        """As `scram`, behind the handshake."""
        client: Any = scramp.ScramClient([mechanism], name, password)
        first = self.token(client.get_client_first().encode())
        if first.error_code:
            return first
        client.set_server_first(first.auth_bytes.decode())
        final = self.token(client.get_client_final().encode())
        if not final.error_code:
            client.set_server_final(final.auth_bytes.decode())
        return final
