"""Bearer tokens: whose they are, if they are good (RFC 7519, and RFC 7515 for the signature)."""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Protocol

from pyproducer.broker.security.key_set import UnknownKey
from pyproducer.broker.security.sasl.exchange import Authenticated

if TYPE_CHECKING:
    from pyproducer.broker.security.key_set import KeySet
    from pyproducer.clock import Clock

__all__ = ["BadToken", "Claims", "SignedTokens", "Tokens", "UnsecuredTokens"]

#: Parts of a token between its dots.
_PARTS: Final = 3
#: Seconds from the epoch whose milliseconds have room in a message.
_FARTHEST: Final = 2**53
_NO_ALGORITHM: Final = "none"


class BadToken(Exception):
    """A token that nobody is let in with; says why, never what is in it."""


class Tokens(Protocol):
    """What judges tokens."""

    async def owner(self, token: str) -> Authenticated:
        """Whose the token is, and until when.

        Raises:
            BadToken: It is not good.
        """


@dataclass(frozen=True, slots=True, kw_only=True)
class Claims:
    """What a good token says.

    Attributes:
        clock: Says what time it is; real time, since a token is made outside.
        subject: Name of the claim that has the user's name.
        scope: Name of the claim that has the scope.
        audiences: For whom it has to be, for one of them; none is for anybody.
        issuer: Who has to have made it; None is anybody.
        leeway: Seconds by which the issuer's clock may be wrong.
    """

    clock: Clock
    subject: str = "sub"
    scope: str = "scope"
    audiences: frozenset[str] = frozenset()
    issuer: str | None = None
    leeway: float = 30.0

    def owner(self, claims: Mapping[str, Any], *, issued: bool) -> Authenticated:
        """Whose the token with these claims is.

        Args:
            claims: What it says.
            issued: Whether it has to say when it was made.

        Raises:
            BadToken: It is not for here, or not for now.
        """
        now = self.clock.wall_ms() / 1000
        expires = _moment(claims, "exp")
        if expires is None:
            raise BadToken("it does not say when it expires (exp)")
        if expires + self.leeway <= now:
            raise BadToken("it has expired (exp)")
        for name, what in (("nbf", "it is not valid yet"), ("iat", "it was made in the future")):
            moment = _moment(claims, name)
            if moment is not None and moment - self.leeway > now:
                raise BadToken(f"{what} ({name})")
        if issued and claims.get("iat") is None:
            raise BadToken("it does not say when it was made (iat)")
        if self.issuer is not None and claims.get("iss") != self.issuer:
            raise BadToken("somebody else has made it (iss)")
        if self.audiences and self.audiences.isdisjoint(_texts(claims, "aud")):
            raise BadToken("it is for somebody else (aud)")
        if self.scope in claims:
            _texts(claims, self.scope)
        user = claims.get(self.subject)
        if not isinstance(user, str) or not user.strip() or not _is_text(user):
            raise BadToken(f"it does not say whose it is ({self.subject})")
        return Authenticated(user, round(expires * 1000))


class SignedTokens:
    """Takes tokens that are signed with a key of a set.

    Args:
        keys: The set.
        claims: What a token has to say besides.
    """

    def __init__(self, keys: KeySet, claims: Claims) -> None:
        import jwt

        self._jwt = jwt
        self._jws = jwt.PyJWS()
        self._keys = keys
        self._claims = claims

    async def owner(self, token: str) -> Authenticated:
        """Whose the token is, and until when."""
        jwt = self._jwt
        try:
            header = jwt.get_unverified_header(token)
            key = await self._keys.find(header.get("kid"), str(header.get("alg")))
            payload = self._jws.decode(token, key.key, algorithms=[header["alg"]])
        except jwt.InvalidSignatureError:
            raise BadToken("its signature is wrong") from None
        except (jwt.PyJWTError, ValueError) as error:
            raise BadToken(f"it is no signed token ({type(error).__name__})") from None
        except RecursionError:
            raise BadToken("its parts are nested too deeply") from None
        except UnknownKey as error:
            raise BadToken(str(error)) from None
        except OSError as error:
            raise BadToken(f"it cannot be checked: {error}") from error
        return self._claims.owner(_object(payload), issued=True)


class UnsecuredTokens:
    """Takes tokens that nobody has signed: whoever says a name has it. For development alone.

    Args:
        claims: What a token has to say.
    """

    def __init__(self, claims: Claims) -> None:
        self._claims = claims

    async def owner(self, token: str) -> Authenticated:
        """Whose the token says that it is, and until when."""
        parts = token.split(".")
        if len(parts) != _PARTS or parts[2]:
            raise BadToken("it is no unsecured token, which ends with a dot")
        header, payload = (_object(_decoded(part)) for part in parts[:2])
        if header.get("alg") != _NO_ALGORITHM:
            raise BadToken("it is no unsecured token, whose algorithm is 'none'")
        return self._claims.owner(payload, issued=False)


def _decoded(part: str) -> bytes:
    try:
        return base64.b64decode(part + "=" * (-len(part) % 4), altchars=b"-_", validate=True)
    except (binascii.Error, ValueError):
        raise BadToken("its parts are no base64url") from None


def _object(data: bytes) -> dict[str, Any]:
    try:
        found = json.loads(data)
    except (ValueError, RecursionError):
        found = None
    if not isinstance(found, dict):
        raise BadToken("its parts are no JSON objects")
    return found


def _moment(claims: Mapping[str, Any], name: str) -> float | None:
    found = claims.get(name)
    if found is None:
        return None
    number = isinstance(found, int | float) and not isinstance(found, bool)
    # Neither is NaN at most anything.
    if not number or not abs(found) <= _FARTHEST:
        raise BadToken(f"its {name} is no time")
    return float(found)


def _is_text(found: str) -> bool:
    """Whether it can be written: JSON may have halves of characters."""
    try:
        found.encode()
    except UnicodeEncodeError:
        return False
    return True


def _texts(claims: Mapping[str, Any], name: str) -> list[str]:
    """A claim that is one text, of words with spaces between them for a scope, or several."""
    found = claims.get(name, [])
    if isinstance(found, str):
        return [found]
    if not isinstance(found, list) or not all(isinstance(one, str) for one in found):
        raise BadToken(f"its {name} is neither a text nor a list of texts")
    return found
