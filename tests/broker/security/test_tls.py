"""Listeners with TLS: what they show, whom they let in, and who clients are by certificate."""

from __future__ import annotations

import logging
import shutil
import socket
import ssl
import struct
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization as s

from pyproducer.broker import Broker, Listener
from pyproducer.errors import ConfigError
from pyproducer.protocol.messages.fetch import FetchPartition, FetchRequest, FetchTopic
from pyproducer.protocol.messages.metadata import MetadataRequest
from pyproducer.protocol.messages.produce import (
    PartitionProduceData,
    ProduceRequest,
    TopicProduceData,
)
from tests.helpers.admin_requests import BROKER, SET, alter_configs_by
from tests.helpers.authority import Authority, Identity
from tests.helpers.partition_logs import batch
from tests.helpers.secure_client import SecureClient, plain
from tests.helpers.wire_client import WireClient

METADATA = MetadataRequest(topics=[])
#: What a line about a connection that is refused comes from.
LOGGERS = {"pyproducer.broker.server", "pyproducer.broker.audit"}


def keystore(identity: Identity) -> dict[str, str]:
    """The settings that show this certificate."""
    return {"ssl.keystore.type": "PEM", "ssl.keystore.location": str(identity.both)}


def trusting(authority: Authority, clients: str) -> dict[str, str]:
    """The settings that ask clients for this authority's certificates."""
    return {
        "ssl.client.auth": clients,
        "ssl.truststore.type": "PEM",
        "ssl.truststore.location": str(authority.certificate),
    }


def context(authority: Authority | str, shown: Identity | None = None) -> ssl.SSLContext:
    """What a client trusts and shows."""
    path = authority if isinstance(authority, str) else authority.certificate
    found = ssl.create_default_context(cafile=path)
    if shown is not None:
        found.load_cert_chain(shown.certificate, shown.key)
    return found


def serial(broker: Broker, authority: Authority) -> str:
    """The number of the certificate that a new connection is shown."""
    with SecureClient(broker.bootstrap_servers, tls=context(authority)) as client:
        assert isinstance(client.socket, ssl.SSLSocket)
        return str((client.socket.getpeercert() or {})["serialNumber"])


def altered(client: SecureClient, config: dict[str, str]) -> int:
    """The code that the broker answers a change of its settings with."""
    changes = [(name, SET, value) for name, value in config.items()]
    code: int = alter_configs_by(client, BROKER, "1", *changes).error_code
    return code


def is_refused(broker: Broker, tls: ssl.SSLContext) -> bool:
    """Whether a client with that context is not served."""
    try:
        with SecureClient(broker.bootstrap_servers, tls=tls) as client:
            # With TLS 1.3 a client hears of its own certificate behind the handshake.
            client.ask(METADATA, 9)
    except OSError:
        return True
    return False


def test_certificate_that_is_configured(authority: Authority):
    """
    A client that trusts the authority is served; one that trusts another is not.
    """
    config = keystore(authority.server())
    with Broker({"t": 1}, security="SSL", config=config) as broker:
        with SecureClient(broker.bootstrap_servers, tls=context(authority)) as client:
            assert client.produce("t", batch()).error_code == 0
            assert ["User:ANONYMOUS"] == [one.principal for one in broker.state().connections]
        assert is_refused(broker, ssl.create_default_context())
        broker.wait_until(lambda _: broker._node().metrics.handshakes_failed == 1)


@pytest.mark.parametrize("clients", ["none", "requested", "required"])
def test_client_certificates(authority: Authority, tmp_path: Path, clients: str):
    """
    Who has to show a certificate, and who is known by it.
    """
    others = Authority(tmp_path, "others")
    config = keystore(authority.server()) | trusting(authority, clients)
    with Broker({"t": 1}, security="SSL", config=config) as broker:
        known, foreign = authority.client("alice"), others.client("mallory")
        with SecureClient(broker.bootstrap_servers, tls=context(authority, known)) as client:
            client.ask(METADATA, 9)
            [found] = [one.principal for one in broker.state().connections]

        named = "User:CN=alice,OU=Testing,O=pyproducer tests"
        assert found == ("User:ANONYMOUS" if clients == "none" else named)
        assert is_refused(broker, context(authority)) == (clients == "required")
        assert is_refused(broker, context(authority, foreign)) == (clients != "none")


def test_principal_mapping_rules(authority: Authority):
    """
    Rules say what a client is called; one that none fits is not let in.
    """
    rules = "RULE:^CN=(a.*?),.*$/$1/U"
    config = keystore(authority.server()) | trusting(authority, "required")
    config["ssl.principal.mapping.rules"] = rules
    with Broker(security="SSL", config=config) as broker:
        shown = context(authority, authority.client("alice"))
        with SecureClient(broker.bootstrap_servers, tls=shown) as client:
            client.ask(METADATA, 9)
            assert ["User:ALICE"] == [one.principal for one in broker.state().connections]
        assert is_refused(broker, context(authority, authority.client("bob")))


def test_certificate_of_its_own():
    """
    Without a certificate the broker makes one, and its authority makes those of clients.
    """
    with Broker({"t": 1}, security="SSL") as broker:
        shown = broker.client_certificate("alice")
        for tls, name in (
            (context(broker.ca_file), "User:ANONYMOUS"),
            (context(broker.ca_file, Identity(*shown)), "User:CN=alice"),
        ):
            with SecureClient(broker.bootstrap_servers, tls=tls) as client:
                assert client.produce("t", batch()).error_code == 0
                assert name == broker.journal.requests("Produce")[-1].principal
        assert broker.client_certificate("alice") == shown
        assert shown.key.stat().st_mode & 0o077 == 0
        before = broker.ca_file
        broker.stop()
        broker.start()
        with SecureClient(broker.bootstrap_servers, tls=context(before)) as client:
            assert client.ask(METADATA, 9).brokers


def test_plain_bytes_at_a_listener_with_tls(caplog: pytest.LogCaptureFixture):
    """
    Who speaks Kafka or HTTP without TLS is closed at once, with one line in the log.
    """
    with caplog.at_level(logging.INFO, "pyproducer"), Broker(security="SSL") as broker:
        for data in (struct.pack(">ihhih", 10, 18, 0, 1, -1), b"GET / HTTP/1.1\r\n\r\n"):
            caplog.clear()
            with WireClient(broker.bootstrap_servers) as client:
                client.socket.sendall(data)
                # OpenSSL may say goodbye with an alert.
                while client.socket.recv(100):
                    pass
            broker.wait_until(lambda state: not state.connections)
            [record] = [one for one in caplog.records if one.name in LOGGERS]
            assert record.levelno == logging.INFO
            assert "TLS" in record.getMessage()


def test_tls_at_a_listener_without(caplog: pytest.LogCaptureFixture):
    """
    Who speaks TLS where there is none is closed at once, with one line in the log.
    """
    with caplog.at_level(logging.INFO, "pyproducer"), Broker() as broker:
        with pytest.raises(OSError, match=r"EOF|reset|WRONG_VERSION|UNEXPECTED"):
            SecureClient(broker.bootstrap_servers, tls=ssl.create_default_context())
        broker.wait_until(lambda state: not state.connections)
        [record] = [one for one in caplog.records if one.name in LOGGERS]
        assert record.levelno == logging.INFO
        assert "speaks TLS" in record.getMessage()


def test_stalled_handshake_holds_up_nobody():
    """
    A client that never ends its handshake is no matter to others, nor to the broker's end.
    """
    with Broker(security="SSL") as broker:
        tls = context(broker.ca_file)
        with socket.create_connection((broker.host, broker.port)) as silent:
            silent.sendall(b"\x16\x03\x01\x02\x00")
            broker.wait_until(lambda state: len(state.connections) == 1)
            with SecureClient(broker.bootstrap_servers, tls=tls) as client:
                assert client.ask(METADATA, 9).brokers
            broker.stop()
            assert silent.recv(1) == b""


def test_handshake_has_a_limit(monkeypatch: pytest.MonkeyPatch):
    """
    A client that does not go on with its handshake is closed.
    """
    monkeypatch.setattr("pyproducer.broker.security.handshake.LIMIT", 0.2)
    with (
        Broker(security="SSL") as broker,
        socket.create_connection((broker.host, broker.port), timeout=10) as silent,
    ):
        assert silent.recv(1) == b""
        broker.wait_until(lambda state: not state.connections)


def test_replaced_files_are_shown_to_the_next_client(authority: Authority, files: Path):
    """
    A certificate whose file is replaced is shown from then on; connections that are open stay.
    """
    path = files / "broker.pem"
    shutil.copy(authority.server("first").both, path)
    config = {"ssl.keystore.type": "PEM", "ssl.keystore.location": str(path)}
    with Broker({"t": 1}, security="SSL", config=config) as broker:
        with SecureClient(broker.bootstrap_servers, tls=context(authority)) as client:
            before = serial(broker, authority)
            shutil.copy(authority.server("second").both, files / "next")
            (files / "next").rename(path)
            after = serial(broker, authority)

            assert before != after
            assert client.produce("t", batch()).error_code == 0
        path.write_text("nothing of use")
        assert serial(broker, authority) == after


def test_other_files_while_it_runs(authority: Authority):
    """
    IncrementalAlterConfigs names another certificate for a listener, if it can be used.
    """
    first, second = authority.server("first"), authority.server("second")
    name = "listener.name.ssl.ssl.keystore.location"
    with Broker(security="SSL", config=keystore(first)) as broker:
        before = serial(broker, authority)
        with SecureClient(broker.bootstrap_servers, tls=context(authority)) as client:
            for bad in ({name: "/nowhere"}, {name.replace(".ssl.ssl", ".x.ssl"): str(second.both)}):
                assert altered(client, bad) != 0
            unprefixed = {"ssl.keystore.location": str(second.both)}
            assert altered(client, unprefixed) == 42
            assert serial(broker, authority) == before
            assert altered(client, {name: str(second.both)}) == 0
        assert serial(broker, authority) != before


def as_text(identity: Identity) -> dict[str, str]:
    """The configurations of a certificate that is no file."""
    return {
        "ssl.keystore.type": "PEM",
        "ssl.keystore.key": identity.key.read_text(),
        "ssl.keystore.certificate.chain": identity.certificate.read_text(),
    }


def test_other_texts_while_it_runs(authority: Authority, tmp_path: Path):
    """
    Key and certificate as texts, and whom to trust, are altered while a broker runs: both at once,
    if they belong together, and kept over a restart.
    """
    first, second = as_text(authority.server("text-1")), as_text(authority.server("text-2"))
    prefix = "listener.name.ssl."
    key, chain = (
        {prefix + name: second[name]} for name in list(second) if name != "ssl.keystore.type"
    )
    options = {"config": first, "data_dir": tmp_path}
    with Broker(security="SSL", **options) as broker:
        before = serial(broker, authority)
        with SecureClient(broker.bootstrap_servers, tls=context(authority)) as client:
            for bad in (
                key,
                {prefix + "ssl.keystore.key": "nothing of use", **chain},
                {prefix + "ssl.keystore.location": str(authority.server().both), **chain, **key},
                {prefix + "ssl.truststore.certificates": "nothing of use"},
            ):
                assert altered(client, bad) == 42
            assert serial(broker, authority) == before
            assert altered(client, chain | key) == 0
        after = serial(broker, authority)
        assert before != after
    with Broker(security="SSL", **options) as broker:
        assert serial(broker, authority) == after


def test_others_are_trusted_while_it_runs(authority: Authority, tmp_path: Path):
    """
    Whose certificates are believed may be a text, which counts for the next client.
    """
    other = Authority(tmp_path, "other")
    trusted = authority.certificate.read_text()
    config = keystore(authority.server()) | {
        "ssl.truststore.type": "PEM",
        "ssl.truststore.certificates": trusted,
        "ssl.client.auth": "required",
    }
    name = "listener.name.ssl.ssl.truststore.certificates"

    own, foreign = (
        context(authority, shown=one) for one in (authority.client("own"), other.client("foreign"))
    )
    with Broker(security="SSL", config=config) as broker:
        assert [False, True] == [is_refused(broker, one) for one in (own, foreign)]
        with SecureClient(broker.bootstrap_servers, tls=own) as client:
            assert altered(client, {name: trusted + other.certificate.read_text()}) == 0
        assert [False, False] == [is_refused(broker, one) for one in (own, foreign)]


@pytest.mark.parametrize("form", ["texts", "one line", "encrypted"])
def test_forms_of_a_certificate(authority: Authority, form: str, tmp_path: Path):
    """
    Key and chain may be texts, with or without their lines, and the key may have a password.
    """
    identity = authority.server()
    key, chain = identity.key.read_text(), identity.certificate.read_text()
    if form == "one line":
        key, chain = " ".join(key.split("\n")), chain.replace("\n", "")
    config = {
        "ssl.keystore.type": "PEM",
        "ssl.keystore.key": key,
        "ssl.keystore.certificate.chain": chain,
    }
    if form == "encrypted":
        loaded = s.load_pem_private_key(key.encode(), None)
        config["ssl.keystore.key"] = loaded.private_bytes(
            s.Encoding.PEM, s.PrivateFormat.PKCS8, s.BestAvailableEncryption(b"opens-it")
        ).decode()
        config["ssl.key.password"] = "opens-it"
        wrong = config | {"ssl.key.password": "does-not"}
        with pytest.raises(ConfigError, match=r"is ssl\.key\.password right") as caught:
            Broker(security="SSL", config=wrong).start()
        assert "does-not" not in str(caught.value)
    with Broker(security="SSL", config=config) as broker:
        assert serial(broker, authority)


@pytest.mark.parametrize(
    ("config", "why"),
    [
        ({"ssl.keystore.location": "a.jks"}, "keytool -importkeystore -srckeystore a.jks"),
        (
            {"ssl.keystore.location": "a.p12", "ssl.keystore.type": "PKCS12"},
            "openssl pkcs12 -in a.p12 -out a.pem",
        ),
        (
            {"ssl.keystore.location": "/nowhere", "ssl.keystore.type": "PEM"},
            "/nowhere: it cannot be read: No such file",
        ),
        ({"ssl.enabled.protocols": "TLSv1"}, "name TLSv1.2, TLSv1.3 or both"),
        ({"ssl.truststore.location": "a.jks"}, "keytool"),
        (
            {
                "ssl.client.auth": "required",
                "ssl.truststore.type": "PEM",
                "ssl.truststore.certificates": (
                    "-----BEGIN CERTIFICATE-----\u00e9-----END CERTIFICATE-----"
                ),
            },
            "there are no certificates in it",
        ),
        ({"ssl.cipher.suites": "X"}, "has no effect in this broker"),
    ],
)
def test_what_cannot_be_used(config: dict[str, str], why: str):
    """
    What cannot be used is told at the start, with the way out.
    """
    with pytest.raises(ConfigError) as caught:
        Broker(security="SSL", config=config).start()

    assert why in str(caught.value)


def test_large_answers_go_through_tls(authority: Authority):
    """
    Records are read over TLS as they were written, by a client that reads slowly too.
    """
    config = keystore(authority.server())
    with Broker({"t": 1}, security="SSL", config=config) as broker:
        tls = context(authority)
        with SecureClient(broker.bootstrap_servers, tls=tls) as client:
            written = [batch(value=bytes([n]) * 500_000) for n in range(8)]
            for one in written:
                assert client.produce("t", one).error_code == 0
            parts = [FetchPartition(partition=0, partition_max_bytes=1 << 24)]
            request = FetchRequest(
                max_bytes=1 << 24, topics=[FetchTopic(topic="t", partitions=parts)]
            )
            for _ in range(3):
                client.send(request, 11)
            for _ in range(3):
                records = client.receive().responses[0].partitions[0].records
                assert len(records) == sum(map(len, written))
                # Offset and epoch are the broker's.
                assert bytes(records[21 : len(written[0])]) == written[0][21:]


def test_client_that_closes_behind_its_last_records(authority: Authority):
    """
    With acks=0 a client may close at once, and what it sent is kept.
    """
    config = keystore(authority.server())
    with Broker({"t": 1}, security="SSL", config=config) as broker:
        with SecureClient(broker.bootstrap_servers, tls=context(authority)) as client:
            part = PartitionProduceData(index=0, records=batch())
            data = [TopicProduceData(name="t", partition_data=[part])]
            for _ in range(20):
                client.send(ProduceRequest(acks=0, timeout_ms=1000, topic_data=data), 9)
        assert len(broker.wait_for("t", 20)) == 20


def test_sasl_over_tls(authority: Authority):
    """
    Behind TLS a client says by SASL who it is, whatever certificate it shows.
    """
    own = trusting(authority, "required")
    listener = Listener(protocol="SASL_SSL", config=own | keystore(authority.server()))
    with Broker(listeners=[listener], users={"alice": "secret"}) as broker:
        shown = context(authority, authority.client("bob"))
        with SecureClient(broker.bootstrap_servers, tls=shown) as client:
            client.handshake("PLAIN")
            assert ["User:ANONYMOUS"] == [one.principal for one in broker.state().connections]
            client.token(plain("alice", "secret"))
            assert ["User:alice"] == [one.principal for one in broker.state().connections]
        assert is_refused(broker, context(authority))


def test_general_client_auth_is_not_for_sasl(authority: Authority):
    """
    As in Kafka, ssl.client.auth of all listeners asks nobody who says by SASL who it is.
    """
    config = keystore(authority.server()) | trusting(authority, "required")
    with (
        Broker(security="SASL_SSL", users={"alice": "secret"}, config=config) as broker,
        SecureClient(broker.bootstrap_servers, tls=context(authority)) as client,
    ):
        assert client.plain("alice", "secret").error_code == 0
