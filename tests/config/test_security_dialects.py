"""The security of Java's and librdkafka's configurations means the same here, or is refused."""

from __future__ import annotations

import dataclasses

import pytest

from pyproducer.config import ProducerConfig, SecurityConfig, config_table
from pyproducer.config.security_dialects import NAMES
from pyproducer.errors import ConfigError
from pyproducer.tokens import ClientCredentials
from tests.helpers.authority import Authority

from_kafka = ProducerConfig.from_kafka

PLAIN_MODULE = "org.apache.kafka.common.security.plain.PlainLoginModule"
SCRAM_MODULE = "org.apache.kafka.common.security.scram.ScramLoginModule"
SASL_SSL = {"security.protocol": "SASL_SSL", "sasl.mechanism": "PLAIN"}


@pytest.fixture(scope="module")
def authority(tmp_path_factory) -> Authority:
    return Authority(tmp_path_factory.mktemp("authority"))


@pytest.mark.parametrize(
    ("mechanism", "jaas", "username", "password"),
    [
        (
            "PLAIN",
            f'{PLAIN_MODULE} required username="alice" password="s3cret";',
            "alice",
            "s3cret",
        ),
        (
            "SCRAM-SHA-512",
            f'  {SCRAM_MODULE} required\n  username="a b"\n  password="q\\"u\\\\;o";\n',
            "a b",
            'q"u\\;o',
        ),
        ("SCRAM-SHA-256", f"{SCRAM_MODULE} required username=bob password='x y';", "bob", "x y"),
    ],
)
def test_jaas_has_name_and_password(mechanism, jaas, username, password):
    """
    Java's JAAS text gives user name and password, quotes and all.
    """
    config = from_kafka(
        {"security.protocol": "SASL_SSL", "sasl.mechanism": mechanism, "sasl.jaas.config": jaas},
        "java",
    )

    assert (mechanism, username, password) == (
        config.sasl_mechanism,
        config.sasl_username,
        config.sasl_password,
    )


@pytest.mark.parametrize(
    ("jaas", "text"),
    [
        (f'{PLAIN_MODULE} required username="a" password="hidden"', "one semicolon at the end"),
        (f'{PLAIN_MODULE} required username="a";', 'has no password="..."'),
        (f'{SCRAM_MODULE} required username="a" password="hidden";', "but sasl.mechanism is PLAIN"),
        ('com.example.Login required password="hidden";', "no counterpart"),
        (f'{PLAIN_MODULE} required password="hidden"; other required;', "one semicolon at the end"),
    ],
)
def test_jaas_that_cannot_be_read(jaas, text):
    """
    What the JAAS text lacks is told, but not what is in it.
    """
    with pytest.raises(ConfigError) as caught:
        from_kafka({**SASL_SSL, "sasl.jaas.config": jaas}, "java")

    assert text in str(caught.value)
    assert "hidden" not in str(caught.value)


def test_java_stores_in_pem(authority):
    """
    Java's stores are read where they are PEM: the key store has certificate and key in one.
    """
    client = authority.client("alice")
    config = from_kafka(
        {
            "security.protocol": "SSL",
            "ssl.truststore.type": "PEM",
            "ssl.truststore.location": str(authority.certificate),
            "ssl.keystore.type": "PEM",
            "ssl.keystore.location": str(client.both),
            "ssl.endpoint.identification.algorithm": "",
        },
        "java",
    )

    assert (config.ssl_ca, config.ssl_certificate, config.ssl_key, config.ssl_check_hostname) == (
        str(authority.certificate),
        str(client.both),
        None,
        False,
    )
    with pytest.raises(ConfigError, match="Convert the store to PEM"):
        from_kafka({"security.protocol": "SSL", "ssl.truststore.location": "a.jks"}, "java")


def test_librdkafka_names(authority):
    """
    librdkafka's names set the same options, also where its older spelling is used.
    """
    client = authority.client("bob")
    config = from_kafka(
        {
            "security.protocol": "sasl_ssl",
            "sasl.mechanisms": "SCRAM-SHA-256",
            "sasl.username": "alice",
            "sasl.password": " keeps its spaces ",
            "ssl.ca.location": str(authority.certificate),
            "ssl.certificate.pem": client.certificate.read_text(),
            "ssl.key.location": str(client.key),
            "ssl.endpoint.identification.algorithm": "https",
            "enable.ssl.certificate.verification": "true",
        },
        "librdkafka",
    )

    assert ("SASL_SSL", "SCRAM-SHA-256") == (config.security_protocol, config.sasl_mechanism)
    assert " keeps its spaces " == config.sasl_password
    assert config.ssl_check_hostname


def test_confluents_callback_is_a_provider():
    """
    confluent-kafka's oauth_cb gives our tokens, and is asked with its own configuration.
    """
    asked = []

    def oauth_cb(config):
        asked.append(config)
        return "abc", 1234.5, "alice", {"pool": "p1"}

    config = from_kafka(
        {
            "security.protocol": "SASL_SSL",
            "sasl.mechanism": "OAUTHBEARER",
            "sasl.oauthbearer.config": "principal=alice",
            "oauth_cb": oauth_cb,
        },
        "librdkafka",
    )
    token = config.sasl_token_provider()

    assert ["principal=alice"] == asked
    assert ("abc", 1234.5, "alice", {"pool": "p1"}) == (
        token.value,
        token.expires_at,
        token.principal,
        token.extensions,
    )


@pytest.mark.parametrize(
    ("dialect", "name", "value", "text"),
    [
        ("librdkafka", "enable.ssl.certificate.verification", "false", "ssl_context="),
        ("java", "ssl.cipher.suites", "x", "ssl_context="),
        ("java", "ssl.protocol", "TLSv1", "TLS 1.2 and later"),
        ("java", "sasl.login.callback.handler.class", "x", "sasl_token_provider="),
        ("librdkafka", "ssl.truststore.location", "x", "of the java one"),
        ("java", "sasl.username", "x", "of the librdkafka one"),
    ],
)
def test_what_has_no_counterpart(dialect, name, value, text):
    """
    A name of security that means nothing here is refused with what to do instead.
    """
    with pytest.raises(ConfigError) as caught:
        from_kafka({name: value}, dialect)

    assert text in str(caught.value)


def test_authorization_servers():
    """
    What Java and librdkafka ask an authorization server with is asked by our own provider.
    """
    endpoint = "https://id.test/token"
    java = from_kafka(
        {
            "security.protocol": "SASL_SSL",
            "sasl.mechanism": "OAUTHBEARER",
            "sasl.oauthbearer.token.endpoint.url": endpoint,
            "sasl.login.callback.handler.class": "org.apache.kafka...OAuthBearerLoginCallback",
            "sasl.jaas.config": "org.apache.kafka.common.security.oauthbearer."
            'OAuthBearerLoginModule required clientId="me" clientSecret="hidden" scope="write" '
            'extension_pool="p1";',
        },
        "java",
    )
    librdkafka = from_kafka(
        {
            "security.protocol": "SASL_SSL",
            "sasl.mechanism": "OAUTHBEARER",
            "sasl.oauthbearer.method": "oidc",
            "sasl.oauthbearer.token.endpoint.url": endpoint,
            "sasl.oauthbearer.client.id": "me",
            "sasl.oauthbearer.client.secret": "hidden",
            "sasl.oauthbearer.extensions": "pool=p1",
        },
        "librdkafka",
    )

    for config in (java, librdkafka):
        assert isinstance(config.sasl_token_provider, ClientCredentials)
        assert "hidden" not in repr(config)
    with pytest.raises(ConfigError, match=r"needs sasl\.oauthbearer\.token\.endpoint\.url too"):
        from_kafka(
            {
                "security.protocol": "SASL_SSL",
                "sasl.mechanism": "OAUTHBEARER",
                "sasl.oauthbearer.method": "oidc",
                "sasl.oauthbearer.client.id": "me",
            },
            "librdkafka",
        )


def test_one_option_by_two_names():
    """
    The same option by two names is refused, as it is elsewhere.
    """
    with pytest.raises(ConfigError, match="two names of one option"):
        from_kafka({**SASL_SSL, "sasl.mechanisms": "PLAIN"}, "librdkafka")


@pytest.mark.parametrize("dialect", ["java", "librdkafka"])
def test_the_documented_names_are_read(dialect):
    """
    Each name that the documentation shows beside an option of security is known to the dialect.
    """
    secured = {one.name for one in dataclasses.fields(SecurityConfig)}
    column = {"java": "kafka", "librdkafka": "librdkafka"}[dialect]
    shown = {
        name
        for row in config_table()
        if row.name in secured
        for name in getattr(row, column).split(", ")
        if name
    }

    assert shown <= NAMES[dialect]
