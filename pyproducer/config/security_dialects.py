"""The security of other Kafka clients' configurations, read into the options of this one.

Java names stores and a JAAS text, librdkafka names files and credentials. Values that are secrets
are never repeated in an error.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

from pyproducer.errors import ConfigError
from pyproducer.jaas import parse_jaas
from pyproducer.security import Token, TokenProvider

__all__ = ["NAMES", "read_security"]

# Names whose value is the option's as it stands.
_COMMON: Final = {
    "ssl.key.password": "ssl_key_password",
    "sasl.mechanism": "sasl_mechanism",
    "sasl.kerberos.service.name": "sasl_kerberos_service_name",
}
_PLAIN_NAMES: Final = {
    "java": _COMMON
    | {
        "ssl.truststore.certificates": "ssl_ca",
        "ssl.keystore.certificate.chain": "ssl_certificate",
        "ssl.keystore.key": "ssl_key",
    },
    "librdkafka": _COMMON
    | {
        "ssl.ca.location": "ssl_ca",
        "ssl.ca.pem": "ssl_ca",
        "ssl.certificate.location": "ssl_certificate",
        "ssl.certificate.pem": "ssl_certificate",
        "ssl.key.location": "ssl_key",
        "ssl.key.pem": "ssl_key",
        "sasl.mechanisms": "sasl_mechanism",
        "sasl.username": "sasl_username",
        "sasl.password": "sasl_password",
    },
}
# Java's stores: what says which kind of file it is.
_STORES: Final = {
    "ssl.truststore.location": ("ssl_ca", "ssl.truststore.type"),
    "ssl.keystore.location": ("ssl_certificate", "ssl.keystore.type"),
}
# What Java's login module for tokens reads beside its JAAS text.
_ENDPOINT: Final = ("sasl.oauthbearer.token.endpoint.url", "sasl.login.callback.handler.class")
# librdkafka's names for an authorization server, and what each is to our provider.
_OIDC: Final = {
    "sasl.oauthbearer.method": "",
    "sasl.oauthbearer.extensions": "",
    "sasl.oauthbearer.token.endpoint.url": "token_endpoint",
    "sasl.oauthbearer.client.id": "client_id",
    "sasl.oauthbearer.client.secret": "client_secret",
    "sasl.oauthbearer.scope": "scope",
}
#: Every name that a dialect has an option for.
NAMES: Final = {
    "java": {*_PLAIN_NAMES["java"], *_STORES, "ssl.truststore.type", "ssl.keystore.type"}
    | {"security.protocol", "ssl.endpoint.identification.algorithm", "sasl.jaas.config"},
    "librdkafka": {*_PLAIN_NAMES["librdkafka"], "oauth_cb", "sasl.oauthbearer.config"}
    | {"security.protocol", "ssl.endpoint.identification.algorithm"},
}
# Values that ask for what is done anyhow.
_ONLY: Final = {
    "ssl.protocol": ({"tls", "tlsv1.3", "tlsv1.2"}, "TLS 1.2 and later are spoken"),
    "enable.ssl.certificate.verification": (
        {"true"},
        "certificates are verified; pass ssl_context= a context of your own for anything else",
    ),
    "ssl.enabled.protocols": (
        {"tlsv1.3", "tlsv1.2", "tlsv1.2,tlsv1.3", "tlsv1.3,tlsv1.2"},
        "TLS 1.2 and later are spoken",
    ),
    "sasl.oauthbearer.method": ({"default"}, "pass sasl_token_provider= what gets the token"),
}
_REASONS: Final = {
    "ssl.cipher.suites": "pass ssl_context= a context that is set so",
    "ssl.curves.list": "pass ssl_context= a context that is set so",
    "ssl.sigalgs.list": "pass ssl_context= a context that is set so",
    "ssl.crl.location": "pass ssl_context= a context that has the list",
    "ssl.truststore.password": "a PEM file of certificates has no password",
    "ssl.keystore.password": "the key's own password is ssl.key.password",
    "sasl.client.callback.handler.class": "pass sasl_token_provider= or a callable sasl_password=",
    "sasl.login.callback.handler.class": "pass sasl_token_provider= what gets the token",
    "sasl.kerberos.keytab": "say it in the environment: KRB5_CLIENT_KTNAME",
    "sasl.kerberos.principal": "say it in the environment: the principal of the keytab is used",
    "sasl.kerberos.kinit.cmd": "a keytab in KRB5_CLIENT_KTNAME is read by the library itself",
}
_MODULES: Final = {
    "org.apache.kafka.common.security.plain.PlainLoginModule": ("PLAIN",),
    "org.apache.kafka.common.security.scram.ScramLoginModule": ("SCRAM-SHA-256", "SCRAM-SHA-512"),
    "org.apache.kafka.common.security.oauthbearer.OAuthBearerLoginModule": ("OAUTHBEARER",),
    "com.sun.security.auth.module.Krb5LoginModule": ("GSSAPI",),
}


def read_security(
    mapping: Mapping[str, object], dialect: str
) -> tuple[dict[str, Any], dict[str, str]]:
    """Return the options that the names of security stand for, and those names.

    Args:
        mapping: all options, of which only those of security are looked at.
        dialect: whose names they are.

    Returns:
        The options by name; and of each name that was read, the option that it set or "".

    Raises:
        ConfigError: one of them has no counterpart here, or is given twice.
    """
    options: dict[str, Any] = {}
    read: dict[str, str] = {}

    def take(name: str, option: str, value: object) -> None:
        if option in options:
            other = next(one for one, its in read.items() if its == option)
            raise ConfigError(
                f"{name!r} and {other!r} are two names of one option; give one of them.",
                option=name,
            )
        options[option], read[name] = value, option

    plain, beside = _PLAIN_NAMES[dialect], _beside(mapping, dialect)
    for name, value in mapping.items():
        if name == "security.protocol":
            take(name, "security_protocol", _stripped(value, upper=True))
        elif name in plain:
            # A password may well end in a space.
            take(name, plain[name], value if "password" in name else _stripped(value))
        elif dialect == "java" and name in _STORES:
            option, kind = _STORES[name]
            _check_store(name, kind, mapping)
            take(name, option, value)
        elif name == "ssl.endpoint.identification.algorithm":
            take(name, "ssl_check_hostname", _checks_names(name, value))
        elif name == "oauth_cb" and dialect == "librdkafka":
            config = str(mapping.get("sasl.oauthbearer.config", ""))
            made = _librdkafka_provider(value, config) if callable(value) else value
            take(name, "sasl_token_provider", made)
        elif name in {"ssl.truststore.type", "ssl.keystore.type"} and dialect == "java":
            _check_store(name, name, mapping)
            read[name] = ""
        elif (name == "sasl.oauthbearer.config" and "oauth_cb" in mapping) or (
            isinstance(name, str) and name not in beside and _does_nothing(name, value)
        ):
            read[name] = ""
    jaas = mapping.get("sasl.jaas.config")
    if jaas is not None and dialect == "java":
        for option, value in _read_jaas(jaas, options.get("sasl_mechanism"), mapping).items():
            # A mapping of Java's may say the service's name in both places.
            if options.get(option, value) != value:
                raise ConfigError(
                    f"sasl.jaas.config says another {option} than the options beside it.",
                    option="sasl.jaas.config",
                )
            options[option] = value
        read["sasl.jaas.config"] = ""
    if _has_oidc(mapping, dialect):
        options["sasl_token_provider"] = _oidc(mapping)
    read |= dict.fromkeys(_beside(mapping, dialect) & mapping.keys(), "")
    return options, read


def _stripped(value: object, *, upper: bool = False) -> object:
    if not isinstance(value, str):
        return value
    return value.strip().upper() if upper else value.strip()


def _does_nothing(name: str, value: object) -> bool:
    """True where the value asks for what is done anyhow.

    Raises:
        ConfigError: the name is known, and has no counterpart.
    """
    if name in _ONLY:
        values, reason = _ONLY[name]
        if str(value).strip().lower().replace(" ", "") in values:
            return True
        raise ConfigError(f"{name}={value!r} is not supported: {reason}.", option=name)
    if name in _REASONS:
        raise ConfigError(f"{name!r} is not supported: {_REASONS[name]}.", option=name)
    return False


def _check_store(name: str, kind: str, mapping: Mapping[str, object]) -> None:
    value = str(mapping.get(kind, "JKS")).strip()
    if value.upper() != "PEM":
        raise ConfigError(
            f"{name!r} is not supported with {kind}={value}: Java's key stores cannot be read "
            f"here. Convert the store to PEM (keytool -exportcert -rfc, or openssl pkcs12 -in "
            f"STORE -out FILE -nodes), and say {kind}=PEM.",
            option=name,
        )


def _checks_names(name: str, value: object) -> bool:
    word = "" if value is None else str(value).strip().lower()
    if word not in {"https", "", "none"}:
        raise ConfigError(
            f"{name}={value!r} must be 'https', or '' (librdkafka: 'none') to check no names.",
            option=name,
        )
    return word == "https"


def _has_oidc(mapping: Mapping[str, object], dialect: str) -> bool:
    method = str(mapping.get("sasl.oauthbearer.method", "")).strip().lower()
    return dialect == "librdkafka" and method == "oidc"


def _beside(mapping: Mapping[str, object], dialect: str) -> set[str]:
    """The names that only mean something where an authorization server gives the tokens."""
    if _has_oidc(mapping, dialect):
        return set(_OIDC)
    jaas = mapping.get("sasl.jaas.config")
    return set(_ENDPOINT) if dialect == "java" and "clientId" in str(jaas) else set()


def _oidc(mapping: Mapping[str, object]) -> TokenProvider:
    """The way of librdkafka itself to get tokens, as a provider of ours."""
    given = {its: str(mapping[name]).strip() for name, its in _OIDC.items() if mapping.get(name)}
    given.pop("", None)
    pairs = str(mapping.get("sasl.oauthbearer.extensions") or "").split(",")
    extensions = dict(pair.strip().split("=", 1) for pair in pairs if "=" in pair)
    return _client_credentials("sasl.oauthbearer.method", given, extensions)


def _client_credentials(
    name: str, given: Mapping[str, str], extensions: Mapping[str, str]
) -> TokenProvider:
    from pyproducer.tokens import ClientCredentials

    for wanted, told in (
        ("token_endpoint", "sasl.oauthbearer.token.endpoint.url"),
        ("client_id", "the client's id"),
    ):
        if wanted not in given:
            raise ConfigError(f"{name!r} needs {told} too.", option=name)
    return ClientCredentials(
        given["token_endpoint"],
        client_id=given["client_id"],
        client_secret=given.get("client_secret"),
        scope=given.get("scope"),
        extensions=extensions,
    )


def _read_jaas(value: object, mechanism: object, mapping: Mapping[str, object]) -> dict[str, Any]:
    """The options that a JAAS text stands for, with what stands beside it in Java's file."""

    def refuse(text: str) -> ConfigError:
        # Never the text itself, which has the password.
        return ConfigError(f"sasl.jaas.config {text}.", option="sasl.jaas.config")

    if not isinstance(value, str):
        raise refuse("must be text")
    try:
        entry = parse_jaas(value)
    except ValueError as error:
        raise refuse(f"cannot be read: {error}") from None
    if entry.java_class not in _MODULES:
        raise refuse(f"names the module {entry.java_class}, which has no counterpart here")
    fitting = _MODULES[entry.java_class]
    # Java's own default.
    if (mechanism or "GSSAPI") not in fitting:
        raise refuse(
            f"is for {' or '.join(fitting)}, but sasl.mechanism is {mechanism or 'GSSAPI'}"
        )
    said = entry.options
    if fitting == ("GSSAPI",):
        service = said.get("serviceName")
        return {"sasl_mechanism": "GSSAPI"} | (
            {"sasl_kerberos_service_name": service} if service else {}
        )
    if fitting == ("OAUTHBEARER",):
        if "clientId" not in said:
            raise refuse(
                'has no clientId="...": tokens that nobody signs are not made here; pass '
                "sasl_token_provider= what gets them"
            )
        names = {"clientId": "client_id", "clientSecret": "client_secret", "scope": "scope"}
        given = {names[one]: text for one, text in said.items() if one in names}
        endpoint = mapping.get("sasl.oauthbearer.token.endpoint.url")
        if endpoint:
            given["token_endpoint"] = str(endpoint).strip()
        extensions = {
            one.removeprefix("extension_"): text
            for one, text in said.items()
            if one.startswith("extension_")
        }
        return {"sasl_token_provider": _client_credentials("sasl.jaas.config", given, extensions)}
    if said.get("tokenauth", "").lower() == "true":
        raise refuse("asks for a delegation token (tokenauth), which is not supported")
    missing = [name for name in ("username", "password") if name not in said]
    if missing:
        raise refuse(f'has no {missing[0]}="..."')
    return {"sasl_username": said["username"], "sasl_password": said["password"]}


def _librdkafka_provider(callback: Callable[[str], Any], config: str) -> TokenProvider:
    """A provider of ours from confluent-kafka's callback."""

    def provider() -> Token:
        value, expires_at, *rest = callback(config)
        principal = rest[0] if rest else ""
        extensions = rest[1] if len(rest) > 1 else None
        return Token(value, expires_at=expires_at, principal=principal, extensions=extensions)

    return provider
