"""Our producers get in wherever they should, and what they wrote is read back by somebody else."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Sequence

import pytest

from pyproducer import AsyncProducer, OffsetAndMetadata, SyncProducer
from pyproducer.tokens import ClientCredentials
from tests.helpers.access import Access
from tests.helpers.complaints import complaints
from tests.helpers.peers import peer
from tests.helpers.sample_records import SampleRecord, difference, sample_records
from tests.helpers.scoreboard import Row, Scoreboard
from tests.helpers.secured import BRIEF_MS, USER, WAYS, Secured, access, way_id
from tests.helpers.token_server import CLIENT_ID, CLIENT_SECRET
from tests.helpers.transactional_peers import read

PARTITIONS = 3
EACH_WAY = pytest.mark.parametrize(
    ("listener", "mechanism"), [pytest.param(*way, id=way_id(way)) for way in WAYS]
)


async def write(producer: AsyncProducer, topic: str, records: Sequence[SampleRecord]) -> None:
    """Queue everything; each outcome is looked at."""
    deliveries = [await producer.enqueue(topic, **one._asdict()) for one in records]
    for delivery in deliveries:
        await delivery


def check(
    broker: Secured,
    scoreboard: Scoreboard,
    writer: str,
    way: Access,
    topic: str,
    records: Sequence[SampleRecord],
) -> None:
    """A foreign consumer reads the same, by the listener for everybody."""
    found = peer("confluent-kafka").consume(broker.bootstrap_servers, topic, len(records))
    wrong = difference(records, found)
    where = f"{broker.name}, {way.name}"
    scoreboard.add(
        Row(writer, where, "confluent-kafka", "none", "all", len(records), len(found), wrong)
    )


@EACH_WAY
async def test_awaited_producer(
    secured: Secured, scoreboard: Scoreboard, listener: str, mechanism: str | None
) -> None:
    """
    The asyncio producer writes idempotently over every kind of secured connection.
    """
    way = access(secured, listener, mechanism)
    topic = f"async-{listener}-{mechanism}"
    records = sample_records(topic, PARTITIONS)
    await asyncio.to_thread(secured.create_topics, {topic: PARTITIONS})

    async with AsyncProducer(way.address, **way.ours()) as producer:
        await write(producer, topic, records)

    await asyncio.to_thread(check, secured, scoreboard, "AsyncProducer", way, topic, records)


@EACH_WAY
def test_blocking_producer(
    secured: Secured, scoreboard: Scoreboard, listener: str, mechanism: str | None
) -> None:
    """
    The blocking producer does too.
    """
    way = access(secured, listener, mechanism)
    topic = f"sync-{listener}-{mechanism}"
    records = sample_records(topic, PARTITIONS)
    secured.create_topics({topic: PARTITIONS})

    with SyncProducer(way.address, **way.ours()) as producer:
        deliveries = [producer.enqueue(topic, **one._asdict()) for one in records]
        assert {delivery.result(20).topic for delivery in deliveries} == {topic}

    check(secured, scoreboard, "SyncProducer", way, topic, records)


@EACH_WAY
async def test_transactions(secured: Secured, listener: str, mechanism: str | None) -> None:
    """
    A transaction with offsets commits, and one that fails leaves nothing to be read.
    """
    way = access(secured, listener, mechanism)
    name = f"transactional-{listener}-{mechanism}"
    await asyncio.to_thread(secured.create_topics, {name: 1})

    async with AsyncProducer(way.address, transactional_id=name, **way.ours()) as producer:
        async with producer.transaction() as transaction:
            for value in ("one", "two"):
                await producer.send(name, value)
            await transaction.send_offsets({(name, 0): OffsetAndMetadata(2)}, name)
        with pytest.raises(ZeroDivisionError):
            async with producer.transaction():
                await producer.send(name, "three")
                raise ZeroDivisionError

    found = await asyncio.to_thread(
        read, "confluent-kafka", secured.bootstrap_servers, name, 2, committed=True
    )
    assert [b"one", b"two"] == list(found)


@pytest.mark.parametrize("blocking", [False, True], ids=["async", "sync"])
async def test_tokens_of_an_authorization_server(
    secured: Secured, scoreboard: Scoreboard, blocking: bool
) -> None:
    """
    Both producers have their tokens from an authorization server, over TLS.
    """
    server, authority = secured.tokens, secured.certificates.authority
    server.subject = USER
    provider = ClientCredentials(
        server.secure_token_url,
        client_id=CLIENT_ID,
        client_secret=CLIENT_SECRET,
        ssl_ca=authority.certificate,
    )
    way = access(secured, "SASL", "OAUTHBEARER")
    options = {**way.ours(), "sasl_token_provider": provider}
    topic = f"oidc-{blocking}"
    records = sample_records(topic, PARTITIONS)
    await asyncio.to_thread(secured.create_topics, {topic: PARTITIONS})

    def write_blocking() -> None:
        with SyncProducer(way.address, **options) as producer:
            for one in records:
                producer.send(topic, **one._asdict())

    if blocking:
        await asyncio.to_thread(write_blocking)
    else:
        async with AsyncProducer(way.address, **options) as producer:
            await write(producer, topic, records)

    writer = "SyncProducer, OIDC" if blocking else "AsyncProducer, OIDC"
    await asyncio.to_thread(check, secured, scoreboard, writer, way, topic, records)


@pytest.mark.parametrize("mechanism", ["PLAIN", "SCRAM-SHA-512", "OAUTHBEARER"])
async def test_sessions_that_end_while_writing(
    secured: Secured, caplog: pytest.LogCaptureFixture, mechanism: str
) -> None:
    """
    Connections prove anew who we are before their sessions end: none is lost, and no record.
    """
    caplog.set_level(logging.INFO, "pyproducer")
    way = access(secured, "BRIEF", mechanism)
    topic = f"brief-{mechanism}"
    await asyncio.to_thread(secured.create_topics, {topic: 1})
    sent = 0

    async with AsyncProducer(way.address, **way.ours()) as producer:
        begun = time.monotonic()
        while time.monotonic() - begun < 4 * BRIEF_MS / 1000:
            await producer.send(topic, str(sent))
            sent += 1

    assert [] == complaints(caplog)
    found = await asyncio.to_thread(
        read, "confluent-kafka", secured.bootstrap_servers, topic, sent, committed=True
    )
    assert [str(number).encode() for number in range(sent)] == list(found)


async def test_idle_producer_with_short_tokens(
    secured: Secured, caplog: pytest.LogCaptureFixture
) -> None:
    """
    A producer that is idle for many lives of a token sends at once, on the connection that it had.
    """
    caplog.set_level(logging.INFO, "pyproducer")
    way = access(secured, "BRIEF", "OAUTHBEARER")
    made: list[str] = []

    def token() -> str:
        made.append(secured.tokens.token(USER, lifetime=1.0))
        return made[-1]

    options = Access(**{**vars(way), "token": token}).ours()
    topic = "idle"
    await asyncio.to_thread(secured.create_topics, {topic: 1})

    async with AsyncProducer(way.address, **options) as producer:
        await producer.send(topic, "first")
        async with asyncio.timeout(60):
            while len(made) < 6:
                await asyncio.sleep(0.05)
        await producer.send(topic, "second")

    assert [] == complaints(caplog)


async def test_sessions_that_end_in_transactions(
    secured: Secured, caplog: pytest.LogCaptureFixture
) -> None:
    """
    Transactions go on over sessions that end, on the coordinator's connection and on the leader's.
    """
    caplog.set_level(logging.INFO, "pyproducer")
    way = access(secured, "BRIEF", "SCRAM-SHA-256")
    topic = "brief-transactions"
    await asyncio.to_thread(secured.create_topics, {topic: 1})
    sent = 0

    async with AsyncProducer(way.address, transactional_id=topic, **way.ours()) as producer:
        begun = time.monotonic()
        while time.monotonic() - begun < 4 * BRIEF_MS / 1000:
            async with producer.transaction() as transaction:
                for _ in range(3):
                    await producer.send(topic, str(sent))
                    sent += 1
                await transaction.send_offsets({(topic, 0): sent}, topic)

    assert [] == complaints(caplog)
    found = await asyncio.to_thread(
        read, "confluent-kafka", secured.bootstrap_servers, topic, sent, committed=True
    )
    assert [str(number).encode() for number in range(sent)] == list(found)
