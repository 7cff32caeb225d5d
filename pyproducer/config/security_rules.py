"""What the options of security may not be, with the reason and the way out.

No text shows a password, a key or a token.
"""

from __future__ import annotations

import os
from ssl import SSLContext
from typing import TYPE_CHECKING, Final

from pyproducer.config.certificates import Certificates
from pyproducer.config.security_config import SASL_MECHANISMS, SECURITY_PROTOCOLS
from pyproducer.errors import ConfigError
from pyproducer.pem_files import is_pem

if TYPE_CHECKING:
    from pyproducer.config.security_config import SecurityConfig

__all__ = ["check_security"]

#: What is used with TLS alone, and what does not go with a context that is ready.
_SSL_FILES: Final = ("ssl_ca", "ssl_certificate", "ssl_key", "ssl_key_password")
_SASL: Final = ("sasl_mechanism", "sasl_username", "sasl_password", "sasl_token_provider")
_BY_PASSWORD: Final = ("PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512")


def check_security(config: SecurityConfig) -> None:
    """Refuse options of security that are wrong, missing or in conflict; files are read.

    Raises:
        ConfigError: with the first rule broken.
    """
    _check_types(config)
    tls = config.security_protocol in {"SSL", "SASL_SSL"}
    sasl = config.security_protocol in {"SASL_PLAINTEXT", "SASL_SSL"}
    _check_tls(config, tls=tls, other="SASL_SSL" if sasl else "SSL")
    _check_sasl(config, sasl=sasl, other="SASL_SSL" if tls else "SASL_PLAINTEXT")
    if tls and config.ssl_context is None:
        Certificates.of(config).check()


def _check_types(config: SecurityConfig) -> None:
    if config.security_protocol not in SECURITY_PROTOCOLS:
        raise _refuse(
            "security_protocol", f"={config.security_protocol!r} must be {_any(SECURITY_PROTOCOLS)}"
        )
    mechanism: object = config.sasl_mechanism
    if mechanism is not None and mechanism not in SASL_MECHANISMS:
        hint = (
            ": that is 'OAUTHBEARER' here, with a provider that signs as sasl_token_provider"
            if mechanism == "AWS_MSK_IAM"
            else ""
        )
        raise _refuse(
            "sasl_mechanism",
            f"={mechanism!r} must be {_any(SASL_MECHANISMS)} or None{hint}",
        )
    if not isinstance(config.ssl_context, SSLContext | None):
        raise _refuse("ssl_context", "must be an ssl.SSLContext or None")
    for name in ("ssl_ca", "ssl_certificate", "ssl_key"):
        value = getattr(config, name)
        if isinstance(value, bytes) and not is_pem(value):
            raise _refuse(name, "is bytes without '-----BEGIN': give PEM, or a path as a str")
        if not isinstance(value, str | bytes | os.PathLike | None) or value in {"", b""}:
            raise _refuse(name, "must be the path of a PEM file, the PEM itself, or None")
    if not isinstance(config.ssl_key_password, str | bytes | None):
        raise _refuse("ssl_key_password", "must be a str, bytes or None")
    if not isinstance(config.ssl_check_hostname, bool):
        raise _refuse("ssl_check_hostname", f"={config.ssl_check_hostname!r} must be a bool")
    for name in ("sasl_username", "sasl_kerberos_service_name"):
        value = getattr(config, name)
        if not (isinstance(value, str) and value) and not (value is None and "user" in name):
            raise _refuse(name, "must be a non-empty str")
        if value and "\0" in value:
            raise _refuse(name, "must be without NUL characters")
    password = config.sasl_password
    if (
        password is not None
        and not callable(password)
        and not (isinstance(password, str) and password)
    ):
        raise _refuse("sasl_password", "must be a non-empty str, or a callable that gives one")
    if isinstance(password, str) and "\0" in password:
        raise _refuse("sasl_password", "must be without NUL characters")
    if not (config.sasl_token_provider is None or callable(config.sasl_token_provider)):
        raise _refuse("sasl_token_provider", "must be a callable that gives a Token")


def _check_tls(config: SecurityConfig, *, tls: bool, other: str) -> None:
    given = [name for name in _SSL_FILES if getattr(config, name) is not None]
    if config.ssl_context is not None:
        given.insert(0, "ssl_context")
    if not config.ssl_check_hostname:
        given.append("ssl_check_hostname")
    if given and not tls:
        raise _refuse(
            given[0],
            f"has no meaning with security_protocol={config.security_protocol!r}, which speaks no "
            f"TLS. Say security_protocol={other!r}, or leave it out",
        )
    if config.ssl_context is not None and len(given) > 1:
        raise _refuse(
            "ssl_context",
            f"and {given[1]} do not go together: a context is used as it is. Load it into the "
            "context, or leave the context out",
        )
    if config.ssl_certificate is None:
        for name in ("ssl_key", "ssl_key_password"):
            if getattr(config, name) is not None:
                raise _refuse(name, "is of no use without ssl_certificate. Give both or neither")


def _check_sasl(config: SecurityConfig, *, sasl: bool, other: str) -> None:
    given = [name for name in _SASL if getattr(config, name) is not None]
    if given and not sasl:
        raise _refuse(
            given[0],
            f"has no meaning with security_protocol={config.security_protocol!r}, which proves "
            f"nobody's name. Say security_protocol={other!r}, or leave it out",
        )
    if not sasl:
        return
    mechanism = config.sasl_mechanism
    if mechanism is None:
        raise _refuse(
            "security_protocol",
            f"={config.security_protocol!r} needs sasl_mechanism: {_any(SASL_MECHANISMS)}",
        )
    wanted: tuple[str, ...] = ()
    if mechanism in _BY_PASSWORD:
        wanted = ("sasl_username", "sasl_password")
    elif mechanism == "OAUTHBEARER":
        wanted = ("sasl_token_provider",)
    for name in wanted:
        if name not in given:
            raise _refuse("sasl_mechanism", f"={mechanism!r} needs {name}")
    for name in given[1:]:
        if name not in wanted:
            raise _refuse(
                name,
                f"has no meaning with sasl_mechanism={mechanism!r}"
                + (f", which takes {' and '.join(wanted)}" if wanted else "")
                + ". Leave it out",
            )
    if mechanism == "GSSAPI" and not _is_installed("gssapi"):
        raise _refuse(
            "sasl_mechanism",
            "='GSSAPI' needs a package that is not installed: pip install 'pyproducer[gssapi]'",
        )


def _is_installed(package: str) -> bool:
    from importlib.util import find_spec

    return find_spec(package) is not None


def _any(names: tuple[str, ...]) -> str:
    return "one of " + ", ".join(map(repr, names))


def _refuse(name: str, text: str) -> ConfigError:
    joint = "" if text.startswith("=") else " "
    return ConfigError(f"{name}{joint}{text}.", option=name)
