"""Our producers in a Kerberos realm, before an Apache Kafka that knows its users by it."""

from __future__ import annotations

import asyncio
import importlib.util
import logging
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from pyproducer import AsyncProducer, ProviderFailed, SyncProducer
from tests.helpers import kdc
from tests.helpers.access import Access
from tests.helpers.authority import Authority
from tests.helpers.complaints import complaints
from tests.helpers.kdc import Kdc
from tests.helpers.kerberos_kafka import KerberosKafka
from tests.helpers.peers import peer
from tests.helpers.sample_records import difference, sample_records
from tests.helpers.scoreboard import Row, Scoreboard
from tests.helpers.transactional_peers import read

_MISSING = kdc.missing() or (
    ""
    if importlib.util.find_spec("gssapi")
    else "no package gssapi: make conformance has it where it can be compiled, with libkrb5-dev"
)
pytestmark = [
    pytest.mark.needs("kafka"),
    pytest.mark.skipif(bool(_MISSING), reason=_MISSING or "nothing is missing"),
]


@pytest.fixture(scope="module")
def realm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Kdc]:
    """A running realm."""
    with Kdc(tmp_path_factory.mktemp("realm")) as running:
        yield running


@pytest.fixture(scope="module")
def kerberos_kafka(tmp_path_factory: pytest.TempPathFactory, realm: Kdc) -> Iterator[KerberosKafka]:
    """A running Apache Kafka of the realm, whose sessions last for 1.5 s."""
    authority = Authority(tmp_path_factory.mktemp("authority"))
    with KerberosKafka(tmp_path_factory.mktemp("kafka"), realm, authority) as running:
        yield running


@pytest.fixture(params=["SASL_PLAINTEXT", "SASL_SSL"])
def way(kerberos_kafka: KerberosKafka, request: pytest.FixtureRequest) -> Access:
    """Each listener in turn."""
    return kerberos_kafka.ways[request.param]


@pytest.fixture
def be(realm: Kdc, monkeypatch: pytest.MonkeyPatch) -> None:
    """This process is the principal ``app``."""
    for name, value in realm.client(realm.keytab("app")).items():
        monkeypatch.setenv(name, value)


@pytest.mark.usefixtures("be")
@pytest.mark.parametrize("blocking", [False, True], ids=["async", "sync"])
def test_writes_are_read_back(
    kerberos_kafka: KerberosKafka, scoreboard: Scoreboard, way: Access, blocking: bool
) -> None:
    """
    A producer with a keytab writes as its principal.
    """
    topic = f"gssapi-{way.protocol}-{blocking}"
    kerberos_kafka.create_topics({topic: 3})
    records = sample_records(topic, 3)

    async def write() -> None:
        async with AsyncProducer(way.address, **way.ours()) as producer:
            for one in records:
                await producer.send(topic, **one._asdict())

    if blocking:
        with SyncProducer(way.address, **way.ours()) as producer:
            for one in records:
                producer.send(topic, **one._asdict())
    else:
        asyncio.run(write())

    found = peer("confluent-kafka").consume(kerberos_kafka.bootstrap_servers, topic, len(records))
    wrong = difference(records, found)
    writer = "SyncProducer" if blocking else "AsyncProducer"
    where = f"kafka, {way.name}"
    scoreboard.add(
        Row(writer, where, "confluent-kafka", "none", "all", len(records), len(found), wrong)
    )


@pytest.mark.usefixtures("be")
async def test_sessions_that_end_while_writing(
    kerberos_kafka: KerberosKafka, way: Access, caplog: pytest.LogCaptureFixture
) -> None:
    """
    New tickets renew the session on the connection, and no record is lost.
    """
    caplog.set_level(logging.INFO, "pyproducer")
    topic = f"gssapi-sessions-{way.protocol}"
    await asyncio.to_thread(kerberos_kafka.create_topics, {topic: 1})
    sent = 0

    async with AsyncProducer(way.address, **way.ours()) as producer:
        begun = time.monotonic()
        while time.monotonic() - begun < 6:
            await producer.send(topic, str(sent))
            sent += 1

    assert [] == complaints(caplog)
    found = await asyncio.to_thread(
        read, "confluent-kafka", kerberos_kafka.bootstrap_servers, topic, sent, committed=True
    )
    assert [str(number).encode() for number in range(sent)] == list(found)


async def start_fails(way_address: str, **options: object) -> ProviderFailed:
    """How a producer fails to start, within five seconds."""
    producer = AsyncProducer(way_address, **options)
    begun = time.monotonic()
    with pytest.raises(ProviderFailed) as caught:
        await producer.start()
    assert time.monotonic() - begun < 5
    return caught.value


@pytest.mark.usefixtures("be")
async def test_service_that_the_realm_does_not_know(way: Access) -> None:
    """
    A wrong service name is told with the principal that was asked for.
    """
    error = await start_fails(way.address, **way.ours(), sasl_kerberos_service_name="kaffee")

    for part in ("'kaffee@localhost'", "sasl_kerberos_service_name", way.address, "not found"):
        assert part in str(error)


async def test_no_ticket(
    way: Access, realm: Kdc, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """
    Without a ticket or a keytab the text says how to get one.
    """
    monkeypatch.setenv("KRB5_CONFIG", str(realm.config))
    monkeypatch.setenv("KRB5CCNAME", f"FILE:{tmp_path / 'none'}")
    monkeypatch.setenv("KRB5_CLIENT_KTNAME", str(tmp_path / "none.keytab"))

    error = await start_fails(way.address, **way.ours())

    for part in ("kinit", "KRB5_CLIENT_KTNAME", way.address):
        assert part in str(error)
