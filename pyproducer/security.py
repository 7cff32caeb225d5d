"""What a program gives a producer to prove who it is, where that is more than a name and password.

A token provider is any callable without arguments that gives a :class:`Token`, or something
that can be awaited for one::

    async def provider() -> Token:
        answer = await ask_the_identity_provider()
        return Token(answer["access_token"], lifetime=answer["expires_in"])

A plain function is called in a thread of its own, so that it may take its time; a coroutine
function runs on the producer's event loop. Either is asked before the first connection, again
when 80 % of the token's life is over, and never by two connections at once.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Mapping
from typing import Final, TypeAlias

from pyproducer.errors import ConfigError

__all__ = ["Password", "Token", "TokenProvider"]

# RFC 6750: what a bearer token is made of.
_BEARER: Final = re.compile(r"[A-Za-z0-9\-._~+/]+=*")
# RFC 7628, section 3.1: names and values beside the token.
_EXTENSION_NAME: Final = re.compile(r"[A-Za-z]+")
_EXTENSION_VALUE: Final = re.compile(r"[\x21-\x7E \t\r\n]+")


class Token:
    """A token of OAUTHBEARER, with how long it is good for. Its value never shows in its repr.

    Exactly one of ``expires_at`` and ``lifetime`` is given.

    Attributes:
        value: the token itself, as the broker is to be shown it.
        expires_at: seconds since the epoch at which it ends, or None.
        lifetime: seconds that it is good for from the moment it was made, or None.
        principal: who it says we are, for error messages; "" where nobody knows.
        extensions: further names and values for the broker (KIP-342).

    Raises:
        ConfigError: the value is no bearer token, an extension cannot be sent, or the time is
            not given once.
    """

    __slots__ = ("expires_at", "extensions", "lifetime", "principal", "value")

    def __init__(
        self,
        value: str,
        *,
        expires_at: float | None = None,
        lifetime: float | None = None,
        principal: str = "",
        extensions: Mapping[str, str] | None = None,
    ) -> None:
        if not isinstance(value, str) or not _BEARER.fullmatch(value):
            # Never the value itself: whatever it is, it was meant to be a secret.
            raise _refuse("the value of a token must be letters, digits and -._~+/, then maybe =")
        if (expires_at is None) == (lifetime is None):
            raise _refuse("a token needs one of expires_at and lifetime, and not both")
        for name, seconds in (("expires_at", expires_at), ("lifetime", lifetime)):
            if isinstance(seconds, bool) or not isinstance(seconds, int | float | None):
                raise _refuse(f"{name} of a token must be seconds, not {type(seconds).__name__}")
        if lifetime is not None and not lifetime > 0:
            raise _refuse(f"lifetime={lifetime!r} of a token must be more than 0 seconds")
        for name, text in (extensions or {}).items():
            if not _EXTENSION_NAME.fullmatch(name) or name == "auth":
                raise _refuse(
                    f"{name!r} cannot be the name of a token's extension: letters only, not 'auth'"
                )
            if not _EXTENSION_VALUE.fullmatch(text):
                raise _refuse(f"the value of a token's extension {name!r} must be printable ASCII")
        self.value = value
        self.expires_at = expires_at
        self.lifetime = lifetime
        self.principal = principal
        self.extensions = dict(extensions or {})

    def __repr__(self) -> str:
        until = (
            f"lifetime={self.lifetime!r}"
            if self.expires_at is None
            else f"expires_at={self.expires_at!r}"
        )
        return f"Token('***', {until}, principal={self.principal!r})"


#: Gives a token, now or when it is awaited.
TokenProvider: TypeAlias = Callable[[], Token | Awaitable[Token]]

#: A password, or what gives the one that holds now, each time that it is needed.
Password: TypeAlias = str | Callable[[], str | Awaitable[str]]


def _refuse(text: str) -> ConfigError:
    return ConfigError(f"{text}.", option="sasl_token_provider")
