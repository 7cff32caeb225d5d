"""Options of security are checked when they are given, and never show a secret."""

from __future__ import annotations

import copy
import importlib.util
import pickle
import ssl

import pytest

from pyproducer import ProducerConfig
from pyproducer.errors import ConfigError
from pyproducer.security import Token
from tests.helpers.authority import Authority

PASSWORD = "hunter2-very-secret"

PLAIN = {
    "security_protocol": "SASL_SSL",
    "sasl_mechanism": "PLAIN",
    "sasl_username": "alice",
    "sasl_password": PASSWORD,
}


def provider() -> Token:
    raise AssertionError("nobody asks before the start")


@pytest.fixture(scope="module")
def authority(tmp_path_factory) -> Authority:
    return Authority(tmp_path_factory.mktemp("authority"))


@pytest.fixture(scope="module")
def client(authority):
    return authority.client("alice")


@pytest.mark.parametrize(
    ("options", "name", "text"),
    [
        ({"security_protocol": "TLS"}, "security_protocol", "must be one of 'PLAINTEXT', 'SSL'"),
        ({"security_protocol": "SASL_SSL"}, "security_protocol", "needs sasl_mechanism"),
        ({"sasl_username": "a"}, "sasl_username", "Say security_protocol='SASL_PLAINTEXT'"),
        ({"sasl_mechanism": "PLAIN"}, "sasl_mechanism", "proves nobody's name"),
        (
            {"security_protocol": "SSL", "sasl_password": PASSWORD},
            "sasl_password",
            "Say security_protocol='SASL_SSL'",
        ),
        ({"ssl_ca": "/no/such"}, "ssl_ca", "speaks no TLS. Say security_protocol='SSL'"),
        ({"ssl_check_hostname": False}, "ssl_check_hostname", "speaks no TLS"),
        (
            {"ssl_context": ssl.create_default_context()},
            "ssl_context",
            "speaks no TLS. Say security_protocol='SSL'",
        ),
        (
            {
                "security_protocol": "SSL",
                "ssl_context": ssl.create_default_context(),
                "ssl_ca": "/no/such",
            },
            "ssl_context",
            "and ssl_ca do not go together",
        ),
        ({"security_protocol": "SSL", "ssl_key": "/k"}, "ssl_key", "no use without"),
        ({"security_protocol": "SSL", "ssl_ca": b"DER"}, "ssl_ca", "bytes without '-----BEGIN'"),
        ({"security_protocol": "SSL", "ssl_ca": 7}, "ssl_ca", "must be the path of a PEM file"),
        ({**PLAIN, "sasl_mechanism": "AWS_MSK_IAM"}, "sasl_mechanism", "a provider that signs"),
        ({**PLAIN, "sasl_username": None}, "sasl_mechanism", "'PLAIN' needs sasl_username"),
        ({**PLAIN, "sasl_password": None}, "sasl_mechanism", "'PLAIN' needs sasl_password"),
        ({**PLAIN, "sasl_password": f"{PASSWORD}\0"}, "sasl_password", "without NUL"),
        ({**PLAIN, "sasl_password": 7}, "sasl_password", "must be a non-empty str"),
        ({**PLAIN, "sasl_mechanism": "OAUTHBEARER"}, "sasl_mechanism", "needs sasl_token_provider"),
        ({**PLAIN, "sasl_token_provider": provider}, "sasl_token_provider", "no meaning with"),
        ({**PLAIN, "sasl_token_provider": "x"}, "sasl_token_provider", "must be a callable"),
    ],
)
def test_what_does_not_go_together(options, name, text):
    """
    Options that are wrong, missing or in conflict are refused with the reason and the way out.
    """
    with pytest.raises(ConfigError) as caught:
        ProducerConfig(**options)

    assert name == caught.value.option
    assert text in str(caught.value)
    assert PASSWORD not in str(caught.value)


def test_a_missing_package_is_named():
    """
    A mechanism whose package is not installed names the command that installs it.
    """
    if importlib.util.find_spec("gssapi") is not None:
        pytest.skip("gssapi is installed")
    with pytest.raises(ConfigError, match=r"pip install 'pyproducer\[gssapi\]'"):
        ProducerConfig(security_protocol="SASL_SSL", sasl_mechanism="GSSAPI")


def test_files_and_text_are_taken_alike(authority, client):
    """
    Certificates are named by path, as str or Path, or given as PEM, as str or bytes.
    """
    for ca in (
        authority.certificate,
        str(authority.certificate),
        authority.certificate.read_text(),
    ):
        for certificate, key in (
            (client.certificate, client.key),
            (client.certificate.read_bytes(), client.key.read_text()),
            (client.both, None),
        ):
            ProducerConfig(
                security_protocol="SSL", ssl_ca=ca, ssl_certificate=certificate, ssl_key=key
            )


def test_names_beside_certificates(authority, client):
    """
    What is written beside a certificate may be in any letters; within one it is none.
    """
    named = "# F\u0151tan\u00fas\u00edtv\u00e1ny \udcff\n" + authority.certificate.read_text()
    ProducerConfig(
        security_protocol="SSL",
        ssl_ca=named,
        ssl_certificate="\udcff\n" + client.certificate.read_text(),
        ssl_key=client.key,
    )
    with pytest.raises(ConfigError, match="is no list of certificates"):
        ProducerConfig(security_protocol="SSL", ssl_ca=named.replace("MII", "M\u00efI"))


def test_wrong_files_are_named(authority, client, tmp_path):
    """
    A file that cannot be read, or is not what it should be, is named with its option.
    """
    der = tmp_path / "store.jks"
    der.write_bytes(b"\xfe\xed\xfe\xed\x00\x00")
    torn = tmp_path / "torn.pem"
    torn.write_text(authority.certificate.read_text()[:200])
    other = authority.client("bob")
    mutual = {"ssl_certificate": client.certificate, "ssl_key": client.key}
    for name, options, text in [
        ("ssl_ca", {"ssl_ca": tmp_path / "none.pem"}, "No such file"),
        ("ssl_ca", {"ssl_ca": tmp_path}, "Is a directory"),
        ("ssl_ca", {"ssl_ca": der}, "Java's key stores"),
        ("ssl_ca", {"ssl_ca": torn}, "is no list of certificates"),
        ("ssl_ca", {"ssl_ca": client.key}, "has no certificate"),
        ("ssl_key", {**mutual, "ssl_key": other.key}, "is not the key of ssl_certificate"),
        ("ssl_key", {**mutual, "ssl_key": client.certificate}, "has no private key"),
        ("ssl_certificate", {**mutual, "ssl_key": None}, "has no private key beside"),
        ("ssl_certificate", {**mutual, "ssl_certificate": client.key}, "has no certificate"),
    ]:
        with pytest.raises(ConfigError) as caught:
            ProducerConfig(security_protocol="SSL", **options)
        assert name == caught.value.option
        assert text in str(caught.value)
        assert str(options.get(name)) in str(caught.value)
        assert "PRIVATE KEY" not in str(caught.value)


def test_encrypted_keys(authority, client):
    """
    An encrypted key is opened by its password; without one, or by a wrong one, it is refused.
    """
    from cryptography.hazmat.primitives import serialization

    key = serialization.load_pem_private_key(client.key.read_bytes(), None)
    locked = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.BestAvailableEncryption(PASSWORD.encode()),
    )
    options = {
        "security_protocol": "SSL",
        "ssl_certificate": client.certificate,
        "ssl_key": locked,
    }

    ProducerConfig(**options, ssl_key_password=PASSWORD)
    with pytest.raises(ConfigError, match="is encrypted: give ssl_key_password="):
        ProducerConfig(**options)
    with pytest.raises(ConfigError, match="cannot be decrypted with ssl_key_password") as caught:
        ProducerConfig(**options, ssl_key_password="wrong-" + PASSWORD)
    assert PASSWORD not in str(caught.value)


def test_secrets_never_show(authority, client):
    """
    Neither a configuration nor a producer shows passwords, keys or tokens in its repr.
    """
    config = ProducerConfig(
        **{**PLAIN, "sasl_mechanism": "SCRAM-SHA-512"},
        ssl_ca=authority.certificate.read_text(),
        ssl_certificate=client.certificate.read_bytes(),
        ssl_key=client.key.read_text(),
        ssl_key_password=PASSWORD,
    )
    tokens = ProducerConfig(
        security_protocol="SASL_SSL", sasl_mechanism="OAUTHBEARER", sasl_token_provider=provider
    )

    for shown in (repr(config), str(config), f"{config}", repr(tokens)):
        assert PASSWORD not in shown
        assert "BEGIN" not in shown
        assert "function" not in shown
    assert "sasl_password='***'" in repr(config).replace("=***", "='***'")
    assert "sasl_username='alice'" in repr(config)


def test_configurations_with_security_copy():
    """
    A configuration with credentials pickles, copies and compares as any other.
    """
    config = ProducerConfig(**PLAIN)

    assert config == pickle.loads(pickle.dumps(config)) == copy.deepcopy(config)
    assert config != config.replace(sasl_password="another")


@pytest.mark.parametrize(
    ("make", "text"),
    [
        (lambda: Token(""), "must be letters"),
        (lambda: Token("a b", lifetime=5), "must be letters"),
        (lambda: Token(f"{PASSWORD}\x01", lifetime=5), "must be letters"),
        (lambda: Token("abc"), "one of expires_at and lifetime"),
        (lambda: Token("abc", lifetime=5, expires_at=5), "one of expires_at and lifetime"),
        (lambda: Token("abc", lifetime=0), "more than 0"),
        (lambda: Token("abc", lifetime="5"), "must be seconds, not str"),
        (lambda: Token("abc", lifetime=5, extensions={"auth": "x"}), "cannot be the name"),
        (lambda: Token("abc", lifetime=5, extensions={"a": "\x01"}), "printable ASCII"),
    ],
)
def test_tokens_that_cannot_be_sent(make, text):
    """
    A token that the protocol has no room for is refused where it is made, unseen.
    """
    with pytest.raises(ConfigError, match=text) as caught:
        make()
    assert PASSWORD not in str(caught.value)


def test_a_token_hides_its_value():
    """
    What a token shows is how long it is good for and whose it is.
    """
    token = Token("eyJhbGciOi", lifetime=60, principal="alice", extensions={"logicalCluster": "x"})

    assert "eyJ" not in repr(token)
    assert repr(token) == "Token('***', lifetime=60, principal='alice')"
    assert repr(Token("abc", expires_at=5.0)) == "Token('***', expires_at=5.0, principal='')"
