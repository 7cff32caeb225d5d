"""The list of brokers a client asks first, as its user writes it."""

from __future__ import annotations

from collections.abc import Sequence

from pyproducer.errors import ConfigError

__all__ = ["DEFAULT_PORT", "parse_bootstrap"]

DEFAULT_PORT = 9092


def parse_bootstrap(value: str | Sequence[str]) -> tuple[tuple[str, int], ...]:
    """Return the (host, port) pairs of a bootstrap list, in order and each once.

    Args:
        value: ``"host:port,host2:port"`` or a sequence of such. The port defaults to 9092; an
            IPv6 address stands in brackets: ``"[::1]:9092"``.

    Raises:
        ConfigError: the list is empty, or an entry is no host with a port.
    """
    if isinstance(value, str):
        entries = value.split(",")
    elif isinstance(value, Sequence) and all(isinstance(entry, str) for entry in value):
        entries = [part for entry in value for part in entry.split(",")]
    else:
        raise _bad_bootstrap(f"must be 'host:port' text or a sequence of such, not {value!r}")
    addresses = tuple(dict.fromkeys(_parse_address(e.strip()) for e in entries if e.strip()))
    if not addresses:
        raise _bad_bootstrap(f"names no broker: {value!r}. Give at least one 'host:port'")
    return addresses


def _parse_address(entry: str) -> tuple[str, int]:
    if "://" in entry:
        scheme, _, rest = entry.partition("://")
        raise _bad_bootstrap(
            f"takes host:port without a scheme, not {entry!r}. Leave out {scheme + '://'!r}"
            + (f" and write {rest!r}" if rest and "/" not in rest else "")
        )
    if entry.startswith("["):
        host, bracket, rest = entry[1:].partition("]")
        if not bracket or ":" not in host or (rest and not rest.startswith(":")):
            raise _bad_bootstrap(f"has a broken IPv6 address: {entry!r}. Write '[::1]:9092'")
        port = rest[1:] if rest else str(DEFAULT_PORT)
    elif entry.count(":") > 1:
        raise _bad_bootstrap(f"has an IPv6 address without brackets: {entry!r}. Write '[::1]:9092'")
    else:
        host, colon, port = entry.partition(":")
        port = port if colon else str(DEFAULT_PORT)
    if not host or any(c.isspace() or c in "/@[]?#" for c in host):
        raise _bad_bootstrap(f"has no valid host in {entry!r}. Write 'host:port'")
    if not (port.isascii() and port.isdigit()) or not 1 <= int(port) <= 65_535:
        raise _bad_bootstrap(f"has no valid port in {entry!r}. Ports are 1 to 65535")
    return host, int(port)


def _bad_bootstrap(text: str) -> ConfigError:
    return ConfigError(f"bootstrap_servers {text}.", option="bootstrap_servers")
