"""The keys that tokens are signed with: a JSON Web Key Set, from a file or from a server."""

from __future__ import annotations

import asyncio
import json
import logging
from typing import TYPE_CHECKING, Any, Final, NamedTuple
from urllib.parse import urlsplit

from pyproducer.errors import ConfigError

if TYPE_CHECKING:
    import jwt

    from pyproducer.clock import Clock

__all__ = ["KeySet", "UnknownKey"]

log = logging.getLogger(__name__)

_SCHEMES: Final = ("file", "http", "https")
#: Characters of a key's id that are told.
_SHOWN: Final = 40
#: Most bytes of a key set.
_LARGEST: Final = 1 << 20
#: Seconds that a server has to answer.
_PATIENCE: Final = 10.0
#: Seconds between two looks for a key that was not there.
_REST: Final = 10.0
#: What each kind of key may sign with: a token does not choose among kinds.
_ALGORITHMS: Final = {
    "RSA": ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512"),
    "EC": ("ES256", "ES384", "ES512"),
    "OKP": ("EdDSA",),
    "oct": ("HS256", "HS384", "HS512"),
}


class _Key(NamedTuple):
    """A key, with the algorithm that the set names for it, if it does."""

    jwk: jwt.PyJWK
    algorithm: str | None

    def fits(self, key_id: str | None, algorithm: str) -> bool:
        """Whether the key may have signed a token that names this key and algorithm."""
        jwk = self.jwk
        return (
            key_id in {None, jwk.key_id}
            and self.algorithm in {None, algorithm}
            and jwk.public_key_use in {None, "sig"}
            and algorithm in _ALGORITHMS.get(str(jwk.key_type), ())
        )


class UnknownKey(Exception):
    """No key of the set is the one that a token names."""


class KeySet:
    """Keys by their ids, read anew when they are old and when one is missing.

    It is read outside the loop's thread, so that a server that does not answer delays nobody but
    whoever shows a token.

    Args:
        url: Where it is; `file:///...`, `http://...` or `https://...`.
        refresh: Seconds after which it is read anew.
        clock: Says when that is.

    Raises:
        ConfigError: The URL is of another kind, or the extra `oauth` is missing.
    """

    def __init__(self, url: str, *, refresh: float, clock: Clock) -> None:
        if urlsplit(url).scheme not in _SCHEMES:
            raise ConfigError(
                f"sasl.oauthbearer.jwks.endpoint.url={url} is no URL of a key set: write "
                "file:///..., http://... or https://...",
                option="config",
            )
        try:
            import jwt
        except ImportError as error:
            raise ConfigError(
                "SASL mechanism OAUTHBEARER needs PyJWT: pip install 'pyproducer[oauth]'",
                option="config",
            ) from error
        self._jwt = jwt
        self._url = url
        self._refresh = refresh
        self._clock = clock
        self._keys: list[_Key] = []
        self._read_at: float | None = None
        self._reading: asyncio.Task[None] | None = None

    async def find(self, key_id: str | None, algorithm: str) -> jwt.PyJWK:
        """The key that a token names, or the only one that fits if it names none.

        Raises:
            UnknownKey: There is none, or none that may sign with this algorithm.
            OSError: The set cannot be read, and never could.
        """
        now = self._clock.monotonic()
        if self._read_at is None or now - self._read_at >= self._refresh:
            await self._read()
        found = self._fitting(key_id, algorithm)
        if not found and self._read_at is not None and now - self._read_at >= _REST:
            # A new key is in use as soon as it is there.
            await self._read()
            found = self._fitting(key_id, algorithm)
        if len(found) != 1:
            # Anybody may have written it, and as long as he liked.
            which = "no key id" if key_id is None else f"key id {key_id[:_SHOWN]!r}"
            raise UnknownKey(f"{which} with {algorithm} is of {len(found)} keys of the set")
        return found[0]

    def _fitting(self, key_id: str | None, algorithm: str) -> list[jwt.PyJWK]:
        return [one.jwk for one in self._keys if one.fits(key_id, algorithm)]

    async def _read(self) -> None:
        # Whoever comes meanwhile waits for the same answer.
        if self._reading is None:
            self._reading = asyncio.create_task(self._load())
            self._reading.add_done_callback(self._done)
        await asyncio.shield(self._reading)

    def _done(self, task: asyncio.Task[None]) -> None:
        self._reading = None
        if not task.cancelled():
            # Each of those who waited has it; nobody may have.
            task.exception()

    async def _load(self) -> None:
        try:
            document = await asyncio.to_thread(_read, self._url)
            self.take(document)
        except (OSError, ValueError) as error:
            if self._read_at is None:
                raise OSError(f"the key set at {self._url} cannot be read: {error}") from error
            log.warning("keeping the keys there are: that at %s cannot be read: %s",
                        self._url, error)  # fmt: skip
        self._read_at = self._clock.monotonic()

    def take(self, document: bytes) -> None:
        """The keys are those of this document; one that cannot be used is passed over.

        Raises:
            ValueError: It is no key set; the keys are what they were.
        """
        keys = [self._key(one) for one in _listed(document)]
        self._keys = [one for one in keys if one is not None]

    def _key(self, data: Any) -> _Key | None:
        try:
            for name in ("alg", "kid", "kty", "use"):
                if not isinstance(data.get(name), str | None):
                    raise TypeError(f"its {name} is no text")
            return _Key(self._jwt.PyJWK(data), data.get("alg"))
        except (self._jwt.PyJWTError, AttributeError, LookupError, TypeError, ValueError) as error:
            # A set may have keys of kinds that nobody here knows.
            log.warning("skipping a key of the set at %s: %r", self._url, error)
            return None

    async def close(self) -> None:
        """Nobody waits for a key set any more."""
        if self._reading is not None:
            self._reading.cancel()


def _read(url: str) -> bytes:
    # Here: it brings an HTTP client with it, which few brokers need.
    from urllib.request import urlopen

    with urlopen(url, timeout=_PATIENCE) as answer:  # noqa: S310 - checked above
        data: bytes = answer.read(_LARGEST + 1)
    if len(data) > _LARGEST:
        raise ValueError(f"it has more than {_LARGEST} bytes")
    return data


def _listed(document: bytes) -> list[Any]:
    try:
        found = json.loads(document)
    except RecursionError:
        raise ValueError("it is nested too deeply") from None
    match found:
        case {"keys": [*keys]}:
            return keys
    raise ValueError("it is no JSON object with a list of keys")
