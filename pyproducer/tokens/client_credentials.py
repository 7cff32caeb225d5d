"""Tokens of an authorization server, for a program that acts for itself (RFC 6749, section 4.4)."""

from __future__ import annotations

import asyncio
import base64
import inspect
import json
import math
import random
import time
import uuid
from collections.abc import Mapping
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any, Final, Literal
from urllib.parse import quote_plus, urlsplit

from pyproducer.config.certificates import Certificates
from pyproducer.config.tls_contexts import TlsContexts
from pyproducer.errors import ConfigError, TlsError
from pyproducer.security import Token
from pyproducer.tokens.request_failed import TokenRequestFailed

if TYPE_CHECKING:
    from ssl import SSLContext

    import aiohttp

    from pyproducer.config.security_config import PemOption
    from pyproducer.security import Password

__all__ = ["ClientCredentials"]

#: What may be better a moment later (RFC 6585, RFC 9110).
_PASSING: Final = {408, 425, 429, 500, 502, 503, 504}
_FIRST_PAUSE: Final = 0.1
_LONGEST_PAUSE: Final = 2.0
#: Servers answer in a few hundred bytes; what is longer is no answer of theirs.
_LONGEST_ANSWER: Final = 1024 * 1024
#: Seconds for which an assertion can be used (RFC 7523 wants it short).
_ASSERTION_SECONDS: Final = 60
_LOOPBACK: Final = {"localhost", "127.0.0.1", "::1"}
_RESERVED: Final = {
    "grant_type", "client_id", "client_secret", "scope", "audience", "client_assertion",
    "client_assertion_type",
}  # fmt: skip
_ASSERTION_TYPE: Final = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"


class ClientCredentials:
    """Asks a token endpoint with an id and a secret, or with a signed assertion instead of it.

    What does not answer, or answers that it cannot now, is asked again after a pause, until
    ``timeout`` is over. Every call makes a connection of its own and closes it.

    Args:
        token_endpoint: the server's address for tokens, as its ``token_endpoint`` or in its
            documentation. It has to be ``https``, except on this machine.
        client_id: who we are for the server.
        client_secret: the secret; or a callable that gives it, now or awaited.
        authentication: how id and secret are sent: ``"basic"`` in the header of HTTP's Basic
            scheme, ``"body"`` in the form.
        private_key: PEM text, in place of a secret: signs an assertion for each request
            (RFC 7523, ``private_key_jwt``).
        private_key_id: the ``kid`` by which the server knows the key.
        private_key_algorithm: how to sign, as RS256, PS256 or ES256.
        scope: what is asked for, several separated by spaces.
        audience: whom the token is for, where the server wants to be told.
        parameters: further fields of the form, such as ``resource``.
        extensions: names and values that the broker wants beside the token (KIP-342), as
            ``logicalCluster`` of Confluent Cloud.
        lifetime: seconds that tokens are good for, with a server that does not tell.
        ssl_ca: authorities to trust, a PEM file or its text; None trusts the system's. A file that
            changes is read again for the next request.
        ssl_context: a context of your own in place of it.
        allow_http: also talk to another machine without TLS, and so show it the secret.
        timeout: seconds for a token, everything included.

    Raises:
        ConfigError: an argument cannot be, or the extra that has the HTTP client is missing.
    """

    def __init__(
        self,
        token_endpoint: str,
        *,
        client_id: str,
        client_secret: Password | None = None,
        authentication: Literal["basic", "body"] = "basic",
        private_key: str | bytes | None = None,
        private_key_id: str | None = None,
        private_key_algorithm: str = "RS256",
        scope: str | None = None,
        audience: str | None = None,
        parameters: Mapping[str, str] | None = None,
        extensions: Mapping[str, str] | None = None,
        lifetime: float | None = None,
        ssl_ca: PemOption | None = None,
        ssl_context: SSLContext | None = None,
        allow_http: bool = False,
        timeout: float = 10.0,
    ) -> None:
        if find_spec("aiohttp") is None or (private_key and find_spec("jwt") is None):
            raise ConfigError(
                "ClientCredentials needs an HTTP client: pip install 'pyproducer[oauth]'"
            )
        _check_endpoint(token_endpoint, allow_http)
        if not client_id:
            raise _refuse("client_id must not be empty")
        if (client_secret is None) == (private_key is None):
            raise _refuse("ClientCredentials needs one of client_secret and private_key")
        if client_secret == "":
            raise _refuse("client_secret must not be empty")
        if authentication not in {"basic", "body"}:
            raise _refuse(f"authentication={authentication!r} must be 'basic' or 'body'")
        if ssl_ca is not None and ssl_context is not None:
            raise _refuse("ssl_ca and ssl_context exclude each other; load the authorities into it")
        for name in sorted(_RESERVED.intersection(parameters or {})):
            raise _refuse(f"parameters must not have {name!r}; there is an argument for it")
        if not timeout > 0:
            raise _refuse(f"timeout={timeout!r} must be more than 0 seconds")
        self._url = token_endpoint
        self._client_id = client_id
        self._secret = client_secret
        self._authentication = authentication
        self._private_key = private_key
        self._key_header = None if private_key_id is None else {"kid": private_key_id}
        self._algorithm = private_key_algorithm
        wanted = {"scope": scope, "audience": audience, **(parameters or {})}
        self._wanted = {name: value for name, value in wanted.items() if value is not None}
        self._extensions = dict(extensions or {})
        self._lifetime = lifetime
        certificates = None
        if ssl_context is None:
            certificates = Certificates(ssl_ca, None, None, None, check_hostname=True)
            certificates.check()
        self._contexts = TlsContexts(certificates, ssl_context)
        self._timeout = timeout
        if private_key is not None:
            # What cannot sign is told now, not at the first connection.
            self._assertion()

    def __repr__(self) -> str:
        return f"ClientCredentials({self._url!r}, client_id={self._client_id!r})"

    async def __call__(self) -> Token:
        """A new token.

        Raises:
            TokenRequestFailed: there is none; the text has the server's own words.
        """
        last: TokenRequestFailed | None = None
        try:
            async with asyncio.timeout(self._timeout):
                pause = _FIRST_PAUSE
                while True:
                    secret = await self._current_secret()
                    try:
                        return await self._ask(secret)
                    except TokenRequestFailed as error:
                        if not error.retriable:
                            raise
                        last = error
                    # Many programs that lost one server come back at different moments.
                    await asyncio.sleep(pause * (0.5 + random.random()))  # noqa: S311
                    pause = min(2 * pause, _LONGEST_PAUSE)
        except TimeoutError:
            if last is not None:
                raise last from last.__cause__
            raise TokenRequestFailed(
                f"{self._url} did not answer within {self._timeout:.3g} s; see whether the "
                "authorization server runs and can be reached from here",
                url=self._url,
                retriable=True,
            ) from None

    async def _current_secret(self) -> str | None:
        secret = self._secret() if callable(self._secret) else self._secret
        return await secret if inspect.isawaitable(secret) else secret

    async def _ask(self, secret: str | None) -> Token:
        import aiohttp

        context = await self._context()
        form, headers = self._request(secret)
        asked = time.monotonic()
        try:
            async with (
                aiohttp.ClientSession(cookie_jar=aiohttp.DummyCookieJar()) as session,
                session.post(
                    self._url,
                    data=form,
                    headers=headers,
                    ssl=True if context is None else context,
                    # A redirection would show the secret to somebody else.
                    allow_redirects=False,
                ) as response,
            ):
                body = await _read(response)
                status = response.status
        except (aiohttp.ClientError, OSError, ValueError) as error:
            raise self._unreachable(error) from error
        return self._answered(status, body, secret, time.monotonic() - asked)

    def _answered(self, status: int, body: bytes, secret: str | None, elapsed: float) -> Token:
        text = body.decode("utf-8", "replace")
        if status != 200:
            raise self._refused(status, text, secret)
        return self._token(text, elapsed)

    async def _context(self) -> SSLContext | None:
        """What verifies the server; None where there is no TLS."""
        if not self._url.lower().startswith("https:"):
            return None
        try:
            return await self._contexts.context()
        except TlsError as error:
            # It was good when this was made: somebody may be writing it at this moment.
            raise TokenRequestFailed(str(error), url=self._url, retriable=True) from error

    def _request(self, secret: str | None) -> tuple[dict[str, str], dict[str, str]]:
        form = {"grant_type": "client_credentials", **self._wanted}
        headers = {"Accept": "application/json"}
        if secret is None:
            form["client_id"] = self._client_id
            form["client_assertion_type"] = _ASSERTION_TYPE
            form["client_assertion"] = self._assertion()
        elif self._authentication == "basic":
            # RFC 6749, section 2.3.1: each is encoded as in a form first.
            pair = f"{quote_plus(self._client_id)}:{quote_plus(secret)}"
            headers["Authorization"] = "Basic " + base64.b64encode(pair.encode()).decode()
        else:
            form |= {"client_id": self._client_id, "client_secret": secret}
        return form, headers

    def _assertion(self) -> str:
        import jwt

        assert self._private_key is not None
        now = int(time.time())
        claims = {
            "iss": self._client_id,
            "sub": self._client_id,
            "aud": self._url,
            "jti": uuid.uuid4().hex,
            "iat": now,
            "exp": now + _ASSERTION_SECONDS,
        }
        try:
            return jwt.encode(claims, self._private_key, self._algorithm, headers=self._key_header)
        except (jwt.PyJWTError, NotImplementedError, TypeError, ValueError):
            # The cause may have the key in its text.
            raise _refuse(
                f"private_key cannot sign with private_key_algorithm={self._algorithm!r}: it must "
                "be an unencrypted key in PEM, of RSA for RS256 and PS256, of a curve for ES256"
            ) from None

    def _token(self, text: str, elapsed: float) -> Token:
        answer = _object(text)
        value = answer.get("access_token")
        if not isinstance(value, str) or not value:
            raise self._useless("it has no 'access_token'")
        claims = _claims(value)
        lifetime = _seconds(answer.get("expires_in")) or self._lifetime
        if lifetime is None and (expires := _seconds(claims.get("exp"))):
            lifetime = expires - time.time()
        if lifetime is None:
            raise self._useless("it has no 'expires_in'; say lifetime= for this server")
        if lifetime - elapsed <= 0:
            raise self._useless(f"its token is good for {lifetime:.3g} s")
        subject = claims.get("sub")
        try:
            return Token(
                value,
                lifetime=lifetime - elapsed,
                principal=subject if isinstance(subject, str) else self._client_id,
                extensions=self._extensions,
            )
        except ConfigError as error:
            raise self._useless(str(error)) from None

    def _useless(self, what: str) -> TokenRequestFailed:
        return TokenRequestFailed(
            f"{self._url} answered, and {what}; see whether it is the token endpoint",
            url=self._url,
            status=200,
        )

    def _unreachable(self, error: Exception) -> TokenRequestFailed:
        import aiohttp

        advice = "see whether the authorization server runs and can be reached from here"
        passing = True
        if isinstance(error, aiohttp.ClientConnectorCertificateError):
            error = error.certificate_error
            advice = "name its authority by ssl_ca="
            passing = False
        text = str(error) or type(error).__name__
        return TokenRequestFailed(
            f"{self._url} gave no token: {text}; {advice}", url=self._url, retriable=passing
        )

    def _refused(self, status: int, text: str, secret: str | None) -> TokenRequestFailed:
        answer = _object(text)
        code, description = answer.get("error"), answer.get("error_description")
        code = code if isinstance(code, str) else None
        description = description if isinstance(description, str) else None
        if secret:
            # Some servers repeat what they did not understand.
            code, description = (
                None if one is None else one.replace(secret, "***") for one in (code, description)
            )
        told = ": ".join(one for one in (code, description) if one)
        if status in {400, 401, 403}:
            advice = "see client_id, its secret or key, authentication= and scope="
        elif status in _PASSING:
            advice = "it was asked several times"
        else:
            advice = "see whether it is the token endpoint"
        return TokenRequestFailed(
            f"{self._url} refused client {self._client_id!r} a token, with HTTP {status}"
            f"{f' and {told!r}' if told else ''}; {advice}",
            url=self._url,
            status=status,
            error=code,
            description=description,
            retriable=status in _PASSING,
        )


async def _read(response: aiohttp.ClientResponse) -> bytes:
    """The answer, of one that is too long its begin."""
    body = b""
    # One read gives what has come so far.
    while len(body) < _LONGEST_ANSWER:
        piece = await response.content.read(_LONGEST_ANSWER - len(body))
        if not piece:
            break
        body += piece
    return body


def _object(text: str) -> dict[str, Any]:
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def _claims(token: str) -> dict[str, Any]:
    """What a token says of itself, unverified; nothing where it is no JWT."""
    parts = token.split(".")
    if len(parts) != 3:
        return {}
    try:
        text = base64.urlsafe_b64decode(parts[1] + "=" * (-len(parts[1]) % 4))
        return _object(text.decode())
    except ValueError:
        return {}


def _seconds(value: object) -> float | None:
    # Some servers write the number as text.
    try:
        number = float(value) if isinstance(value, int | float | str) else math.nan
    except (ValueError, OverflowError):
        return None
    return number if math.isfinite(number) else None


def _check_endpoint(url: str, allow_http: bool) -> None:
    parts = urlsplit(url)
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        raise _refuse(f"token_endpoint={url!r} must be an address as 'https://host/path'")
    if parts.username is not None or parts.password is not None:
        raise _refuse("token_endpoint must not have a user name or password in it")
    if parts.scheme == "http" and not allow_http and parts.hostname not in _LOOPBACK:
        raise _refuse(
            f"token_endpoint={url!r} would be told the secret without TLS; use https, or say "
            "allow_http=True where the network is yours"
        )


def _refuse(text: str) -> ConfigError:
    return ConfigError(f"{text}.", option="sasl_token_provider")
