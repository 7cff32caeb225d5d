"""Where a broker listens, and what is spoken there."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

from pyproducer.errors import ConfigError

__all__ = ["Listener", "SecurityProtocol", "checked_listeners"]

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]*")
_MAX_PORT: Final = 65535


class SecurityProtocol(StrEnum):
    """Kafka's names for what stands between a client's requests and the network."""

    PLAINTEXT = "PLAINTEXT"
    SSL = "SSL"
    SASL_PLAINTEXT = "SASL_PLAINTEXT"
    SASL_SSL = "SASL_SSL"

    @property
    def tls(self) -> bool:
        """Whether connections are encrypted."""
        return self in {SecurityProtocol.SSL, SecurityProtocol.SASL_SSL}

    @property
    def sasl(self) -> bool:
        """Whether clients say who they are by SASL."""
        return self in {SecurityProtocol.SASL_PLAINTEXT, SecurityProtocol.SASL_SSL}


@dataclass(frozen=True, slots=True, kw_only=True)
class Listener:
    """One address that a broker listens at.

    Attributes:
        name: Kafka's name of the listener; "" is the name of its protocol.
        protocol: `PLAINTEXT`, `SSL`, `SASL_PLAINTEXT` or `SASL_SSL`.
        host: Address to listen at; "" is every address.
        port: Port to listen at; 0 lets the system pick one.
        advertised_host: Address told to clients that came in here; None is `host`, or
            "localhost" if that means every address.
        advertised_port: Port told to them, where something stands in between; None is `port`.
        config: Kafka's configurations that hold for this listener alone, by their names without
            the prefix `listener.name.NAME.`, such as `ssl.client.auth`. May hold secrets, and is
            not shown.
    """

    name: str = ""
    protocol: str = SecurityProtocol.PLAINTEXT
    host: str = "127.0.0.1"
    port: int = 0
    advertised_host: str | None = None
    advertised_port: int | None = None
    config: Mapping[str, str] = field(default_factory=dict, repr=False)

    @property
    def told_host(self) -> str:
        """The address that its clients are told."""
        # Nobody connects to every address.
        every = self.host in {"", "0.0.0.0", "::"}  # noqa: S104
        return self.advertised_host or ("localhost" if every else self.host)

    @property
    def security(self) -> SecurityProtocol:
        """The protocol, which was checked."""
        return SecurityProtocol(self.protocol)


def checked_listeners(listeners: Iterable[Listener]) -> tuple[Listener, ...]:
    """The listeners, each with a name of its own.

    Raises:
        ConfigError: One of them is not possible, or two have the same name or place.
    """
    problem = "listeners takes Listener objects"
    if isinstance(listeners, str | Mapping | Listener) or not isinstance(listeners, Iterable):
        raise ConfigError(f"{problem} in a list, not {listeners!r}", option="listeners")
    found: dict[str, Listener] = {}
    places: set[tuple[str, int]] = set()
    for one in listeners:
        if not isinstance(one, Listener):
            raise ConfigError(f"{problem}, not {one!r}", option="listeners")
        named = _named(one)
        # Kafka's prefixes are in small letters, so that names which differ in case alone are one.
        if named.name.lower() in {name.lower() for name in found}:
            raise ConfigError(
                f"two listeners are called {named.name}: give each a name of its own",
                option="listeners",
            )
        place = named.host, named.port
        if named.port and place in places:
            raise ConfigError(
                f"two listeners listen at port {named.port} of {named.host or 'every address'}",
                option="listeners",
            )
        places.add(place)
        found[named.name] = named
    if not found:
        raise ConfigError("listeners: a broker needs one at least", option="listeners")
    return tuple(found.values())


def _named(one: Listener) -> Listener:
    try:
        protocol = SecurityProtocol(one.protocol)
    except ValueError:
        raise ConfigError(
            f"protocol={one.protocol!r} of a listener is none of {', '.join(SecurityProtocol)}",
            option="listeners",
        ) from None
    name = one.name or protocol.value
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        raise ConfigError(
            f"{name!r} is no name of a listener: letters, digits, '_' and '-' make one",
            option="listeners",
        )
    _check_place(name, one)
    if not isinstance(one.config, Mapping):
        raise ConfigError(
            f"listener {name}: config maps Kafka's names to values", option="listeners"
        )
    return Listener(
        name=name,
        protocol=protocol.value,
        host=one.host,
        port=one.port,
        advertised_host=one.advertised_host,
        advertised_port=one.advertised_port,
        config={key: _text(value) for key, value in one.config.items()},
    )


def _check_place(name: str, one: Listener) -> None:
    for what, host in (("host", one.host), ("advertised_host", one.advertised_host or "")):
        if not isinstance(host, str):
            raise ConfigError(
                f"listener {name}: {what}={host!r} is no address: give a text", option="listeners"
            )
    for what, port in (("port", one.port), ("advertised_port", one.advertised_port)):
        if port is not None and (
            not isinstance(port, int) or isinstance(port, bool) or not 0 <= port <= _MAX_PORT
        ):
            raise ConfigError(
                f"listener {name}: {what}={port!r} is no port: give 0 to {_MAX_PORT}",
                option="listeners",
            )


def _text(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
