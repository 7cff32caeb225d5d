"""OAUTHBEARER (RFC 7628): a token that somebody else has given the client."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Final

from pyproducer.broker.security.sasl.exchange import Authenticated, AuthenticationFailed
from pyproducer.broker.security.tokens import BadToken

if TYPE_CHECKING:
    from pyproducer.broker.security.tokens import Tokens

__all__ = ["OAuthBearerExchange"]

#: The client's message: GS2 header, then pairs, each ended by this.
_END: Final = "\x01"
_HEADER: Final = re.compile(r"n,(?:a=(?P<acting_as>[^,\x00\x01]*))?,")
_PAIR: Final = re.compile(r"(?P<key>[A-Za-z]+)=(?P<value>[\x21-\x7e \t\r\n]*)")
_BEARER: Final = re.compile(r"bearer +(?P<token>[A-Za-z0-9._~+/-]+=*)", re.IGNORECASE)
#: How the client says that it has understood a refusal.
_UNDERSTOOD: Final = b"\x01"
_REFUSAL: Final = json.dumps({"status": "invalid_token"}, separators=(",", ":"))


class OAuthBearerExchange:
    """One token, and one more message if it is refused: the client hears why and says so.

    Args:
        tokens: Judges the token.
    """

    def __init__(self, tokens: Tokens) -> None:
        self._tokens = tokens
        self._refused = ""
        self.outcome: Authenticated | None = None

    async def respond(self, token: bytes) -> bytes:
        """An empty token, or what is wrong with the client's as JSON."""
        if self._refused:
            if token != _UNDERSTOOD:
                raise _malformed()
            raise AuthenticationFailed(_REFUSAL, self._refused)
        acting_as, bearer = _parsed(token)
        try:
            found = await self._tokens.owner(bearer)
        except BadToken as error:
            self._refused = f"bad token: {error}"
            return _REFUSAL.encode()
        if acting_as not in {"", found.name}:
            raise AuthenticationFailed(
                "Authentication failed: the authorization id is not the token's user",
                f"wanted to act as {acting_as!r}",
                name=found.name,
            )
        self.outcome = found
        return b""


def _parsed(data: bytes) -> tuple[str, str]:
    """The authorisation id and the token of a client's first message."""
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError:
        raise _malformed() from None
    header, *pairs = text.split(_END)
    match = _HEADER.fullmatch(header)
    # The last pair is ended, and so is the message.
    if match is None or pairs[-2:] != ["", ""]:
        raise _malformed()
    found: dict[str, str] = {}
    for text_pair in pairs[:-2]:
        pair = _PAIR.fullmatch(text_pair)
        if pair is None or pair["key"] in found:
            raise _malformed()
        found[pair["key"]] = pair["value"]
    bearer = _BEARER.fullmatch(found.get("auth", ""))
    if bearer is None:
        raise _malformed()
    acting_as = (match["acting_as"] or "").replace("=2C", ",").replace("=3D", "=")
    return acting_as, bearer["token"]


def _malformed() -> AuthenticationFailed:
    return AuthenticationFailed("Authentication failed: malformed OAUTHBEARER message")
