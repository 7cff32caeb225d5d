"""TLS of one listener: what it shows, whom it trusts, and who a client is by its certificate.

Settings and files are looked at whenever a client comes, so that a new certificate is shown from
then on, whether its files were replaced or other ones, or other texts, were set while the broker
runs. One that cannot be used is told in the log, and the one before it stays.
"""

from __future__ import annotations

import logging
import ssl
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple

from pyproducer.broker.security.distinguished_name import subject_of
from pyproducer.broker.security.pem import pem_blocks, refuse_other_stores
from pyproducer.broker.security.principal_mapping import PrincipalMapping
from pyproducer.broker.security.tls_alert import AlertingSSLObject
from pyproducer.errors import ConfigError
from pyproducer.pem_files import as_file, stamp
from pyproducer.protocol.principal import USER, Principal

if TYPE_CHECKING:
    from pyproducer.broker.security.listener_config import ListenerConfig

__all__ = ["ListenerTls", "OwnCertificate"]

log = logging.getLogger(__name__)

_VERSIONS: Final = {"TLSv1.2": ssl.TLSVersion.TLSv1_2, "TLSv1.3": ssl.TLSVersion.TLSv1_3}
_CLIENTS: Final = {
    "none": ssl.CERT_NONE,
    "requested": ssl.CERT_OPTIONAL,
    "required": ssl.CERT_REQUIRED,
}
_SETTINGS: Final = (
    "ssl.client.auth",
    "ssl.enabled.protocols",
    "ssl.key.password",
    "ssl.keystore.certificate.chain",
    "ssl.keystore.key",
    "ssl.keystore.location",
    "ssl.keystore.type",
    "ssl.truststore.certificates",
    "ssl.truststore.location",
    "ssl.truststore.type",
)


class OwnCertificate(NamedTuple):
    """What a listener shows that is configured to show nothing: made for it when it started.

    Attributes:
        certificate: File of the chain.
        key: File of the private key.
        authority: File of who has signed it, and signs clients' ones too.
    """

    certificate: Path
    key: Path
    authority: Path


class ListenerTls:
    """The TLS side of a listener.

    Args:
        config: The listener's settings.
        own: What it shows if none is configured; None is nothing.
        sasl: Whether clients say who they are by SASL, so that only what is set for this listener
            alone makes it ask for certificates, as in Kafka.

    Raises:
        ConfigError: What is configured cannot be used.
    """

    def __init__(self, config: ListenerConfig, own: OwnCertificate | None, *, sasl: bool) -> None:
        self._config = config
        self._own = own
        self._sasl = sasl
        rules = config.get("ssl.principal.mapping.rules") or ""
        try:
            self._mapping = PrincipalMapping(rules)
        except ValueError as error:
            raise ConfigError(
                f"{config.where('ssl.principal.mapping.rules')}: {error}", option="config"
            ) from None
        self._seen = self._look()
        self._context = self._build()

    def context(self) -> ssl.SSLContext:
        """What the next client is met with."""
        seen = self._look()
        if seen != self._seen:
            # Once for each change: what is wrong stays so until somebody changes it again.
            self._seen = seen
            try:
                self._context = self._build()
            except ConfigError as error:
                log.error("listener %s keeps its certificates: %s", self._config.listener, error)
            else:
                log.info("listener %s has new certificates", self._config.listener)
        return self._context

    def principal(self, certificate: bytes) -> Principal:
        """Who a client is, by the certificate that it has shown, in DER.

        Raises:
            NoRuleApplies: Nobody who is let in.
            ValueError: That is no certificate.
        """
        return Principal(USER, self._mapping.name(subject_of(certificate)))

    def _look(self) -> tuple[object, ...]:
        """What the context was made of, as far as one sees without reading it."""
        config = self._config
        return (
            *(config.get(name) for name in _SETTINGS),
            config.own("ssl.client.auth"),
            *(
                stamp(location) if (location := config.get(name)) else None
                for name in ("ssl.keystore.location", "ssl.truststore.location")
            ),
        )

    def _build(self) -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.sslobject_class = AlertingSSLObject
        # A client that never reads, as with acks=0, would close on tickets that it has not read: a
        # reset, which takes with it what it sent last.
        context.num_tickets = 0
        self._set_versions(context)
        self._load_chain(context)
        self._load_trusted(context)
        return context

    def _set_versions(self, context: ssl.SSLContext) -> None:
        names = self._config.list("ssl.enabled.protocols")
        unknown = [name for name in names if name not in _VERSIONS]
        if unknown or not names:
            raise self._refused("ssl.enabled.protocols", f"name {', '.join(_VERSIONS)} or both")
        versions = [_VERSIONS[name] for name in names]
        context.minimum_version, context.maximum_version = min(versions), max(versions)

    def _load_chain(self, context: ssl.SSLContext) -> None:
        config = self._config
        chain, key = config.get("ssl.keystore.certificate.chain"), config.get("ssl.keystore.key")
        location = config.get("ssl.keystore.location")
        if not (chain or key or location):
            if self._own is None:
                raise ConfigError(
                    f"listener {config.listener} has no certificate: set ssl.keystore.type=PEM and "
                    "ssl.keystore.location, a file with private key and certificates",
                    option="config",
                )
            context.load_cert_chain(self._own.certificate, self._own.key)
            return
        where = config.where("ssl.keystore.type")
        refuse_other_stores(where, config.get("ssl.keystore.type"), location)
        if location and (chain or key):
            raise self._refused(
                "ssl.keystore.location", "it is set, and so are key or chain as text: one too many"
            )
        name = "ssl.keystore.location" if location else "ssl.keystore.key"
        text = self._read(name, location) if location else f"{key or ''}\n{chain or ''}"
        blocks = pem_blocks(text)
        for what, found in blocks.items():
            if not found:
                raise self._refused(name, f"there are no {what} in it: both belong there")
        password = config.get("ssl.key.password")
        try:
            with as_file(blocks["key"] + blocks["certificates"]) as path:
                # Without a password OpenSSL would ask for one at the terminal.
                context.load_cert_chain(path, password=password or "")
        except (ssl.SSLError, ValueError) as error:
            reason = getattr(error, "reason", None) or "the key cannot be read"
            hint = "; is ssl.key.password right?" if "ENCRYPTED" in blocks["key"] else ""
            raise self._refused(name, f"{reason}{hint}") from None

    def _load_trusted(self, context: ssl.SSLContext) -> None:
        config = self._config
        mode = self._client_auth
        context.verify_mode = _CLIENTS[mode]
        certificates = config.get("ssl.truststore.certificates")
        location = config.get("ssl.truststore.location")
        if not (certificates or location):
            if mode == "none":
                return
            if self._own is None:
                raise self._refused(
                    "ssl.client.auth",
                    "whom to trust is not said: set ssl.truststore.type=PEM and "
                    "ssl.truststore.location",
                )
            context.load_verify_locations(self._own.authority)
            return
        where = config.where("ssl.truststore.type")
        refuse_other_stores(where, config.get("ssl.truststore.type"), location)
        if location and certificates:
            raise self._refused(
                "ssl.truststore.location",
                "it is set, and so are certificates as text: one too many",
            )
        name = "ssl.truststore.location" if location else "ssl.truststore.certificates"
        text = self._read(name, location) if location else certificates or ""
        found = pem_blocks(text)["certificates"]
        try:
            context.load_verify_locations(cadata=found)
        except (ssl.SSLError, ValueError):
            raise self._refused(name, "there are no certificates in it") from None

    @property
    def _client_auth(self) -> str:
        config = self._config
        mode = config.own("ssl.client.auth") if self._sasl else config.get("ssl.client.auth")
        if self._own is not None and not self._sasl and not config.given("ssl.client.auth"):
            # Its authority was made for nothing but this broker's clients.
            return "requested"
        return mode or "none"

    def _read(self, name: str, location: str) -> str:
        try:
            return Path(location).read_text(encoding="ascii", errors="replace")
        except OSError as error:
            raise self._refused(name, f"it cannot be read: {error.strerror}") from None

    def _refused(self, name: str, why: str) -> ConfigError:
        where = self._config.where(name)
        hidden = name in {"ssl.keystore.key", "ssl.truststore.certificates"}
        shown = where if hidden else f"{where}={self._config.get(name)}"
        return ConfigError(f"{shown}: {why}", option="config")
