"""Codecs, acks and numbers of requests under way, each under the same row of faults."""

from __future__ import annotations

import asyncio

import pytest

from tests.helpers.history import Outcome
from tests.helpers.read_back import read_foreign
from tests.helpers.scenario import Scenario, until

CODECS = ["none", "gzip", "snappy", "lz4", "zstd"]


async def trouble(rig: Scenario, producer, load) -> None:
    """One fault of each kind, one after the other."""
    faults = rig.faults
    for setting in (
        lambda: faults.fail("Produce", "NOT_LEADER_OR_FOLLOWER", times=2),
        lambda: faults.fail("Produce", "NOT_ENOUGH_REPLICAS_AFTER_APPEND", when="after"),
        lambda: faults.drop_response("Produce"),
        lambda: faults.cut("Produce"),
        lambda: faults.delay("Produce", 0.3, times=1),
        lambda: faults.throttle("Produce", 30),
        lambda: faults.fail("Produce", "MESSAGE_TOO_LARGE"),
        lambda: faults.fail("Produce", "CORRUPT_MESSAGE"),
    ):
        fault = setting()
        await rig.struck(fault)
        await load.acknowledged(12)
    with faults.leaderless("t") as fault:
        await rig.missed(fault, producer)
    with faults.pause() as fault:
        await rig.struck(fault)
        await asyncio.sleep(0.3)
    faults.close_connections()
    await load.acknowledged(20)


@pytest.mark.parametrize("codec", CODECS)
async def test_codec(rig: Scenario, codec: str):
    """
    Compressed bodies are sent again as they are, or split, and read by a foreign consumer.
    """
    options = {"compression_type": codec, "batch_max_records": 5, "request_timeout_ms": 200}
    async with (
        rig.producer(**options) as producer,
        rig.load(producer, size=500, burst=10) as load,
    ):
        await load.acknowledged(20)
        await trouble(rig, producer, load)

    assert rig.errors() == []
    rig.check()
    read = await asyncio.to_thread(read_foreign, rig.broker.bootstrap_servers, ["t"])
    rig.check(read=read, again=True)


@pytest.mark.parametrize("in_flight", [1, 2, 5])
@pytest.mark.parametrize(
    ("acks", "idempotent"), [("all", True), ("all", False), (1, None), (1, False)]
)
async def test_acks_and_requests_under_way(
    rig: Scenario, acks: object, idempotent: bool | None, in_flight: int
):
    """
    Order holds with any number of requests under way; without sequences doubles may happen.
    """
    options = {
        "acks": acks,
        "enable_idempotence": idempotent,
        "max_in_flight_requests_per_connection": in_flight,
        "batch_max_records": 3,
        "request_timeout_ms": 200,
    }
    async with rig.producer(**options) as producer, rig.load(producer) as load:
        await load.acknowledged(20)
        await trouble(rig, producer, load)

    assert rig.errors() == []
    rig.check(idempotent=bool(idempotent))


async def test_many_requests_under_way_without_idempotence(rig: Scenario):
    """
    Fifty requests under way, one batch of each partition among them, keep every order.
    """
    options = {
        "enable_idempotence": False,
        "max_in_flight_requests_per_connection": 50,
        "batch_max_records": 1,
        "linger_ms": 0,
    }
    async with rig.producer(**options) as producer, rig.load(producer) as load:
        await load.acknowledged(20)
        for turn in range(10):
            fault = rig.faults.fail("Produce", "NOT_ENOUGH_REPLICAS", partition=turn % 3)
            await rig.struck(fault)
            await load.acknowledged(5)

    assert rig.errors() == []
    verdict = rig.check(idempotent=False)
    assert 0 == verdict.counts.repeated


async def test_acks_zero_promises_nothing_and_tells_no_offset(rig: Scenario):
    """
    With acks=0 records are gone where a connection went; none is doubled, and order holds.
    """
    async with rig.producer(acks=0) as producer, rig.load(producer) as load:
        for _ in range(10):
            await load.acknowledged(20)
            rig.faults.close_connections()
        await load.acknowledged(40)

    told = [entry for entry in rig.history.entries if entry.outcome is Outcome.OK]
    assert {-1} == {entry.at[1] for entry in told if entry.at is not None}
    assert rig.errors() == []
    verdict = rig.check(durable=False)
    assert verdict.counts.read_back > verdict.counts.sent / 2


async def test_acks_zero_loses_nothing_without_faults(rig: Scenario):
    """
    What was written before a close arrives, also where nobody answers.
    """
    async with rig.producer(acks=0) as producer, rig.load(producer) as load:
        await load.acknowledged(300)
    # The broker may still be reading what the closed connection has left.
    await until(lambda: len(rig.read()) >= len(rig.history.entries))

    assert rig.errors() == []
    rig.check()


@pytest.mark.parametrize("retries", [0, 1, 3])
async def test_bounded_retries(rig: Scenario, retries: int):
    """
    With retries bounded a batch fails after so many more attempts, and says whether it is sure.
    """
    async with rig.producer(retries=retries, enable_idempotence=False) as producer:
        await rig.history.send(producer, "w", "one")
        for code, times in (("NOT_ENOUGH_REPLICAS", retries + 1), ("NOT_ENOUGH_REPLICAS", retries)):
            if times:
                rig.faults.fail("Produce", code, times=times)
            await rig.history.send(producer, "w", "one")
        rig.faults.fail("Produce", "REQUEST_TIMED_OUT", when="after", times=retries + 1)
        await rig.history.send(producer, "w", "one")
        await rig.history.send(producer, "w", "one")

    sure, doubtful = rig.errors()
    assert ("NOT_ENOUGH_REPLICAS", retries + 1, False) == (
        sure.broker_error,
        sure.attempts,
        sure.maybe_written,
    )
    assert ("REQUEST_TIMED_OUT", retries + 1, True) == (
        doubtful.broker_error,
        doubtful.attempts,
        doubtful.maybe_written,
    )
    rig.check(idempotent=False)


async def test_many_partitions_and_small_requests(rig: Scenario):
    """
    Eighty partitions share requests that hold a few batches each; faults strike some of them.
    """
    rig.broker.create_topic("wide", 80)
    rig.topics.append("wide")
    writers = [f"w{number}" for number in range(80)]
    options = {"max_request_size": 4000, "batch_size": 2000, "request_timeout_ms": 300}
    async with (
        rig.producer(**options) as producer,
        rig.load(producer, writers=writers, topic="wide", partitions=80, pause=0.02) as load,
    ):
        await load.acknowledged(200)
        for partition in (0, 7, 79):
            rig.faults.fail("Produce", "NOT_LEADER_OR_FOLLOWER", partition=partition, times=2)
        await rig.struck(rig.faults.cut("Produce"))
        await rig.struck(rig.faults.drop_response("Produce"))
        with rig.faults.leaderless("wide", 40) as fault:
            await rig.missed(fault, producer)
        await load.acknowledged(400)

    assert rig.errors() == []
    rig.check()
