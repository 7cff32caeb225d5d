"""The options that say how a connection is secured and who we are.

They are the base of :class:`~pyproducer.ProducerConfig`, which checks them by
:mod:`pyproducer.config.security_rules`.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from ssl import SSLContext
from typing import Literal, TypeAlias, TypedDict

from pyproducer.config.option import about
from pyproducer.security import Password, TokenProvider

__all__ = [
    "SASL_MECHANISMS",
    "SECURITY_PROTOCOLS",
    "PemOption",
    "SaslMechanism",
    "SecurityConfig",
    "SecurityOptions",
    "SecurityProtocol",
]

SecurityProtocol: TypeAlias = Literal["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"]
SaslMechanism: TypeAlias = Literal[
    "PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512", "OAUTHBEARER", "GSSAPI"
]
#: A file, or what would be in it: text with ``-----BEGIN``.
PemOption: TypeAlias = str | bytes | os.PathLike[str]

SECURITY_PROTOCOLS = ("PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL")
SASL_MECHANISMS = ("PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512", "OAUTHBEARER", "GSSAPI")


class SecurityOptions(TypedDict, total=False):
    """The options of :class:`SecurityConfig` as keyword arguments of a producer."""

    security_protocol: SecurityProtocol
    ssl_context: SSLContext | None
    ssl_ca: PemOption | None
    ssl_certificate: PemOption | None
    ssl_key: PemOption | None
    ssl_key_password: str | bytes | None
    ssl_check_hostname: bool
    sasl_mechanism: SaslMechanism | None
    sasl_username: str | None
    sasl_password: Password | None
    sasl_token_provider: TokenProvider | None
    sasl_kerberos_service_name: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SecurityConfig:
    """How connections are secured, and who we are."""

    security_protocol: SecurityProtocol = field(
        default="PLAINTEXT",
        metadata=about(
            "How the brokers' listener is secured: not at all, by TLS, by SASL, or by both. "
            "SASL_PLAINTEXT sends what it proves you with over the network as it is: for tests.",
            choices=SECURITY_PROTOCOLS,
            kafka="security.protocol",
            librdkafka="security.protocol",
        ),
    )
    ssl_context: SSLContext | None = field(
        default=None,
        metadata=about(
            "A context of your own for TLS, used as it is; the other ssl options stay out then.",
        ),
    )
    ssl_ca: PemOption | None = field(
        default=None,
        metadata=about(
            "Certificates of the authorities to trust: a PEM file, or its text. None trusts those "
            "of the system. A file that changes is read again for new connections.",
            kafka="ssl.truststore.location, ssl.truststore.certificates",
            librdkafka="ssl.ca.location",
        ),
    )
    ssl_certificate: PemOption | None = field(
        default=None,
        metadata=about(
            "Our own certificate, with those up to the authority: a PEM file, or its text; for "
            "brokers that want one. A file that changes is read again for new connections.",
            kafka="ssl.keystore.location, ssl.keystore.certificate.chain",
            librdkafka="ssl.certificate.location",
        ),
    )
    ssl_key: PemOption | None = field(
        default=None,
        metadata=about(
            "The private key of ssl_certificate: a PEM file, or its text. None where it stands in "
            "the same file as the certificate.",
            kafka="ssl.keystore.key",
            librdkafka="ssl.key.location",
            secret=True,
        ),
    )
    ssl_key_password: str | bytes | None = field(
        default=None,
        metadata=about(
            "What the private key is encrypted with.",
            kafka="ssl.key.password",
            librdkafka="ssl.key.password",
            secret=True,
        ),
    )
    ssl_check_hostname: bool = field(
        default=True,
        metadata=about(
            "Whether a broker's certificate has to be for the host that we connected to. False "
            "believes any holder of a certificate of the authority.",
            choices=(True, False),
            kafka="ssl.endpoint.identification.algorithm",
            librdkafka="ssl.endpoint.identification.algorithm",
        ),
    )
    sasl_mechanism: SaslMechanism | None = field(
        default=None,
        metadata=about(
            "How we prove who we are, where security_protocol has SASL. AWS_MSK_IAM is "
            "OAUTHBEARER with a provider that signs.",
            choices=(None, *SASL_MECHANISMS),
            kafka="sasl.mechanism",
            librdkafka="sasl.mechanism",
        ),
    )
    sasl_username: str | None = field(
        default=None,
        metadata=about(
            "Our name, for PLAIN and SCRAM.",
            kafka="sasl.jaas.config",
            librdkafka="sasl.username",
        ),
    )
    sasl_password: Password | None = field(
        default=None,
        metadata=about(
            "Our password, for PLAIN and SCRAM; or a callable that gives it, now or awaited, so "
            "that each new connection uses the one that holds.",
            kafka="sasl.jaas.config",
            librdkafka="sasl.password",
            secret=True,
        ),
    )
    sasl_token_provider: TokenProvider | None = field(
        default=None,
        metadata=about(
            "Gives the tokens of OAUTHBEARER: a callable that gives a Token, now or awaited. It "
            "is asked again when 80 % of a token's life is over.",
            kafka="sasl.jaas.config",
            librdkafka="oauth_cb",
            secret=True,
        ),
    )
    sasl_kerberos_service_name: str = field(
        default="kafka",
        metadata=about(
            "The first part of the brokers' Kerberos principal, for GSSAPI.",
            kafka="sasl.kerberos.service.name",
            librdkafka="sasl.kerberos.service.name",
        ),
    )
