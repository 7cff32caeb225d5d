"""PLAIN (RFC 4616): a name and a password as they are, so only for TLS and for tests."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from pyproducer.broker.security.sasl.exchange import Authenticated, AuthenticationFailed

__all__ = ["PlainExchange"]

_PARTS = 3


class PlainExchange:
    """One token: authorisation id, user and password, with zero bytes between them.

    Args:
        matches: Says whether a user has a password.
    """

    def __init__(self, matches: Callable[[str, str], bool]) -> None:
        self._matches = matches
        self.outcome: Authenticated | None = None

    async def respond(self, token: bytes) -> bytes:
        """An empty token; the client is known then."""
        try:
            parts = token.decode("utf-8").split("\0")
        except UnicodeDecodeError:
            parts = []
        if len(parts) != _PARTS:
            raise AuthenticationFailed("Authentication failed: malformed PLAIN token")
        acting_as, name, password = parts
        if not name or not password:
            missing = "password" if name else "user name"
            raise AuthenticationFailed(f"Authentication failed: no {missing} given", name=name)
        # Hashing takes a millisecond or two, which the loop has better use for.
        if not await asyncio.to_thread(self._matches, name, password):
            raise AuthenticationFailed(
                "Authentication failed: Invalid username or password",
                "wrong user name or password",
                name=name,
            )
        # Asked last, so that it tells nobody which users there are.
        if acting_as not in {"", name}:
            raise AuthenticationFailed(
                "Authentication failed: the authorization id is not the user name",
                f"wanted to act as {acting_as!r}",
                name=name,
            )
        self.outcome = Authenticated(name)
        return b""
