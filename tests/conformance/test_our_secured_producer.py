"""What happens to our producer at an Apache Kafka that lets nobody in unasked, after the start."""

from __future__ import annotations

import asyncio
import logging

import pytest

from pyproducer import AsyncProducer
from tests.helpers.secure_kafka import SecureKafka
from tests.helpers.secured import BRIEF_MS, MECHANISMS, USER, USERS, access

TOPIC = "secured"
pytestmark = pytest.mark.needs("kafka")


@pytest.fixture(scope="module")
def kafka(secure_kafka: SecureKafka) -> SecureKafka:
    secure_kafka.create_topics({TOPIC: 1})
    return secure_kafka


@pytest.mark.parametrize("mechanism", MECHANISMS)
async def test_sessions_are_renewed(kafka, mechanism, caplog):
    """
    Through several sessions, idle and busy, nothing is lost and nothing is logged as trouble.
    """
    caplog.set_level(logging.INFO, "pyproducer")
    way = access(kafka, "BRIEF", mechanism)
    async with AsyncProducer(way.address, **way.ours(), linger_ms=0) as producer:
        first = (await producer.send(TOPIC, b"first")).offset
        await asyncio.sleep(3 * BRIEF_MS / 1000)
        deliveries = [
            await producer.send(TOPIC, b"%d" % number)
            for number in range(50)
            if await asyncio.sleep(BRIEF_MS / 1000 / 20) is None
        ]

    assert list(range(first + 1, first + 51)) == [one.offset for one in deliveries]
    told = [one.getMessage() for one in caplog.records if one.name.startswith("pyproducer")]
    assert [] == told


async def test_a_password_that_changes(kafka):
    """
    A callable password is asked at each authentication; records wait while it is the wrong one.
    """
    wrong = "not-" + USERS[USER]
    password = USERS[USER]
    given = []

    def current():
        given.append(password)
        return password

    options = {**access(kafka, "BRIEF", "PLAIN").ours(), "sasl_password": current}
    async with AsyncProducer(kafka.address("BRIEF"), **options, linger_ms=0) as producer:
        offsets = [(await producer.send(TOPIC, b"1")).offset]
        password = wrong
        await asyncio.sleep(2 * BRIEF_MS / 1000)
        waiting = await producer.enqueue(TOPIC, b"2")
        await asyncio.sleep(0.5)
        assert not waiting.done()
        password = USERS[USER]
        offsets.append((await waiting).offset)

    assert [offsets[0], offsets[0] + 1] == offsets
    assert wrong in given
