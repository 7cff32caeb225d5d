"""The broker has the batch and the producer does not know, one to five of them at a time."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import pytest

from pyproducer import DeliveryTimeout
from pyproducer.broker import Broker
from tests.helpers.fault_proxy import FaultProxy
from tests.helpers.history import Outcome
from tests.helpers.scenario import Scenario, until

#: Many batches of one partition under way at once.
SMALL = {"batch_max_records": 2, "request_timeout_ms": 250}


@pytest.fixture
def proxy(broker: Broker) -> Iterator[FaultProxy]:
    """The only way to the broker."""
    with FaultProxy(broker.bootstrap_servers) as running:
        broker._node().advertise(running.port)
        yield running


async def warm(rig: Scenario, producer, writer: str = "w") -> None:
    """The partition's first batch is acknowledged, so that the next may be under way together."""
    await rig.history.send(producer, writer, "one")


@pytest.mark.parametrize("kind", ["drop_response", "cut"])
@pytest.mark.parametrize("count", range(1, 6))
async def test_lost_after_append(rig: Scenario, kind: str, count: int):
    """
    However many of the answers under way are lost, each batch is found in the log at its offset.
    """
    async with rig.producer(**SMALL) as producer:
        await warm(rig, producer)
        fault = getattr(rig.faults, kind)("Produce", times=count)
        entries = await rig.write(producer, 12)
        await producer.flush()

    assert count == fault.hits
    assert [(0, number) for number in range(1, 13)] == [entry.at for entry in entries]
    rig.check()


@pytest.mark.parametrize("count", range(1, 6))
async def test_lost_while_later_ones_arrive(rig: Scenario, count: int):
    """
    An answer in the middle is lost: those around it count, and it is found when asked again.
    """
    async with rig.producer(**SMALL) as producer, rig.load(producer) as load:
        for _ in range(count):
            await load.acknowledged(10)
            fault = rig.faults.drop_response("Produce")
            await rig.struck(fault)
        await load.acknowledged(20)
        assert producer.metrics().retries

    assert rig.errors() == []
    rig.check()


async def test_more_lost_than_the_window_holds(rig: Scenario):
    """
    Twenty answers in a row are lost: never more than five batches are in doubt, and all are found.
    """
    options = {**SMALL, "request_timeout_ms": 100}
    async with rig.producer(**options) as producer:
        await warm(rig, producer)
        fault = rig.faults.drop_response("Produce", times=20)
        await rig.write(producer, 40)
        queue = producer._appender.topic("one").partitions[0].queue
        while fault.active:
            assert queue.stamped <= 5
            await asyncio.sleep(0.01)
        await producer.flush()

    assert rig.errors() == []
    rig.check()


async def test_all_answers_lost_until_the_end(rig: Scenario):
    """
    Records whose answers never came may be written, those never sent are not; the next are.
    """
    options = {**SMALL, "delivery_timeout_ms": 700}
    async with rig.producer(**options) as producer:
        await warm(rig, producer)
        with rig.faults.drop_response("Produce", times=None):
            entries = await rig.write(producer, 20)
            await producer.flush()
        await rig.write(producer, 5)

    assert {Outcome.FAILED, Outcome.MAYBE} >= {entry.outcome for entry in entries}
    for error in rig.errors():
        assert isinstance(error, DeliveryTimeout)
        assert error.maybe_written == (error.attempts > 0)
    verdict = rig.check()
    # Those in doubt had been written.
    assert verdict.counts.maybe_written == verdict.counts.read_back - 6


@pytest.mark.parametrize("idempotent", [True, False])
async def test_answer_slower_than_the_request_timeout(rig: Scenario, idempotent: bool):
    """
    An answer that comes after its time is no answer; without idempotence its records are doubled.
    """
    options = {**SMALL, "enable_idempotence": idempotent, "request_timeout_ms": 150}
    async with rig.producer(**options) as producer, rig.load(producer) as load:
        await load.acknowledged(20)
        fault = rig.faults.delay("Produce", 0.3, times=2)
        await rig.struck(fault, 2)
        await load.acknowledged(40)

    assert rig.errors() == []
    verdict = rig.check(idempotent=idempotent)
    assert bool(verdict.counts.repeated) is not idempotent


@pytest.mark.parametrize("idempotent", [True, False])
async def test_slow_answer_and_then_the_connection_goes(rig: Scenario, idempotent: bool):
    """
    While the answer is on its way its connection is closed.
    """
    options = {**SMALL, "enable_idempotence": idempotent}
    async with rig.producer(**options) as producer, rig.load(producer) as load:
        for _ in range(3):
            await load.acknowledged(20)
            fault = rig.faults.delay("Produce", 0.1, times=1)
            await rig.struck(fault)
            rig.faults.close_connections()
        await load.acknowledged(40)

    assert rig.errors() == []
    rig.check(idempotent=idempotent)


@pytest.mark.parametrize("after", [0, 3, 4, 5, 20, 60, 90, 200, 1000])
async def test_request_cut_in_the_middle(rig: Scenario, proxy: FaultProxy, after: int):
    """
    Half a request appends nothing, wherever it breaks off.
    """
    async with (
        rig.producer(proxy.address) as producer,
        rig.load(producer, size=300) as load,
    ):
        for _ in range(3):
            await load.acknowledged(20)
            accepted = proxy.accepted
            proxy.cut(after, "up")
            rig.injected += 1
            await until(lambda accepted=accepted: proxy.accepted > accepted, "a new connection")
        await load.acknowledged(20)

    assert rig.errors() == []
    rig.check()


@pytest.mark.parametrize("after", [0, 3, 4, 8, 30, 70])
async def test_answer_cut_in_the_middle(rig: Scenario, proxy: FaultProxy, after: int):
    """
    Half an answer is none.
    """
    async with rig.producer(proxy.address, **SMALL) as producer, rig.load(producer) as load:
        for _ in range(3):
            await load.acknowledged(20)
            accepted = proxy.accepted
            proxy.cut(after, "down")
            rig.injected += 1
            await until(lambda accepted=accepted: proxy.accepted > accepted, "a new connection")
        await load.acknowledged(20)

    assert rig.errors() == []
    rig.check()


@pytest.mark.parametrize("api", ["Metadata", "ApiVersions", "InitProducerId"])
async def test_other_answers_lost(rig: Scenario, api: str):
    """
    Lost answers of the other requests that a producer makes delay it, and nothing else.
    """
    producer = rig.producer(request_timeout_ms=150)
    if api == "ApiVersions":
        # A start gives up where no broker can be used; what was once started does not.
        await producer.start()
    faults = [
        rig.faults.drop_response(api),
        rig.faults.cut(api),
        rig.faults.delay(api, 0.05, times=1),
    ]
    if api == "ApiVersions":
        rig.faults.close_connections()
    await producer.start()
    async with rig.load(producer) as load:
        await load.acknowledged(40)
    await producer.close()

    assert [1, 1, 1] == [fault.hits for fault in faults]
    assert rig.errors() == []
    rig.check()


async def test_connections_closed_all_the_time(rig: Scenario):
    """
    Thirty times in a row every connection is closed under the writers' hands.
    """
    async with rig.producer(**SMALL) as producer, rig.load(producer) as load:
        for _ in range(30):
            await load.acknowledged(6)
            rig.faults.close_connections()

    assert rig.errors() == []
    rig.check()
