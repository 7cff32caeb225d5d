"""Nobody answers, or nobody leads: every record has its outcome in time, and the error says why."""

from __future__ import annotations

import asyncio
import socket
import time
from collections.abc import Iterator

import pytest

from pyproducer import DeliveryTimeout, FlushTimeout, SyncProducer, UnknownTopic
from pyproducer.broker import Broker
from pyproducer.errors import UndeliveredError
from tests.helpers.fault_proxy import FaultProxy
from tests.helpers.history import Entry, Outcome
from tests.helpers.scenario import Scenario, until

#: Long enough for an attempt or two, short enough to try many ways.
SHORT = {"delivery_timeout_ms": 800, "request_timeout_ms": 250}


@pytest.fixture
def proxy(broker: Broker) -> Iterator[FaultProxy]:
    """The only way to the broker."""
    with FaultProxy(broker.bootstrap_servers) as running:
        broker._node().advertise(running.port)
        yield running


def outcomes(entries: list[Entry]) -> set[Outcome]:
    return {entry.outcome for entry in entries}


async def test_unknown_topic(rig: Scenario):
    """
    Records of a topic that never comes fail by its name, and no others wait for them.
    """
    async with rig.producer(**SHORT) as producer:
        lost = await rig.write(producer, 3, topic="nowhere")
        good = await rig.write(producer, 3)
        report = await producer.flush()

    assert (report.delivered, report.failed) == (3, 3)
    for entry in lost:
        assert isinstance(entry.error, UnknownTopic)
        assert "nowhere" in str(entry.error)
    assert {Outcome.OK} == outcomes(good)
    rig.check()


async def test_topic_that_is_made_meanwhile(rig: Scenario):
    """
    Records wait in their order for a topic that comes in time.
    """
    async with rig.producer() as producer:
        entries = await rig.write(producer, 20, topic="soon")
        await until(lambda: "soon" in producer._engine.cluster.unknown_since)
        rig.broker.create_topic("soon", 1)
        rig.topics.append("soon")

    assert {Outcome.OK} == outcomes(entries)
    rig.check()


@pytest.mark.parametrize("kind", ["drop_response", "cut"])
async def test_no_metadata(rig: Scenario, kind: str):
    """
    Where no metadata comes, records on the shelf fail in time, and are sure not to be written.
    """
    async with rig.producer(**SHORT) as producer:
        await rig.write(producer, 1, topic="t")
        await producer.flush()
        getattr(rig.faults, kind)("Metadata", times=None)
        rig.faults.close_connections()
        await rig.write(producer, 5)
        await producer.flush()
        rig.broker.faults.clear()
        await rig.write(producer, 1)

    errors = rig.errors()
    assert [("one", None, False, True)] * 5 == [
        (error.topic, error.partition, error.maybe_written, error.retriable) for error in errors
    ]
    assert all("no broker answers" in str(error) or "did not say" in str(error) for error in errors)
    rig.check()


async def test_no_leader(rig: Scenario):
    """
    Records of a partition without a leader fail in time; those of others are not kept waiting.
    """
    async with rig.producer(**SHORT) as producer:
        await rig.write(producer, 1, topic="t", partition=0)
        await producer.flush()
        with rig.faults.leaderless("t", 0):
            stuck = await rig.write(producer, 5, topic="t", partition=0)
            await rig.history.send(producer, "other", "t", partition=1)
            assert {Outcome.OPEN} == outcomes(stuck)
            await producer.flush()
        await rig.write(producer, 1, topic="t", partition=0)

    errors = rig.errors()
    assert len(errors) == 5
    for error in errors:
        assert isinstance(error, DeliveryTimeout)
        assert ("t", 0) == (error.topic, error.partition)
        assert 0.75 <= error.elapsed
        assert error.broker_error in {None, "NOT_LEADER_OR_FOLLOWER"}
    rig.check()


async def test_leader_comes_and_goes_under_load(rig: Scenario):
    """
    Every partition loses its leader and gets it back, time and again: nothing is lost.
    """
    async with rig.producer() as producer, rig.load(producer) as load:
        for turn in range(6):
            await load.acknowledged(15)
            with rig.faults.leaderless("t", turn % 3 if turn < 3 else None) as fault:
                await rig.missed(fault, producer)
        await load.acknowledged(30)

    assert rig.errors() == []
    rig.check()


@pytest.mark.parametrize("direction", ["up", "down", "both"])
@pytest.mark.parametrize("idempotent", [True, False])
async def test_black_hole(rig: Scenario, proxy: FaultProxy, direction: str, idempotent: bool):
    """
    Bytes go nowhere and nobody says so: records fail in time, and those after it are delivered.
    """
    options = {**SHORT, "enable_idempotence": idempotent}
    async with rig.producer(proxy.address, **options) as producer, rig.load(producer) as load:
        await load.acknowledged(20)
        proxy.hold(direction)
        rig.injected += 1
        await until(lambda: len(rig.history.errors) >= 20)
        proxy.heal()
        await load.acknowledged(50)

    for error in rig.errors():
        assert isinstance(error, DeliveryTimeout)
        assert error.broker_error is None
        assert error.maybe_written == (error.attempts > 0)
        assert "unanswered" in str(error) or error.attempts == 0
    rig.check(idempotent=idempotent)


async def test_black_hole_that_is_soon_over(rig: Scenario, proxy: FaultProxy):
    """
    What was under way when bytes stopped is sent again, and found in the log.
    """
    async with rig.producer(proxy.address) as producer, rig.load(producer) as load:
        for direction in ("up", "down", "both"):
            await load.acknowledged(20)
            proxy.hold(direction)
            rig.injected += 1
            # Longer than a request may take.
            await asyncio.sleep(0.5)
            proxy.heal()
            proxy.reset()
        await load.acknowledged(20)
        assert producer.metrics().retries

    assert rig.errors() == []
    rig.check()


async def test_resets_and_refusals(rig: Scenario, proxy: FaultProxy):
    """
    Connections that are reset, closed or refused cost retries and no record.
    """
    async with rig.producer(proxy.address) as producer, rig.load(producer) as load:
        for harm in (proxy.reset, proxy.close, proxy.reset, proxy.close):
            await load.acknowledged(20)
            proxy.refuse()
            harm()
            rig.injected += 2
            accepted = proxy.accepted
            await until(lambda accepted=accepted: proxy.accepted >= accepted + 2)
            proxy.heal()
        await load.acknowledged(20)

    assert rig.errors() == []
    rig.check()


async def test_slow_and_narrow_line(rig: Scenario, proxy: FaultProxy):
    """
    A line with delay and little room is slower, and nothing else.
    """
    proxy.delay(0.03)
    proxy.rate(200_000)
    rig.injected += 1
    async with (
        rig.producer(proxy.address, request_timeout_ms=1500) as producer,
        rig.load(producer) as load,
    ):
        await load.acknowledged(150)

    assert rig.errors() == []
    rig.check()


async def test_paused_broker_for_longer_than_the_delivery_timeout(rig: Scenario):
    """
    What was written to a broker that stands still may be written, what was not is not.
    """
    async with rig.producer(**SHORT) as producer, rig.load(producer) as load:
        await load.acknowledged(20)
        with rig.faults.pause():
            await until(lambda: len(rig.history.errors) >= 30)
        await load.acknowledged(50)

    errors = rig.errors()
    assert {True, False} >= {error.maybe_written for error in errors}
    assert any(error.maybe_written for error in errors)
    rig.check()


async def test_paused_broker_within_the_delivery_timeout(rig: Scenario):
    """
    A broker that stands still for longer than a request may take doubles nothing.
    """
    async with rig.producer(request_timeout_ms=150) as producer, rig.load(producer) as load:
        for _ in range(3):
            await load.acknowledged(20)
            with rig.faults.pause() as fault:
                await rig.struck(fault, 3)
                await asyncio.sleep(0.3)
        await load.acknowledged(50)

    assert rig.errors() == []
    rig.check()


async def test_peer_that_accepts_and_is_silent(rig: Scenario):
    """
    After a start, a broker whose place is taken by a silent stranger leaves nobody waiting.
    """
    with FaultProxy(rig.broker.bootstrap_servers) as proxy, socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen(100)
        rig.broker._node().advertise(proxy.port)
        async with rig.producer(proxy.address, **SHORT) as producer:
            await rig.write(producer, 1)
            await producer.flush()
            proxy.target = f"127.0.0.1:{silent.getsockname()[1]}"
            proxy.reset()
            rig.injected += 1
            await rig.write(producer, 10)
            await producer.flush()

        assert len(rig.errors()) == 10
    rig.check()


async def test_flush_is_bounded_while_nobody_answers(rig: Scenario):
    """
    flush(timeout) says how many records are left; leaving says that nobody looked at them.
    """
    producer = rig.producer(**SHORT)
    await producer.start()
    await rig.history.send(producer, "w", "one")
    with rig.faults.pause():
        unseen = [await producer.enqueue("one", b"unseen") for _ in range(3)]
        begun = time.monotonic()
        with pytest.raises(FlushTimeout) as flushed:
            await producer.flush(0.1)
        with pytest.raises(UndeliveredError) as closed:
            await producer.close(0.3)
        took = time.monotonic() - begun

    assert 3 == flushed.value.remaining
    assert {"one": 3} == closed.value.by_topic
    assert took < SHORT["delivery_timeout_ms"] / 1000 + rig.stood_still + 1
    assert all(delivery.done() for delivery in unseen)


def test_blocking_producer_in_a_black_hole(broker: Broker, proxy: FaultProxy):
    """
    A blocked send() ends in time, and from other threads the same.
    """
    scenario = Scenario(broker, ["t", "one"])
    options = scenario.options(**SHORT)
    with SyncProducer(proxy.address, **options) as producer:
        for _ in range(5):
            scenario.history.enqueue_blocking(producer, "w", "one")
        producer.flush()
        proxy.hold()
        for _ in range(5):
            scenario.history.enqueue_blocking(producer, "w", "one")
        with pytest.raises(DeliveryTimeout) as caught:
            producer.send("t", b"lost")
        producer.flush()
        proxy.heal()
        scenario.history.enqueue_blocking(producer, "w", "one")
        producer.flush()

    assert "t" == caught.value.topic
    assert 6 == scenario.history.acknowledged
    scenario.topics = ["one"]
    scenario.check()
