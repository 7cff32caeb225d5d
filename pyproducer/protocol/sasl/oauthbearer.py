"""OAUTHBEARER (RFC 7628, KIP-255): a token that somebody else has signed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

__all__ = ["OAuthBearer"]

#: What ends an exchange that the server has refused (RFC 7628, section 3.2.3).
_DUMMY: Final = b"\x01"


class OAuthBearer:
    """Sends a token, and extensions (KIP-342) beside it."""

    name = "OAUTHBEARER"
    blocking = False

    def __init__(self, token: str, extensions: Mapping[str, str]) -> None:
        self.done = False
        self.complaint = ""
        pairs = "".join(f"{name}={value}\x01" for name, value in extensions.items())
        self._message = f"n,,\x01auth=Bearer {token}\x01{pairs}\x01".encode()

    def step(self, challenge: bytes | None) -> bytes | None:
        """See :class:`~pyproducer.protocol.sasl.mechanism.Mechanism`."""
        if challenge is None:
            return self._message
        if challenge:
            # JSON that says what is wrong; the refusal itself follows our answer.
            self.complaint = challenge.decode("utf-8", "replace")
            return _DUMMY
        self.done = True
        return None
