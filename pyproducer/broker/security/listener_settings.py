"""A broker's listeners from its arguments and from Kafka's properties, whichever say it."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

from pyproducer.broker.configs import BrokerConfig, listed, listener_of
from pyproducer.broker.security.listener import (
    Listener,
    SecurityProtocol,
    checked_listeners,
)
from pyproducer.broker.security.listener_config import ListenerConfig
from pyproducer.broker.security.mechanisms import check_mechanisms
from pyproducer.broker.security.principal_mapping import PrincipalMapping
from pyproducer.errors import ConfigError

if TYPE_CHECKING:
    from pyproducer.clock import Clock

__all__ = [
    "PLACES",
    "BadPlace",
    "check_security",
    "chosen_listeners",
    "listeners_of",
    "moved",
    "prefixed",
]

_LISTENERS: Final = "listeners"
_ADVERTISED: Final = "advertised.listeners"
_MAP: Final = "listener.security.protocol.map"
#: Kafka's properties that say where a broker listens.
PLACES: Final = (_LISTENERS, _ADVERTISED, _MAP)

_ADDRESS: Final = re.compile(
    r"(?P<name>[A-Za-z0-9_.-]+)://\[?(?P<host>[^\[\]/]*?)\]?:(?P<port>[0-9]+)"
)
_HOST: Final = "127.0.0.1"
#: Settings that are nothing without a listener of their kind.
_OF_TLS: Final = "ssl."
_OF_SASL: Final = ("sasl.", "connections.max.reauth.ms")


class BadPlace(Exception):
    """A property about listeners that cannot be used.

    Attributes:
        name: Which one.
    """

    def __init__(self, name: str, why: str) -> None:
        super().__init__(f"{name}: {why}")
        self.name = name


def chosen_listeners(
    *,
    listeners: Iterable[Listener] | None,
    security: str | None,
    host: str,
    port: int,
    advertised_host: str | None,
    config: Mapping[str, Any],
) -> tuple[Listener, ...]:
    """The listeners, from the one place that says something about them.

    Raises:
        ConfigError: Two of them do, or what is said is not possible.
    """
    places = {name: str(config[name]) for name in PLACES if name in config}
    short = security is not None or (host, port, advertised_host) != (_HOST, 0, None)
    said = {
        "listeners": listeners is not None,
        "config's listeners": bool(places),
        "host, port, advertised_host and security": short,
    }
    if sum(said.values()) > 1:
        both = " and ".join(name for name, found in said.items() if found)
        raise ConfigError(f"{both} say where to listen: leave one of them out", option="listeners")
    if listeners is not None:
        return checked_listeners(listeners)
    if places:
        try:
            return checked_listeners(listeners_of(places))
        except BadPlace as bad:
            raise ConfigError(str(bad), option="config") from None
    protocol = security or SecurityProtocol.PLAINTEXT
    if protocol not in set(SecurityProtocol):
        raise ConfigError(
            f"security={security!r} is none of {', '.join(SecurityProtocol)}", option="security"
        )
    one = Listener(protocol=protocol, host=host, port=port, advertised_host=advertised_host)
    return checked_listeners([one])


def listeners_of(places: Mapping[str, str], without: Iterable[str] = ()) -> list[Listener]:
    """The listeners that Kafka's properties describe.

    Args:
        places: Those of `PLACES` that are set.
        without: Names of listeners that are passed over: controllers.

    Raises:
        BadPlace: One of the properties cannot be used.
    """
    passed_over = set(without)
    found = [one for one in _addresses(places, _LISTENERS) if one["name"] not in passed_over]
    told = [one for one in _addresses(places, _ADVERTISED) if one["name"] not in passed_over]
    where = _LISTENERS if found else _ADVERTISED
    if not found:
        if len(told) > 1:
            raise BadPlace(_ADVERTISED, "name the one listener of listeners, and its address")
        # What clients are told says enough of the one listener that there is anyway.
        found = [{**one, "host": _HOST} for one in told]
    made = {one["name"]: _listener(one, places, where) for one in found}
    for one in told:
        if one["name"] not in made:
            raise BadPlace(_ADVERTISED, f"{one['name']} is no listener of listeners")
        listener = made[one["name"]]
        port = int(one["port"])
        made[one["name"]] = replace(
            listener,
            advertised_host=one["host"] or None,
            advertised_port=None if port in {0, listener.port} else port,
        )
    return list(made.values())


def _listener(address: Mapping[str, str], places: Mapping[str, str], where: str) -> Listener:
    """A listener at an address that is told by the property `where`."""
    name = address["name"]
    told = places.get(_MAP)
    if told is None:
        protocols = {one.value: one.value for one in SecurityProtocol}
    else:
        pairs = (item.partition(":") for item in listed(told))
        protocols = {one.strip(): kind.strip() for one, _, kind in pairs}
    protocol = protocols.get(name)
    if protocol is None:
        raise BadPlace(
            _MAP if told is not None else where,
            f"what {name} speaks is not said; add {_MAP}=...,{name}:PLAINTEXT",
        )
    if protocol not in set(SecurityProtocol):
        raise BadPlace(
            _MAP, f"{name} is {protocol}, which is none of {', '.join(SecurityProtocol)}"
        )
    return Listener(name=name, protocol=protocol, host=address["host"], port=int(address["port"]))


def _addresses(places: Mapping[str, str], name: str) -> list[dict[str, str]]:
    found = []
    for item in listed(places.get(name, "")):
        match = _ADDRESS.fullmatch(item)
        if match is None:
            raise BadPlace(name, f"{item!r} is not NAME://HOST:PORT")
        found.append(match.groupdict())
    return found


def moved(
    listeners: Iterable[Listener],
    *,
    host: str | None = None,
    port: int | None = None,
    advertised_host: str | None = None,
) -> list[Listener]:
    """A file's listener at another place; what is None stays as it is.

    Raises:
        ConfigError: There are several.
    """
    [*found] = listeners
    if host is None and port is None and advertised_host is None:
        return found
    if len(found) > 1:
        raise ConfigError(
            f"host and port are for a broker with one listener, and the file has {len(found)}: "
            "say them with listeners",
            option="listeners",
        )
    [one] = found
    if host is not None:
        # What the file says clients are told is of the address that the file has.
        one = replace(one, host=host, advertised_host=None, advertised_port=None)
    if port is not None:
        one = replace(one, port=port, advertised_port=None)
    if advertised_host is not None:
        one = replace(one, advertised_host=advertised_host)
    return [one]


def prefixed(listeners: Iterable[Listener]) -> dict[str, str]:
    """What the listeners are configured with, by the names that Kafka has for it."""
    return {
        f"listener.name.{one.name.lower()}.{name}": value
        for one in listeners
        for name, value in one.config.items()
    }


def check_security(
    listeners: Iterable[Listener],
    given: Mapping[str, str],
    config: Mapping[str, str],
    clock: Clock,
    *,
    users: bool,
) -> None:
    """Returns if every setting about security is of a listener that heeds it, and is possible.

    Args:
        listeners: The listeners.
        given: What was set, rather than being a default of this broker's.
        config: All of it.
        clock: Real time.
        users: Whether there are users with passwords.

    Raises:
        ConfigError: One of them is not.
    """
    [*found] = listeners
    names = {one.name.lower(): one for one in found}
    for name in given:
        owner = listener_of(name)
        if owner is not None and owner not in names:
            raise ConfigError(
                f"{name}: there is no listener {owner.upper()}, but "
                f"{', '.join(one.name for one in found)}",
                option="config",
            )
        of_whom = found if owner is None else [names[owner]]
        own = name if owner is None else name.removeprefix(f"listener.name.{owner}.")
        for begin, heeded in (
            (_OF_TLS, any(one.security.tls for one in of_whom)),
            (_OF_SASL, any(one.security.sasl for one in of_whom)),
        ):
            # Behind a listener's prefix there may be a mechanism's.
            if not heeded and (own.startswith(begin) or own.partition(".")[2].startswith(begin)):
                kind = "TLS" if begin == _OF_TLS else "SASL"
                raise ConfigError(
                    f"{name} has no effect: no listener of its speaks {kind}", option="config"
                )
    if users and not any(one.security.sasl for one in found):
        raise ConfigError(
            "users are asked for passwords where SASL is spoken: "
            "add security='SASL_PLAINTEXT' or security='SASL_SSL'",
            option="users",
        )
    broker = BrokerConfig(config)
    for one in found:
        own_config = ListenerConfig(broker, one.name)
        if one.security.sasl:
            check_mechanisms(own_config, clock)
        if one.security.tls:
            try:
                PrincipalMapping(own_config.get("ssl.principal.mapping.rules") or "")
            except ValueError as error:
                where = own_config.where("ssl.principal.mapping.rules")
                raise ConfigError(f"{where}: {error}", option="config") from None
