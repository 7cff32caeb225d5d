"""Topics that are deleted, made anew, grow, or shrink their limits under the writers' hands."""

from __future__ import annotations

import asyncio
import random

import pytest

from pyproducer import (
    BrokerRejected,
    DeliveryTimeout,
    RecordTooLarge,
    TopicAuthorizationFailed,
    UnknownTopic,
)
from pyproducer.broker import Broker, TopicSpec
from pyproducer.protocol.messages.create_partitions import (
    CreatePartitionsRequest,
    CreatePartitionsTopic,
)
from pyproducer.protocol.messages.delete_topics import DeleteTopicsRequest
from pyproducer.protocol.messages.incremental_alter_configs import (
    AlterableConfig,
    AlterConfigsResource,
    IncrementalAlterConfigsRequest,
)
from tests.helpers.history import Entry, Outcome
from tests.helpers.scenario import Scenario, until
from tests.helpers.wire_client import WireClient
from tests.scenarios.conftest import count

SMALL = {"batch_max_records": 2}


def delete(broker: Broker, topic: str) -> None:
    with WireClient(broker.bootstrap_servers) as admin:
        answer = admin.ask(DeleteTopicsRequest(topic_names=[topic], timeout_ms=5000), 3)
        assert [0] == [one.error_code for one in answer.responses]


def grow(broker: Broker, topic: str, partitions: int) -> None:
    wanted = CreatePartitionsRequest(
        topics=[CreatePartitionsTopic(name=topic, count=partitions, assignments=None)],
        timeout_ms=5000,
    )
    with WireClient(broker.bootstrap_servers) as admin:
        assert [0] == [one.error_code for one in admin.ask(wanted, 2).results]


def configure(broker: Broker, topic: str, name: str, value: str) -> None:
    wanted = IncrementalAlterConfigsRequest(
        resources=[
            AlterConfigsResource(
                resource_type=2,
                resource_name=topic,
                configs=[AlterableConfig(name=name, config_operation=0, value=value)],
            )
        ]
    )
    with WireClient(broker.bootstrap_servers) as admin:
        assert [0] == [one.error_code for one in admin.ask(wanted, 1).responses]


#: Batches that were written behind one which the deleted topic refused may reach the new topic
#: first; a broker that is asked by the topic's name cannot tell. With one request under way, or
#: time for those to be refused too, order holds.
ORDERLY = pytest.mark.parametrize(
    ("in_flight", "gap"), [(1, 0.0), (5, 0.15)], ids=["one under way", "some time between"]
)


@pytest.mark.parametrize("partitions", [3, 5])
@ORDERLY
async def test_deleted_and_made_again(rig: Scenario, partitions: int, in_flight: int, gap: float):
    """
    What was acknowledged before goes with the topic; everything after is in the new one, once.
    """
    options = {
        **SMALL,
        "max_in_flight_requests_per_connection": in_flight,
        "delivery_timeout_ms": 8000,
    }
    async with rig.producer(**options) as producer, rig.load(producer) as load:
        await load.acknowledged(30)
        await asyncio.to_thread(delete, rig.broker, "t")
        rig.injected += 1
        await asyncio.sleep(gap)
        gone = [entry for entry in rig.history.entries if entry.outcome is Outcome.OK]
        await asyncio.to_thread(rig.broker.create_topic, "t", partitions)
        await load.acknowledged(60)

    assert rig.errors() == []
    verdict = rig.check(durable=False)
    # An acknowledgement may have been on its way when the topic went.
    late = [entry for entry in verdict.lost if entry not in gone]
    assert len(late) <= 3 * 5 * 2


@ORDERLY
async def test_deleted_and_made_again_many_times(rig: Scenario, in_flight: int, gap: float):
    """
    Ten topics of one name in a row: each starts from nothing, and order holds in each.
    """
    options = {
        **SMALL,
        "max_in_flight_requests_per_connection": in_flight,
        "delivery_timeout_ms": 8000,
    }
    async with rig.producer(**options) as producer, rig.load(producer) as load:
        for _ in range(10):
            await load.acknowledged(10)
            await asyncio.to_thread(delete, rig.broker, "t")
            rig.injected += 1
            await asyncio.sleep(gap)
            await asyncio.to_thread(rig.broker.create_topic, "t", 3)
        await load.acknowledged(30)

    assert rig.errors() == []
    rig.check(durable=False)


async def test_made_again_with_fewer_partitions(rig: Scenario):
    """
    Records of a partition that is no more fail in time or at the door, by name; the others go on.
    """
    options = {
        **SMALL,
        "delivery_timeout_ms": 700,
        "max_in_flight_requests_per_connection": 1,
    }

    def failed() -> list[Entry]:
        return [entry for entry in rig.history.entries if entry.error is not None]

    async with rig.producer(**options) as producer, rig.load(producer) as load:
        await load.acknowledged(30)
        await asyncio.to_thread(delete, rig.broker, "t")
        await asyncio.to_thread(rig.broker.create_topic, "t", 2)
        rig.injected += 1
        await until(lambda: len(failed()) >= 10)
        await load.acknowledged(40)

    for entry in failed():
        assert isinstance(entry.error, DeliveryTimeout | UnknownTopic)
        assert ("t", 2) == (entry.error.topic, entry.error.partition)
    rig.check(durable=False)


async def test_deleted_for_good(rig: Scenario):
    """
    Records of a topic that is gone fail in time, and those of others do not.
    """
    options = {**SMALL, "delivery_timeout_ms": 700}
    async with rig.producer(**options) as producer:
        await rig.write(producer, 5, topic="t")
        await rig.write(producer, 5)
        await producer.flush()
        await asyncio.to_thread(delete, rig.broker, "t")
        rig.injected += 1
        gone = await rig.write(producer, 10, topic="t")
        rest = await rig.write(producer, 10)
        await producer.flush()

    assert {Outcome.OK} == {entry.outcome for entry in rest}
    assert Outcome.OK not in {entry.outcome for entry in gone}
    for error in rig.errors():
        assert error.broker_error in {None, "UNKNOWN_TOPIC_OR_PARTITION"}
        assert not error.maybe_written
    rig.topics = ["one"]
    rig.check(durable=False)


async def test_partitions_are_added(rig: Scenario):
    """
    The topic grows under load, and the new partitions are used once metadata shows them.
    """
    options = {**SMALL, "metadata_max_age_ms": 100}
    async with rig.producer(**options) as producer, rig.load(producer) as load:
        await load.acknowledged(20)
        await asyncio.to_thread(grow, rig.broker, "t", 6)
        rig.injected += 1
        await until(lambda: len(producer._appender.topic("t").partitions) == 6)
        for number in range(6):
            await rig.history.enqueue(producer, f"new {number}", "t", partition=number)
        await load.acknowledged(20)

    assert rig.errors() == []
    assert {3, 4, 5} <= {one.partition for one in rig.read()}
    rig.check()


async def test_limit_of_the_topic_falls(rig: Scenario):
    """
    Batches that are suddenly too large are split until they fit, in order, each handle with them.
    """
    async with rig.producer() as producer, rig.load(producer, size=100, burst=20) as load:
        await load.acknowledged(50)
        await asyncio.to_thread(configure, rig.broker, "t", "max.message.bytes", "700")
        rig.injected += 1
        await until(lambda: producer.metrics().splits >= 5)
        await load.acknowledged(100)

    assert rig.errors() == []
    rig.check()


@pytest.mark.parametrize("codec", ["none", "gzip", "zstd"])
async def test_one_record_too_large_fails_alone(rig: Scenario, codec: str):
    """
    The oversized record is found by halving; its batch-mates are delivered in order.
    """
    await asyncio.to_thread(configure, rig.broker, "one", "max.message.bytes", "2000")
    # It does not shrink.
    noise = random.Random(1).randbytes(5000)
    async with rig.producer(compression_type=codec) as producer:
        await rig.history.send(producer, "w", "one")
        before = await rig.write(producer, 15)
        large = await producer.enqueue("one", noise)
        after = await rig.write(producer, 15)
        await producer.flush()
        error = large.exception()

    assert isinstance(error, BrokerRejected | RecordTooLarge)
    assert not isinstance(error, BrokerRejected) or (
        error.broker_error == "MESSAGE_TOO_LARGE" and not error.maybe_written
    )
    assert {Outcome.OK} == {entry.outcome for entry in before + after}
    rig.injected += 1
    rig.check()


@pytest.mark.parametrize("times", [1, 3, 10])
@pytest.mark.parametrize("codec", ["none", "snappy", "lz4"])
async def test_split_with_five_under_way(rig: Scenario, codec: str, times: int):
    """
    Split batches keep their place before those under way behind them, and their sequence.
    """
    options = {"batch_max_records": 8, "compression_type": codec}
    async with rig.producer(**options) as producer:
        await rig.history.send(producer, "w", "one")
        fault = rig.faults.fail("Produce", "MESSAGE_TOO_LARGE", times=times)
        await rig.write(producer, 80, size=300)
        await producer.flush()

    assert times == fault.hits
    assert [] == rig.errors()
    rig.check()


async def test_split_while_answers_are_lost(rig: Scenario):
    """
    The halves of a split batch are found in the log when their answers were lost.
    """
    options = {"batch_max_records": 8, "request_timeout_ms": 200}
    async with rig.producer(**options) as producer, rig.load(producer, burst=16) as load:
        for _ in range(3):
            await load.acknowledged(40)
            rig.faults.fail("Produce", "MESSAGE_TOO_LARGE", times=2)
            lost = rig.faults.drop_response("Produce", times=2)
            await rig.struck(lost, 2)
        await load.acknowledged(40)

    assert [] == rig.errors()
    rig.check()


async def test_record_that_the_topic_refuses_is_named(request: pytest.FixtureRequest):
    """
    A compacted topic refuses a record without a key: it is guilty, its batch-mates are retriable.
    """
    compacted = TopicSpec("c", 1, {"cleanup.policy": "compact"})
    with Broker([compacted]) as broker:
        rig = Scenario(broker, ["c"])
        async with rig.producer(linger_ms=50) as producer:
            first = await rig.write(producer, 3, topic="c", key=b"k")
            [guilty] = await rig.write(producer, 1, topic="c")
            last = await rig.write(producer, 3, topic="c", key=b"k")
            await producer.flush()
            again = [
                await rig.history.enqueue(producer, "again", "c", key=b"k")
                for entry in first + last
                if entry.error is not None
            ]
            await producer.flush()
        assert {Outcome.OK} == {entry.outcome for entry in again}
        assert len(again) == 6
        error = guilty.error
        assert isinstance(error, BrokerRejected)
        assert ("INVALID_RECORD", False, False) == (
            error.broker_error,
            error.retriable,
            error.maybe_written,
        )
        for entry in first + last:
            assert isinstance(entry.error, BrokerRejected)
            assert entry.error.retriable
            assert not entry.error.maybe_written
        rig.injected += 1
        rig.check()
    count(request, rig)


async def test_throttled_under_load(rig: Scenario):
    """
    A throttled producer waits, and loses its place nowhere.
    """
    async with rig.producer(**SMALL) as producer, rig.load(producer) as load:
        for ms in (20, 50, 200):
            await load.acknowledged(10)
            fault = rig.faults.throttle("Produce", ms, times=2)
            await rig.struck(fault, 2)
        await load.acknowledged(30)
        assert producer.metrics().throttled_ms >= 270

    assert rig.errors() == []
    rig.check()


async def test_throttled_for_longer_than_the_delivery_timeout(rig: Scenario):
    """
    Who is told to wait for too long fails in time; nothing was written, and it says so.
    """
    options = {**SMALL, "delivery_timeout_ms": 500}
    async with rig.producer(**options) as producer, rig.load(producer) as load:
        await load.acknowledged(20)
        fault = rig.faults.throttle("Produce", 900)
        await rig.struck(fault)
        await until(lambda: len(rig.history.errors) >= 20)
        await load.acknowledged(20)

    assert any(not error.maybe_written for error in rig.errors())
    rig.check()


@pytest.mark.parametrize(
    ("code", "kind"),
    [
        ("TOPIC_AUTHORIZATION_FAILED", TopicAuthorizationFailed),
        ("INVALID_TOPIC_EXCEPTION", UnknownTopic),
    ],
)
async def test_metadata_refuses_the_topic(rig: Scenario, code: str, kind: type[Exception]):
    """
    What metadata says for good fails the records at once, and by name.
    """
    async with rig.producer() as producer:
        fault = rig.faults.fail("Metadata", code, topic="one", times=None)
        refused = await rig.write(producer, 3)
        await producer.flush(1.5)
        fault.cancel()
        good = await rig.write(producer, 3, topic="t")

    assert [kind] * 3 == [type(entry.error) for entry in refused]
    assert {Outcome.OK} == {entry.outcome for entry in good}
    rig.check()
