"""The SASL mechanisms of one listener, as its settings say."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Final

from pyproducer.broker.security.key_set import KeySet
from pyproducer.broker.security.sasl.oauthbearer import OAuthBearerExchange
from pyproducer.broker.security.sasl.plain import PlainExchange
from pyproducer.broker.security.scram_credential import ScramCredential
from pyproducer.broker.security.session import Mechanism
from pyproducer.broker.security.tokens import Claims, SignedTokens, Tokens, UnsecuredTokens
from pyproducer.broker.security.users import PLAIN_KEPT_AS, UserStore
from pyproducer.errors import ConfigError
from pyproducer.jaas import LoginModule, parse_jaas
from pyproducer.protocol.sasl.scram_terms import HASHES

if TYPE_CHECKING:
    from pyproducer.broker.security.listener_config import ListenerConfig
    from pyproducer.broker.security.sasl.exchange import Exchange
    from pyproducer.clock import Clock

__all__ = ["MECHANISMS", "check_mechanisms", "mechanisms_of"]

PLAIN: Final = "PLAIN"
OAUTHBEARER: Final = "OAUTHBEARER"
#: What a broker can be told to offer.
MECHANISMS: Final = (PLAIN, *HASHES, OAUTHBEARER)

_ENABLED: Final = "sasl.enabled.mechanisms"
_JAAS: Final = "sasl.jaas.config"
_HANDLER: Final = "sasl.server.callback.handler.class"
_KEYS: Final = "sasl.oauthbearer.jwks.endpoint.url"
_USER: Final = "user_"
#: Kafka's classes that check tokens, by the end of their names; whether they take unsigned ones.
_HANDLERS: Final = {
    "OAuthBearerValidatorCallbackHandler": False,
    "OAuthBearerUnsecuredValidatorCallbackHandler": True,
}
#: The login module of each mechanism, and its options that say who the broker is to others, of
#: whom there are none.
_MODULES: Final = {
    PLAIN: "PlainLoginModule",
    OAUTHBEARER: "OAuthBearerLoginModule",
    **dict.fromkeys(HASHES, "ScramLoginModule"),
}
_OWN_LOGIN: Final = frozenset({"username", "password"})


def check_mechanisms(config: ListenerConfig, clock: Clock) -> None:
    """Returns if the mechanisms of a listener can be offered.

    Raises:
        ConfigError: One of its settings is not possible; says which.
    """
    for name in _enabled(config):
        _login(config, name)
        if name == OAUTHBEARER:
            _tokens(config, clock)
        elif (where := config.where(_HANDLER, name)).endswith(f".{name.lower()}.{_HANDLER}"):
            raise ConfigError(
                f"{where} has no effect in this broker: it is for {OAUTHBEARER} alone",
                option="config",
            )


def mechanisms_of(config: ListenerConfig, users: UserStore, clock: Clock) -> dict[str, Mechanism]:
    """What a listener offers, by name, in the order of its settings.

    Raises:
        ConfigError: As for `check_mechanisms`.
    """
    return {
        name: Mechanism(
            _begin(name, config, users, clock), config.int("connections.max.reauth.ms", name)
        )
        for name in _enabled(config)
    }


def _enabled(config: ListenerConfig) -> list[str]:
    names = config.list(_ENABLED)
    unknown = [name for name in names if name not in MECHANISMS]
    if unknown or not names:
        raise ConfigError(
            f"{config.where(_ENABLED)}={','.join(names)}: this broker has {', '.join(MECHANISMS)}",
            option="config",
        )
    return list(dict.fromkeys(names))


def _begin(
    name: str, config: ListenerConfig, users: UserStore, clock: Clock
) -> Callable[[], Exchange]:
    login = _login(config, name)
    if name == PLAIN:
        others = {
            user: ScramCredential.of_password(PLAIN_KEPT_AS, password)
            for user, password in _users(login).items()
        }
        return partial(PlainExchange, partial(users.plain_matches, others=others))
    if name == OAUTHBEARER:
        return partial(OAuthBearerExchange, _tokens(config, clock))
    # Loaded only where it is spoken.
    from pyproducer.broker.security.sasl.scram import ScramExchange

    return partial(ScramExchange, name, partial(users.scram_or_nobodys, name))


def _login(config: ListenerConfig, mechanism: str) -> LoginModule | None:
    text = config.get(_JAAS, mechanism)
    if text is None:
        return None
    where = config.where(_JAAS, mechanism)
    try:
        found = parse_jaas(text)
    except ValueError as error:
        raise ConfigError(f"{where}: {error}", option="config") from None
    wanted = _MODULES[mechanism]
    if found.name != wanted:
        raise ConfigError(f"{where}: {mechanism} has {wanted}, not {found.name}", option="config")
    useless = [
        name
        for name in found.options
        if name not in _OWN_LOGIN and not (mechanism == PLAIN and name.startswith(_USER))
    ]
    if useless:
        raise ConfigError(
            f"{where}: {', '.join(useless)} has no effect in this broker; leave it out",
            option="config",
        )
    return found


def _users(login: LoginModule | None) -> dict[str, str]:
    if login is None:
        return {}
    return {
        name.removeprefix(_USER): password
        for name, password in login.options.items()
        if name.startswith(_USER)
    }


def _tokens(config: ListenerConfig, clock: Clock) -> Tokens:
    unsecured = _takes_unsecured(config)
    url = config.get(_KEYS)
    claims = Claims(
        clock=clock,
        subject=config.get("sasl.oauthbearer.sub.claim.name") or "sub",
        scope=config.get("sasl.oauthbearer.scope.claim.name") or "scope",
        audiences=frozenset(config.list("sasl.oauthbearer.expected.audience")),
        issuer=config.get("sasl.oauthbearer.expected.issuer"),
        leeway=config.int("sasl.oauthbearer.clock.skew.seconds"),
    )
    if unsecured:
        if url is not None:
            raise ConfigError(
                f"{config.where(_KEYS)}={url}: keys are for signed tokens, and "
                f"{config.where(_HANDLER, OAUTHBEARER)} takes unsecured ones",
                option="config",
            )
        return UnsecuredTokens(claims)
    if not url:
        raise ConfigError(
            f"OAUTHBEARER at listener {config.listener}: say with {_KEYS} where the keys are that "
            "tokens are signed with (file:///... will do for a test); tokens that nobody has "
            f"signed are taken with {_HANDLER}=OAuthBearerUnsecuredValidatorCallbackHandler",
            option="config",
        )
    for what, expected, anyway in (
        ("audience", bool(claims.audiences), "sasl.oauthbearer.allow.unverified.audience"),
        ("issuer", claims.issuer is not None, "sasl.oauthbearer.allow.unverified.issuer"),
    ):
        if not expected and not config.flag(anyway):
            raise ConfigError(
                f"OAUTHBEARER at listener {config.listener}: set sasl.oauthbearer.expected.{what}, "
                f"or {anyway}=true to take tokens of any {what}",
                option="config",
            )
    refresh = config.int("sasl.oauthbearer.jwks.endpoint.refresh.ms") / 1000
    return SignedTokens(KeySet(url, refresh=refresh, clock=clock), claims)


def _takes_unsecured(config: ListenerConfig) -> bool:
    handler = config.get(_HANDLER, OAUTHBEARER)
    if handler is None:
        return False
    found = _HANDLERS.get(handler.rpartition(".")[2])
    if found is None:
        raise ConfigError(
            f"{config.where(_HANDLER, OAUTHBEARER)}={handler}: this broker knows what Kafka's "
            f"{' and '.join(_HANDLERS)} do, and runs no Java",
            option="config",
        )
    return found
