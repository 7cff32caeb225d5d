"""What a producer proves with who it is: passwords and tokens, got when they are needed."""

from __future__ import annotations

import asyncio
import copy
import inspect
import logging
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from pyproducer.errors import InvalidToken, ProducerError, ProviderFailed
from pyproducer.security import Token
from pyproducer.threads import in_thread

if TYPE_CHECKING:
    from pyproducer.clock import Clock
    from pyproducer.config.security_config import SecurityConfig
    from pyproducer.protocol.sasl.mechanism import Mechanism
    from pyproducer.security import TokenProvider

__all__ = ["Credentials", "MakeMechanism", "TokenKeeper"]

logger = logging.getLogger("pyproducer.net")

#: Makes what authenticates one connection, to a host.
MakeMechanism = Callable[[str], "Mechanism"]

#: The part of a token's life after which the next one is asked for.
_RENEWED_AT: Final = 0.8

#: Seconds between a provider's failure and the next attempt, and at most.
_BACKOFF: Final = (1.0, 60.0)


class Credentials:
    """Gives each authentication what it needs, with the secrets that hold at that time."""

    def __init__(self, config: SecurityConfig, clock: Clock) -> None:
        assert config.sasl_mechanism is not None
        self.mechanism: str = config.sasl_mechanism
        self._username = config.sasl_username or ""
        self._password = config.sasl_password
        self._service = config.sasl_kerberos_service_name
        provider = config.sasl_token_provider
        self._tokens = None if provider is None else TokenKeeper(provider, clock)

    async def get(self) -> MakeMechanism:
        """What makes the mechanism for a connection now.

        Raises:
            AuthenticationError: no password or token could be had.
        """
        if self._tokens is not None:
            from pyproducer.protocol.sasl.oauthbearer import OAuthBearer

            token = await self._tokens.get()
            return lambda _host: OAuthBearer(token.value, token.extensions)
        if self.mechanism == "GSSAPI":
            from pyproducer.protocol.sasl.gssapi import Gssapi

            return lambda host: Gssapi(self._service, host)
        password = await self._get_password()
        if self.mechanism == "PLAIN":
            from pyproducer.protocol.sasl.plain import Plain

            return lambda _host: Plain(self._username, password)
        from pyproducer.protocol.sasl.scram import Scram

        return lambda _host: Scram(self.mechanism, self._username, password)

    def close(self) -> set[asyncio.Task[None]]:
        """No tokens are asked for any more; what is left to be waited for is returned."""
        return set() if self._tokens is None else self._tokens.close()

    async def _get_password(self) -> str:
        password = self._password
        if callable(password):
            try:
                password = await _call(password)
            except Exception as error:
                raise ProviderFailed(
                    f"sasl_password raised {type(error).__name__}: {error}",
                    mechanism=self.mechanism,
                ) from error
            if not isinstance(password, str) or not password or "\0" in password:
                raise ProviderFailed(
                    "sasl_password gave no password: it must be a non-empty str, not "
                    f"{type(password).__name__}",
                    mechanism=self.mechanism,
                )
        assert isinstance(password, str)
        return password


class TokenKeeper:
    """One token for all connections of a producer, renewed before it ends.

    The provider is asked when the first connection needs a token, and from then on when 80 % of
    a token's life is over, whether anything is sent or not. Where it fails it is asked again,
    after longer and longer pauses; the old token is used as long as it is good, and the failure
    is told in the log once. Without a good token, whoever needs one gets the failure.
    """

    def __init__(self, provider: TokenProvider, clock: Clock) -> None:
        self._provider = provider
        self._clock = clock
        self._token: Token | None = None
        self._ends = 0.0
        self._asking: asyncio.Task[None] | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._failure: ProducerError | None = None
        self._failures = 0
        self._closed = False

    async def get(self) -> Token:
        """A token that is good now.

        Raises:
            ProviderFailed: none could be had.
            InvalidToken: the provider gives tokens that have ended.
        """
        if self._token is None or self._clock.monotonic() >= self._ends:
            if self._asking is None:
                self._ask()
            assert self._asking is not None
            # Others wait for the same one.
            await asyncio.wait([self._asking])
        if self._token is None or self._clock.monotonic() >= self._ends:
            if self._failure is None:
                raise ProviderFailed("the producer is closed", mechanism="OAUTHBEARER")
            # A copy: several connections must not lengthen one traceback.
            failure = copy.copy(self._failure)
            raise failure from self._failure.__cause__
        return self._token

    def close(self) -> set[asyncio.Task[None]]:
        """The provider is asked no more; what is left of the last time is returned."""
        self._closed = True
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._asking is None:
            return set()
        self._asking.cancel()
        return {self._asking}

    def _ask(self) -> None:
        self._timer = None
        if self._asking is None and not self._closed:
            self._asking = asyncio.get_running_loop().create_task(self._renew())

    async def _renew(self) -> None:
        try:
            try:
                token = await _call(self._provider)
                pause = self._take(token)
            except ProducerError as error:
                pause = self._note(error)
            except Exception as error:
                failure = ProviderFailed(
                    f"sasl_token_provider raised {type(error).__name__}: {error}",
                    mechanism="OAUTHBEARER",
                )
                failure.__cause__ = error
                pause = self._note(failure)
        finally:
            self._asking = None
        if not self._closed and (self._token is not None or self._failures == 0):
            self._timer = asyncio.get_running_loop().call_later(pause, self._ask)

    def _take(self, token: object) -> float:
        """Use a token from now on; the seconds until the next one should be asked for."""
        if not isinstance(token, Token):
            raise ProviderFailed(
                f"sasl_token_provider must give a pyproducer.security.Token, not "
                f"{type(token).__name__}",
                mechanism="OAUTHBEARER",
            )
        left = token.lifetime
        if left is None:
            assert token.expires_at is not None
            left = token.expires_at - self._clock.wall_ms() / 1000
        if left <= 0:
            raise InvalidToken(
                "sasl_token_provider gave a token that has expired; look at the provider, and at "
                "this machine's clock",
                mechanism="OAUTHBEARER",
            )
        self._token = token
        self._ends = self._clock.monotonic() + left
        if self._failures:
            logger.info("sasl_token_provider gives tokens again")
        self._failure, self._failures = None, 0
        return left * _RENEWED_AT

    def _note(self, error: ProducerError) -> float:
        if not self._failures and self._token is not None:
            left = self._ends - self._clock.monotonic()
            logger.warning("%s; asking again, the last token is good for %.0f s", error, left)
        self._failure = error
        self._failures += 1
        return float(min(_BACKOFF[0] * 2 ** (self._failures - 1), _BACKOFF[1]))


async def _call(function: Callable[[], Any]) -> Any:
    """What a function of the user's gives: a plain one is called by a thread."""
    inner: Any = function
    while isinstance(inner, partial):
        inner = inner.func
    call = getattr(type(inner), "__call__", None)  # noqa: B004 - an object's may be a coroutine's
    if inspect.iscoroutinefunction(inner) or inspect.iscoroutinefunction(call):
        return await function()
    found = await in_thread("provider", function)
    return await found if inspect.isawaitable(found) else found
