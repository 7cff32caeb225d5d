"""Our producer and our broker: sessions end, passwords change, and nothing is lost by either."""

from __future__ import annotations

import asyncio
import logging

import pytest

from pyproducer import AsyncProducer, SyncProducer
from pyproducer.broker import Broker, Listener
from pyproducer.errors import CredentialsRefused, DeliveryTimeout, MechanismNotOffered

RECORDS = 100_000
MECHANISMS = ("PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512")


def guarded(**config):
    """A listener whose sessions last as long as it is told."""
    return Listener(protocol="SASL_PLAINTEXT", config=config)


@pytest.fixture
def brief():
    """A broker whose sessions end after a second and a half."""
    listener = guarded(**{"connections.max.reauth.ms": "1500"})
    with Broker({"t": 3}, listeners=[listener], users={"alice": "first"}) as running:
        yield running


def options(broker, mechanism="SCRAM-SHA-512", **more):
    return {
        "bootstrap_servers": broker.bootstrap_servers,
        "security_protocol": "SASL_PLAINTEXT",
        "sasl_mechanism": mechanism,
        "sasl_username": "alice",
        "sasl_password": "first",
        **more,
    }


def in_order(broker):
    """The numbers of each partition's records, as they are in the log."""
    found = {}
    for record in broker.records("t"):
        found.setdefault(record.partition, []).append(int(record.value))
    assert all(numbers == sorted(numbers) for numbers in found.values())
    return sorted(number for numbers in found.values() for number in numbers)


@pytest.mark.parametrize("mechanism", MECHANISMS)
async def test_sessions_end_while_records_flow(brief, mechanism, caplog):
    """
    Through several sessions every record arrives once and in order, and nothing is an error.
    """
    caplog.set_level(logging.INFO, "pyproducer")
    sent = 0
    async with AsyncProducer(**options(brief, mechanism)) as producer:
        loop = asyncio.get_running_loop()
        end = loop.time() + 4
        while loop.time() < end or sent < 1000:
            for _ in range(50):
                producer.enqueue_nowait("t", b"%d" % sent, partition=sent % 3)
                sent += 1
            await asyncio.sleep(0.01)
        report = await producer.flush()

    assert 0 == report.failed
    assert list(range(sent)) == in_order(brief)
    # A machine that stands still for too long is late, which is worth a warning and no more.
    assert [] == [one.getMessage() for one in caplog.records if one.levelno >= logging.ERROR]


async def test_a_password_changes_under_a_hundred_thousand_records(brief):
    """
    A password that changes in the middle is taken up by a callable, and no record is lost.
    """
    current = "first"
    async with AsyncProducer(**options(brief, sasl_password=lambda: current)) as producer:
        deliveries = []
        for number in range(RECORDS):
            deliveries.append(await producer.enqueue("t", b"%d" % number, partition=number % 3))
            if number == RECORDS // 2:
                brief.users.set("alice", "second")
                current = "second"
                # Long enough for the sessions of before to end.
                await asyncio.sleep(2)
        await producer.flush()

    assert [None] * RECORDS == [one.exception() for one in deliveries]
    assert list(range(RECORDS)) == in_order(brief)


def test_blocking_producers_go_on_too(brief):
    """
    The blocking producer is authenticated anew in the same way, idle and busy.
    """
    with SyncProducer(**options(brief)) as producer:
        producer.send_many("t", [b"%d" % number for number in range(1000)], partitions=[0] * 1000)
        assert brief.wait_for("t", 1000, timeout=30)
        # Longer than a session, without a record.
        producer.flush()
        asyncio.run(asyncio.sleep(2.5))
        producer.send_many(
            "t", [b"%d" % number for number in range(1000, 2000)], partitions=[0] * 1000
        )

    assert list(range(2000)) == in_order(brief)


async def test_records_wait_for_a_password_to_be_put_right(brief, caplog):
    """
    A password that is refused later on costs no record that is put right in time; one that is
    not is told why, and the log has it once.
    """
    current = "first"
    async with AsyncProducer(
        **options(brief, sasl_password=lambda: current, delivery_timeout_ms=4_000),
        request_timeout_ms=1_000,
    ) as producer:
        await producer.send("t", b"0", partition=0)
        brief.users.set("alice", "second")
        await asyncio.sleep(2)
        waiting = await producer.enqueue("t", b"1", partition=0)
        await asyncio.sleep(0.5)
        current = "second"
        await waiting
        current = "wrong"
        await asyncio.sleep(2)
        with pytest.raises(DeliveryTimeout, match="refuses the credentials for SCRAM-SHA-512"):
            await producer.send("t", b"2", partition=0)
        current = "second"

    assert [0, 1] == in_order(brief)


async def test_starts_that_are_refused(brief):
    """
    Wrong credentials and a mechanism that is not offered end a start at once, each by its class.
    """
    with pytest.raises(CredentialsRefused, match=brief.bootstrap_servers) as refused:
        await AsyncProducer(**options(brief, sasl_password="wrong")).start()
    assert "wrong" not in str(refused.value)
    only = guarded(**{"sasl.enabled.mechanisms": "PLAIN"})
    with (
        Broker({"t": 1}, listeners=[only], users={"alice": "first"}) as narrow,
        pytest.raises(MechanismNotOffered, match="it offers PLAIN") as missing,
    ):
        await AsyncProducer(**options(narrow)).start()

    assert ("PLAIN",) == missing.value.offered
