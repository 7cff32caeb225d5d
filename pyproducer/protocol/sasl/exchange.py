"""SaslHandshake and SaslAuthenticate around the messages of a mechanism (KIP-43, KIP-152, KIP-368).

The handshake names the mechanism; then each SaslAuthenticate carries one message there and one
back, until the mechanism is done. The last answer tells how long the session is good for. The
same exchange authenticates anew on a connection that is in use.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Final

from pyproducer.errors import (
    AuthenticationError,
    CredentialsRefused,
    InvalidToken,
    MechanismNotOffered,
    ProducerError,
    UnsupportedVersion,
)
from pyproducer.protocol.api import API, ApiKey, negotiate
from pyproducer.protocol.error_codes import ErrorCode, error_name
from pyproducer.protocol.messages.sasl_authenticate import (
    SaslAuthenticateRequest,
    SaslAuthenticateResponse,
)
from pyproducer.protocol.messages.sasl_handshake import SaslHandshakeRequest, SaslHandshakeResponse
from pyproducer.protocol.sasl.mechanism import Mechanism
from pyproducer.protocol.schema import Message

__all__ = ["SaslExchange"]

#: Of SaslHandshake: version 0 would send the mechanism's messages without a request around them.
_FRAMED: Final = 1


class SaslExchange:
    """One authentication; knows nothing of frames.

    Whoever drives it sends :meth:`request` whenever it has one, gives it the answers, and runs
    :attr:`step` wherever that may take its time.

    Attributes:
        step: what has to be run next, whose result goes to :meth:`stepped`; None for nothing.
        done: True once the broker has accepted us, and the mechanism the broker.
        session_lifetime: seconds until we have to prove ourselves anew; 0 for never.
    """

    def __init__(self, mechanism: Mechanism, served: Mapping[int, tuple[int, int]]) -> None:
        """Begins an exchange.

        Args:
            mechanism: new, for this exchange alone.
            served: first and last version of each API that the broker knows.

        Raises:
            UnsupportedVersion: the broker does not carry authentication in requests.
        """
        self._mechanism = mechanism
        self._version = _common(ApiKey.SASL_AUTHENTICATE, served)
        if _common(ApiKey.SASL_HANDSHAKE, served) < _FRAMED or self._version < 0:
            raise UnsupportedVersion(
                "the broker does not serve SaslAuthenticate, which Kafka has since 1.0"
            )
        self._next: tuple[Message, int] | None = (
            SaslHandshakeRequest(mechanism=mechanism.name),
            _FRAMED,
        )
        self.step: Callable[[], bytes | None] | None = None
        self.done = False
        self.session_lifetime = 0.0

    @property
    def blocking(self) -> bool:
        """Whether a step may take its time."""
        return self._mechanism.blocking

    def request(self) -> tuple[Message, int] | None:
        """The request to be sent now with its version; None while an answer or a step is due."""
        request, self._next = self._next, None
        return request

    def on_response(self, response: Message) -> None:
        """Takes an answer of the broker.

        Raises:
            AuthenticationError: it refuses us.
        """
        if isinstance(response, SaslHandshakeResponse):
            self._check_offer(response)
            self.step = partial(self._mechanism.step, None)
            return
        assert isinstance(response, SaslAuthenticateResponse)
        if response.error_code:
            raise self._refused(response)
        self.session_lifetime = response.session_lifetime_ms / 1000
        self.step = partial(self._mechanism.step, response.auth_bytes)

    def stepped(self, result: bytes | None) -> None:
        """Takes what :attr:`step` has returned.

        Raises:
            AuthenticationError: the broker ended the exchange too soon.
        """
        self.step = None
        if result is not None:
            self._next = SaslAuthenticateRequest(auth_bytes=result), self._version
        elif self._mechanism.done:
            self.done = True
        else:
            raise AuthenticationError(
                "the broker ended the authentication in the middle", mechanism=self._mechanism.name
            )

    def _check_offer(self, response: SaslHandshakeResponse) -> None:
        code, name = response.error_code, self._mechanism.name
        if code == ErrorCode.NONE:
            return
        offered = ", ".join(response.mechanisms)
        if code == ErrorCode.UNSUPPORTED_SASL_MECHANISM:
            text = (
                f"the broker's listener does not know sasl_mechanism={name!r}; it offers "
                f"{offered or 'none'}"
            )
        elif code == ErrorCode.ILLEGAL_SASL_STATE:
            text = (
                "the broker's listener has no SASL; use another port, or a security_protocol "
                "without SASL"
            )
        else:
            raise AuthenticationError(
                f"the broker refuses to begin by {name}: {error_name(code)}", mechanism=name
            )
        raise MechanismNotOffered(text, mechanism=name, offered=response.mechanisms)

    def _refused(self, response: SaslAuthenticateResponse) -> ProducerError:
        mechanism = self._mechanism
        told = response.error_message or error_name(response.error_code)
        if mechanism.complaint and mechanism.complaint not in told:
            told = f"{told} ({mechanism.complaint})"
        if response.error_code != ErrorCode.SASL_AUTHENTICATION_FAILED:
            return AuthenticationError(
                f"the broker breaks the authentication off: {told}", mechanism=mechanism.name
            )
        if mechanism.name == "OAUTHBEARER":
            return InvalidToken(
                f"the broker refuses the token: {told}; look at its lifetime, audience and issuer, "
                "and at what the broker's listener expects of them",
                mechanism=mechanism.name,
            )
        return CredentialsRefused(
            f"the broker refuses the credentials for {mechanism.name}: {told}; check name and "
            "password, and that the broker knows them for this mechanism",
            mechanism=mechanism.name,
        )


def _common(key: ApiKey, served: Mapping[int, tuple[int, int]]) -> int:
    """The newest version that both sides know; -1 for none."""
    if key not in served:
        return -1
    first, last = served[key]
    version = negotiate(API[key].versions, range(first, last + 1))
    return -1 if version is None else version
