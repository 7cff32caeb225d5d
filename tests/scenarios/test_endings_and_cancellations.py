"""flush(), close() and cancelled tasks while things go wrong, and days on which all does."""

from __future__ import annotations

import asyncio
import contextlib
import random
import time
from collections.abc import Callable
from typing import Any

import pytest

from pyproducer import CloseTimeout, FlushTimeout, SyncProducer, UndeliveredError
from pyproducer.broker import Broker
from pyproducer.core.verdict import TABLE, Action
from tests.helpers.history import Outcome
from tests.helpers.scenario import Scenario

RETRIED = [
    code for code, verdict in TABLE.items() if verdict.action in {Action.RETRY, Action.REFRESH}
]

#: Those that a broker may give for what it has appended.
DOUBTFUL = [code for code in RETRIED if TABLE[code].maybe_written]

#: Faults that last until they are cleared.
LASTING: dict[str, Callable[[Any], Any]] = {
    "refused": lambda faults: faults.fail("Produce", "NOT_ENOUGH_REPLICAS", times=None),
    "appended and refused": lambda faults: faults.fail(
        "Produce", "REQUEST_TIMED_OUT", when="after", times=None
    ),
    "no answers": lambda faults: faults.drop_response("Produce", times=None),
    "half answers": lambda faults: faults.cut("Produce", times=None),
    "slow answers": lambda faults: faults.delay("Produce", 0.6),
    "throttled": lambda faults: faults.throttle("Produce", 300, times=None),
    "no leader": lambda faults: faults.leaderless("t"),
    "paused": lambda faults: faults.pause(),
    "disk full": lambda faults: faults.disk_full(),
    "recovering": lambda faults: faults.fail("Produce", "UNKNOWN_PRODUCER_ID", times=None),
    "nobody there": lambda faults: faults.cut(None, after_bytes=0, times=None),
}

SMALL = {"batch_max_records": 2}


@pytest.fixture(params=LASTING)
def lasting(request: pytest.FixtureRequest) -> Callable[[Any], Any]:
    return LASTING[request.param]


async def test_close_during_a_fault(rig: Scenario, lasting: Callable[[Any], Any]):
    """
    close(timeout) ends in time with an outcome for every record, and says what it gave up.
    """
    producer = rig.producer(**SMALL)
    await producer.start()
    async with rig.load(producer) as load:
        await load.acknowledged(20)
    lasting(rig.faults)
    entries = await rig.write(producer, 30, topic="t")
    still = rig.stood_still
    begun = time.monotonic()
    with contextlib.suppress(CloseTimeout):
        await producer.close(0.25)
    took = time.monotonic() - begun
    assert took < 1.25 + rig.stood_still - still
    assert all(entry.delivery.done() for entry in entries)
    rig.broker.faults.clear()

    for error in rig.errors():
        assert "closed" in str(error) or error.broker_error
    rig.check()


async def test_flush_during_a_fault(rig: Scenario, lasting: Callable[[Any], Any]):
    """
    flush(timeout) counts what is left; when the fault is over the next one finds all delivered.
    """
    async with rig.producer(**SMALL) as producer:
        await rig.write(producer, 3, topic="t", partition=0)
        await producer.flush()
        fault = lasting(rig.faults)
        entries = await rig.write(producer, 20, topic="t", partition=0)
        with contextlib.suppress(FlushTimeout):
            await producer.flush(0.2)
        left = sum(entry.outcome is Outcome.OPEN for entry in entries)
        with contextlib.suppress(FlushTimeout):
            await producer.flush(0)
        fault.cancel()
        report = await producer.flush()

    assert report.failed == len(rig.errors())
    assert left >= report.delivered
    # A broker that answers in the order of requests has told the truth in the end.
    assert all(error.maybe_written for error in rig.errors() if error.attempts > 1)
    rig.check()


async def test_tasks_cancelled_during_a_fault(rig: Scenario, lasting: Callable[[Any], Any]):
    """
    Cancelling those who wait, at any moment, changes nothing for the records.
    """
    chance = random.Random(3)
    small = {**SMALL, "buffer_memory": 12_000, "max_request_size": 6_000, "batch_size": 2_000}

    async def send(producer, writer: str) -> None:
        for number in range(10):
            if number % 2:
                await rig.history.send(producer, writer, "t", partition=number % 3, size=200)
            else:
                await rig.history.enqueue(producer, writer, "t", partition=number % 3, size=200)

    async with rig.producer(**small) as producer:
        await rig.write(producer, 3, topic="t", partition=0)
        await producer.flush()
        fault = lasting(rig.faults)
        tasks = [asyncio.create_task(send(producer, f"s{number}")) for number in range(20)]
        flushes = [asyncio.create_task(producer.flush()) for _ in range(3)]
        await asyncio.sleep(0.1)
        for task in (*tasks[::2], *flushes[::2]):
            await asyncio.sleep(chance.random() / 100)
            task.cancel()
        fault.cancel()
        await asyncio.gather(*tasks, *flushes, return_exceptions=True)
        await producer.flush()
        # Those who were cancelled while they waited for room have left their places.
        last = rig.history.enqueue_nowait(producer, "last", "t")
        await producer.flush()
        assert Outcome.OK is last.outcome

    # A send that was cancelled has its outcome from nobody: it counts as maybe written.
    rig.check()


def test_blocking_producer_ends_during_a_fault(broker: Broker):
    """
    A SyncProducer's close() in a fault is bounded too, and names what was not looked at.
    """
    scenario = Scenario(broker, ["t", "one"])
    producer = SyncProducer(broker.bootstrap_servers, **scenario.options())
    producer.send("one", b"first")
    broker.faults.drop_response("Produce", times=None)
    for _ in range(3):
        producer.enqueue("t", b"unseen")
    with pytest.raises(UndeliveredError) as caught:
        producer.close(0.2)

    assert 3 == caught.value.count
    assert caught.value.first_error is not None


@pytest.mark.parametrize("idempotent", [True, False])
@pytest.mark.parametrize("seed", range(5))
async def test_a_bad_day(rig: Scenario, seed: int, idempotent: bool):
    """
    Faults drawn by lot, several at once, while writers of every kind go on.
    """
    chance = random.Random(f"{seed} {idempotent}")
    faults = rig.faults
    mishaps: list[Callable[[], Any]] = [
        lambda: faults.fail(
            "Produce", chance.choice(RETRIED), when="before", times=chance.randint(1, 4)
        ),
        lambda: faults.fail(
            "Produce", chance.choice(DOUBTFUL), when="after", partition=chance.randrange(3)
        ),
        lambda: faults.fail("Metadata", chance.choice(["LEADER_NOT_AVAILABLE", 3]), times=2),
        lambda: faults.fail("Produce", "MESSAGE_TOO_LARGE"),
        lambda: faults.drop_response("Produce", times=chance.randint(1, 3)),
        lambda: faults.drop_response("Metadata"),
        lambda: faults.cut("Produce", after_bytes=chance.randrange(80)),
        lambda: faults.cut("ApiVersions"),
        lambda: faults.delay("Produce", chance.random() * 0.3, times=chance.randint(1, 3)),
        lambda: faults.throttle("Produce", chance.randint(1, 60)),
        faults.close_connections,
        lambda: faults.leaderless("t", chance.choice([None, 0, 1, 2])),
        faults.pause,
        faults.disk_full,
        lambda: faults.fail("Produce", "OUT_OF_ORDER_SEQUENCE_NUMBER"),
    ]
    if not idempotent:
        # Its batches have no sequence; the code would be final.
        mishaps.pop()
    options = {
        "enable_idempotence": idempotent,
        "compression_type": chance.choice(["none", "gzip", "zstd"]),
        "batch_max_records": chance.choice([1, 3, 10_000]),
        "delivery_timeout_ms": 4000,
        "request_timeout_ms": 200,
    }
    async with (
        rig.producer(**options) as producer,
        rig.load(producer, writers=["a", "b", "c", "d", "e"]) as load,
    ):
        for _ in range(12):
            await load.settled(chance.randint(5, 30))
            for fault in [chance.choice(mishaps)() for _ in range(chance.choice([0, 1, 1, 2, 3]))]:
                if fault.settings.get("times") is None:
                    await asyncio.sleep(chance.random() * 0.1)
                    fault.cancel()
        rig.broker.faults.clear()
        await load.acknowledged(50)

    for error in rig.errors():
        # A batch of one record cannot be split.
        assert error.retriable or error.broker_error == "MESSAGE_TOO_LARGE"
    rig.check(idempotent=idempotent)
