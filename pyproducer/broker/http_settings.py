"""Where the HTTP side listens and who may ask it something, checked."""

from __future__ import annotations

import contextlib
import ipaddress
import ssl
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from pyproducer.errors import ConfigError
from pyproducer.pem_files import as_file

__all__ = ["HttpSettings", "checked_http", "is_loopback"]

_MAX_PORT: Final = 65535
#: What `secrets.token_urlsafe` gives for 12 bytes, which nobody guesses.
_SHORTEST_TOKEN: Final = 16
_PEM: Final = "-----BEGIN "


@dataclass(frozen=True, slots=True, kw_only=True)
class HttpSettings:
    """The arguments of `Broker` about its HTTP side, which documents them.

    Attributes:
        host: Address to listen at.
        port: Port to listen at.
        token: What requests have to bring, or None.
        tls: What is shown to clients, or None for plain HTTP.
    """

    host: str
    port: int
    token: str | None = field(repr=False)
    tls: ssl.SSLContext | None


def is_loopback(host: str) -> bool:
    """Whether the host, an address or a name, is of this machine alone."""
    if host.lower() == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def checked_http(
    port: int | None,
    host: str,
    token: str | None,
    certificate: str | Path | None,
    key: str | Path | None,
) -> HttpSettings | None:
    """The settings; None without a port.

    Raises:
        ConfigError: One of them is not possible, or others could reach it and need no token.
    """
    if port is None:
        if token is not None or certificate is not None or key is not None:
            raise ConfigError(
                "http_token, http_certificate and http_key are of the HTTP side, and there is "
                "none: give http_port",
                option="http_port",
            )
        return None
    if not isinstance(port, int) or isinstance(port, bool) or not 0 <= port <= _MAX_PORT:
        raise ConfigError(
            f"http_port={port!r} is no port: give 0 to {_MAX_PORT}, where 0 lets the system pick "
            "a free one",
            option="http_port",
        )
    if not isinstance(host, str):
        raise ConfigError(
            f"http_host={host!r} is no address: give a text such as '127.0.0.1'",
            option="http_host",
        )
    if token is not None:
        _check_token(token)
    elif not is_loopback(host):
        raise ConfigError(
            f"http_host={host!r} can be reached from other machines, and whoever reaches the HTTP "
            "side sees all there is and sets faults: give http_token too, or listen at 127.0.0.1",
            option="http_host",
        )
    return HttpSettings(host=host, port=port, token=token, tls=_context(certificate, key))


def _check_token(token: str) -> None:
    # Its value is never in a message.
    problem = None
    if not isinstance(token, str):
        problem = "is no text"
    elif len(token) < _SHORTEST_TOKEN:
        problem = f"has {len(token)} characters, and takes at least {_SHORTEST_TOKEN}"
    elif not token.isascii() or not token.isprintable() or " " in token:
        problem = "has characters that a header cannot carry: use letters, digits, - and _"
    if problem is not None:
        raise ConfigError(
            f"http_token {problem}; python -c 'import secrets; print(secrets.token_urlsafe())' "
            "makes one",
            option="http_token",
        )


def _context(certificate: str | Path | None, key: str | Path | None) -> ssl.SSLContext | None:
    if certificate is None:
        if key is not None:
            raise ConfigError("http_key needs http_certificate beside it", option="http_key")
        return None
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    with contextlib.ExitStack() as files:
        chain = _file("http_certificate", certificate, files)
        private = None if key is None else _file("http_key", key, files)
        try:
            context.load_cert_chain(chain, private, password=_no_password)
        except (ssl.SSLError, OSError, _Locked) as error:
            raise ConfigError(
                f"http_certificate and http_key cannot be used: {_reason(error)}",
                option="http_certificate",
            ) from None
    return context


class _Locked(Exception):
    """A private key has a password."""


def _no_password() -> str:
    # Without this, OpenSSL would ask for it on the terminal.
    raise _Locked("the private key has a password: give one without")


def _file(option: str, value: str | Path, files: contextlib.ExitStack) -> Path:
    if isinstance(value, str) and value.lstrip().startswith(_PEM):
        return Path(files.enter_context(as_file(value)))
    if not isinstance(value, str | Path):
        raise ConfigError(f"{option} takes a path, or a text in PEM", option=option)
    path = Path(value)
    if not path.is_file():
        raise ConfigError(f"{option}: there is no file {path}", option=option)
    return path


def _reason(error: Exception) -> str:
    if isinstance(error, ssl.SSLError):
        reason = (error.reason or "no PEM").replace("_", " ").lower()
        return f"{reason}; both are PEM, and the key is that of the first certificate"
    return str(error)
