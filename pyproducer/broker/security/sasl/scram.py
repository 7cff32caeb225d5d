"""SCRAM-SHA-256 and SCRAM-SHA-512 (RFC 5802, RFC 7677): both sides prove that they know it.

A user who is not there goes the whole way with a credential that no password fits, so that neither
answers nor their number tell who is there.
"""

from __future__ import annotations

from collections.abc import Callable

import scramp

from pyproducer.broker.security.sasl.exchange import Authenticated, AuthenticationFailed
from pyproducer.broker.security.scram_credential import ScramCredential

__all__ = ["ScramExchange"]


class ScramExchange:
    """Two tokens: the client's name and nonce, then its proof.

    Args:
        mechanism: Which of the two.
        credential: Gives what is kept of a user's password, or what looks like it.
    """

    def __init__(self, mechanism: str, credential: Callable[[str], ScramCredential]) -> None:
        self._mechanism = mechanism
        self._credential = credential
        self._name = ""
        self._first = True
        self._server = scramp.ScramMechanism(mechanism).make_server(self._find)
        self.outcome: Authenticated | None = None

    async def respond(self, token: bytes) -> bytes:
        """The salt and a nonce, then the proof that the broker knows the user."""
        try:
            text = token.decode("utf-8")
            if self._first:
                self._first = False
                self._server.set_client_first(text)
                return str(self._server.get_server_first()).encode()
            self._server.set_client_final(text)
            answer = str(self._server.get_server_final()).encode()
        except (scramp.ScramException, UnicodeDecodeError) as error:
            raise AuthenticationFailed(
                f"Authentication failed: invalid credentials with SASL mechanism {self._mechanism}",
                "the proof is wrong" if self._name else "it named no user",
                name=self._name,
            ) from error
        self.outcome = Authenticated(self._name)
        return answer

    def _find(self, name: str) -> ScramCredential:
        self._name = name
        return self._credential(name)
