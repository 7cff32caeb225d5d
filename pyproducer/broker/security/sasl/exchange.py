"""What every mechanism is to a session: tokens in, tokens out, and in the end somebody."""

from __future__ import annotations

from typing import NamedTuple, Protocol

__all__ = ["Authenticated", "AuthenticationFailed", "Exchange"]


class Authenticated(NamedTuple):
    """Who a client has proved to be.

    Attributes:
        name: The user's name.
        until_ms: When what it was proved with expires, in milliseconds since the epoch; None is
            never.
    """

    name: str
    until_ms: int | None = None


class AuthenticationFailed(Exception):
    """A client has not proved who it is.

    Args:
        told: What the client is told, which is the same whether a user or a password was wrong.
        reason: What the broker's log says besides; never a secret.
        name: The user that the client wanted to be; "" if it did not say.
    """

    def __init__(self, told: str, reason: str = "", *, name: str = "") -> None:
        super().__init__(told)
        self.told = told
        self.reason = reason or told
        self.name = name


class Exchange(Protocol):
    """One client's way through a mechanism.

    Attributes:
        outcome: Who it is, once that is proved.
    """

    outcome: Authenticated | None

    async def respond(self, token: bytes) -> bytes:
        """The answer to the client's next token.

        Raises:
            AuthenticationFailed: The client is not let in.
        """
