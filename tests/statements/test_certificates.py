"""Keys and certificates that are texts, and change while a broker runs (C5)."""

from __future__ import annotations

import ssl
from collections.abc import Mapping
from pathlib import Path

import pytest

from pyproducer.protocol.error_codes import ErrorCode
from pyproducer.protocol.messages.metadata import MetadataRequest
from tests.helpers.admin_requests import alter_configs_by, describe_configs
from tests.helpers.authority import Authority, Identity
from tests.helpers.sasl_servers import SaslServer
from tests.helpers.secured import shown_as_text, trusted_as_text
from tests.helpers.statement_servers import eventually

E = ErrorCode
METADATA = MetadataRequest(topics=[])
BROKER, SET = 4, 0
PREFIX = "listener.name.text."
KEY, CHAIN = "ssl.keystore.key", "ssl.keystore.certificate.chain"
TRUSTED = "ssl.truststore.certificates"


@pytest.fixture
def server(guarded: SaslServer) -> SaslServer:
    """A broker with TLS."""
    return guarded


def alter(
    server: SaslServer, config: Mapping[str, str], *, name: str = "1", prefix: str = PREFIX
) -> int:
    """The code that a change of the broker's settings is answered with."""
    with server.connect_openly() as client:
        changes = [(prefix + key, SET, value) for key, value in config.items()]
        return int(alter_configs_by(client, BROKER, name, *changes).error_code)


def serial(server: SaslServer) -> str:
    """The number of the certificate that a new client is shown."""
    with server.connect_by(server.user) as client:
        assert isinstance(client.socket, ssl.SSLSocket)
        return str((client.socket.getpeercert() or {})["serialNumber"])


def is_let_in(server: SaslServer, shown: Identity) -> bool:
    """Whether somebody with that certificate is served."""
    try:
        with server.connect_by(shown) as client:
            return bool(client.ask(METADATA, 9).brokers)
    except OSError:
        return False


def test_c5_key_and_certificate_as_text_are_altered(server: SaslServer):
    """
    C5: a listener's key and chain, as texts, are altered while the broker runs, and the next client
    is shown the new ones.
    """
    before = serial(server)
    assert 0 == alter(server, shown_as_text(server.authority.server("text-2")))
    assert eventually(lambda: serial(server) != before)


def test_c5_trusted_certificates_as_text_are_altered(server: SaslServer, tmp_path: Path):
    """
    C5: whose clients are believed, as a text, is altered while the broker runs.
    """
    other = Authority(tmp_path, "other")
    foreign = other.client("foreign")
    assert not is_let_in(server, foreign)
    assert 0 == alter(server, trusted_as_text(server.authority, other))
    assert eventually(lambda: is_let_in(server, foreign))
    assert is_let_in(server, server.user)


@pytest.mark.parametrize(
    "what", ["no key", "no certificates", "file too", "no trusted", "trusted too"]
)
def test_c5_what_cannot_be_used_is_refused(server: SaslServer, what: str):
    """
    C5: texts that are none, and a file beside a text, are refused with 42, and what there was
    stays.
    """
    other = server.authority.server("text-3")
    own, nothing = shown_as_text(other), "nothing of use"
    wrong = {
        "no key": own | {KEY: nothing},
        "no certificates": own | {CHAIN: nothing},
        "file too": {"ssl.keystore.location": str(other.both)},
        "no trusted": {TRUSTED: nothing},
        "trusted too": {"ssl.truststore.location": str(server.authority.certificate)},
    }[what]
    before = serial(server)

    assert E.INVALID_REQUEST == alter(server, wrong)
    assert before == serial(server)


def test_c5_key_of_another_certificate(server: SaslServer):
    """
    C5: a key that is not the certificate's is not taken.
    """
    own = shown_as_text(server.authority.server("text-5"))
    code = alter(server, {KEY: own[KEY]})
    kept = server.differs(
        ours=E.INVALID_REQUEST,
        kafka=E.NONE,
        reason="no client could connect any more: Kafka takes it, and every handshake fails",
    )
    assert kept == code
    assert 0 == alter(server, own)
    assert eventually(lambda: is_let_in(server, server.user))


def test_c5_only_of_one_listener_and_one_broker(server: SaslServer):
    """
    C5: such texts are altered for a listener of one broker, and refused for all of either with 42.
    """
    texts = shown_as_text(server.authority.server("text-4"))

    assert E.INVALID_REQUEST == alter(server, texts, prefix="")
    assert E.INVALID_REQUEST == alter(server, texts, name="")


def test_c5_texts_are_never_told(server: SaslServer):
    """
    C5: whoever asks for such a text learns that it is set and is a secret.
    """
    with server.connect_openly() as client:
        rows = describe_configs(client, BROKER, "1")
    for name in (KEY, CHAIN, TRUSTED):
        row = rows[PREFIX + name]
        assert (True, None) == (row.is_sensitive, row.value)
