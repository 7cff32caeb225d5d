"""Clients that others have written get in by each way they know, and write and read the same."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from pathlib import Path

import pytest

from pyproducer.broker import Broker, Listener
from tests.helpers.access import Access
from tests.helpers.authority import Authority, Identity
from tests.helpers.peers import peer
from tests.helpers.sample_records import difference, sample_records
from tests.helpers.token_server import AUDIENCE, TokenServer

PARTITIONS = 3
PLAIN_AND_SCRAM = ("PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512")
WAYS = [("SSL", None), *((p, m) for p in ("SASL_SSL", "SASL_PLAINTEXT") for m in PLAIN_AND_SCRAM)]
WAYS.append(("SASL_SSL", "OAUTHBEARER"))
PEERS = ("confluent-kafka", "aiokafka", "kafka-python")


@pytest.fixture(autouse=True)
def quiet(caplog: pytest.LogCaptureFixture) -> None:
    """What a client complains of while a connection closes is no failure."""
    caplog.set_level(logging.ERROR)


@pytest.fixture(scope="module")
def tokens() -> Iterator[TokenServer]:
    """Signs tokens, and publishes the keys."""
    with TokenServer() as running:
        yield running


@pytest.fixture(scope="module")
def everywhere(authority: Authority, tokens: TokenServer) -> Iterator[Broker]:
    """A broker with a listener for each way in."""
    stores = {
        "ssl.keystore.type": "PEM",
        "ssl.keystore.location": str(authority.server("peers").both),
        "ssl.truststore.type": "PEM",
        "ssl.truststore.location": str(authority.certificate),
    }
    oauth = {
        "sasl.oauthbearer.jwks.endpoint.url": tokens.keys_url,
        "sasl.oauthbearer.expected.audience": AUDIENCE,
        "sasl.oauthbearer.expected.issuer": tokens.issuer,
        "sasl.enabled.mechanisms": ",".join([*PLAIN_AND_SCRAM, "OAUTHBEARER"]),
    }
    listeners = [
        Listener(),
        Listener(protocol="SSL", config=stores | {"ssl.client.auth": "required"}),
        Listener(protocol="SASL_SSL", config=stores | oauth),
        Listener(protocol="SASL_PLAINTEXT"),
    ]
    with Broker(listeners=listeners, users={"alice": "secret"}) as running:
        yield running


@pytest.mark.parametrize(
    ("name", "protocol", "mechanism"),
    [
        pytest.param(name, *way, marks=pytest.mark.needs(name), id=f"{name}-{way[0]}-{way[1]}")
        for name in PEERS
        for way in WAYS
    ],
)
def test_foreign_client(
    everywhere: Broker,
    authority: Authority,
    tokens: TokenServer,
    name: str,
    protocol: str,
    mechanism: str | None,
):
    """
    A client writes and reads over a secured listener, as the user it says it is.
    """
    client = peer(name)
    by_token = mechanism == "OAUTHBEARER"
    by_password = mechanism is not None and not by_token
    access = Access(
        address=everywhere.bootstrap_servers_of(protocol),
        protocol=protocol,
        mechanism=mechanism,
        username="alice" if by_password else None,
        password="secret" if by_password else None,
        token=(lambda: tokens.token("alice")) if by_token else None,
        authority=authority.certificate if protocol.endswith("SSL") else None,
        shown=authority.client("alice") if protocol == "SSL" else None,
    )
    topic = f"{name}-{protocol}-{mechanism}"
    everywhere.create_topic(topic, PARTITIONS)
    records = [one for one in sample_records(topic, PARTITIONS) if client.can_send(one)]
    before = max((one.number for one in everywhere.journal), default=0)

    client.produce(access.address, topic, records, access=access)
    read = client.consume(access.address, topic, len(records), access=access)

    assert not difference(records, read, timestamps=client.sets_timestamps)
    named = "User:CN=alice,OU=Testing,O=pyproducer tests" if mechanism is None else "User:alice"
    asked = everywhere.journal.requests("Produce", since=before)
    assert {(named, protocol)} == {(one.principal, one.listener) for one in asked}


@pytest.mark.needs("confluent-kafka")
def test_certificate_made_on_the_fly_suits_librdkafka():
    """
    What a broker made for itself and for a client is taken by both sides.
    """
    with Broker({"t": 1}, security="SSL") as broker:
        access = Access(
            address=broker.bootstrap_servers,
            protocol="SSL",
            authority=Path(broker.ca_file),
            shown=Identity(*broker.client_certificate("alice")),
        )
        peer("confluent-kafka").produce(
            access.address, "t", sample_records("t", 1)[:3], access=access
        )

        assert {"User:CN=alice"} == {one.principal for one in broker.journal.requests("Produce")}
