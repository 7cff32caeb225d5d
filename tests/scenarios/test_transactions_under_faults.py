"""Transactions while connections break and partitions fail, one by one and all at once."""

from __future__ import annotations

import asyncio
import contextlib
import random
from collections.abc import Callable
from typing import Any

import pytest

from pyproducer import SyncProducer
from pyproducer.broker import Broker
from pyproducer.errors import TransactionAborted, UsageError
from tests.helpers.history import Outcome
from tests.helpers.read_back import read_broker
from tests.helpers.scenario import Scenario
from tests.helpers.transacting import OPTIONS, Transacting, outcomes, verdict

OK, ABORTED = Outcome.OK, Outcome.FAILED


@pytest.fixture(params=[1, 2], ids=["protocol 1", "protocol 2"])
def protocol(request: pytest.FixtureRequest) -> int:
    return request.param


@pytest.mark.parametrize("abort", [False, True])
async def test_connections_closed_at_any_moment(rig: Scenario, abort: bool):
    """
    Thirty transactions, under each of which every connection is closed after another while.
    """
    work = Transacting(rig)
    async with rig.producer(**OPTIONS, reconnect_backoff_max_ms=10) as producer:
        for number in range(30):
            closing = asyncio.get_running_loop().call_later(
                number / 4000, lambda: rig.faults.close_connections()
            )
            await work.run(producer, abort=abort and number % 2 == 1)
            closing.cancel()

    assert [ABORTED if abort and number % 2 else OK for number in range(30)] == outcomes(rig)
    await verdict(rig, work)


async def test_leader_away_in_the_middle(rig: Scenario):
    """
    A transaction waits for a partition's leader to come back, and commits.
    """
    work = Transacting(rig)
    async with rig.producer(**OPTIONS) as producer:
        await work.run(producer)
        for partition in range(3):
            fault = rig.faults.leaderless("t", partition)
            asyncio.get_running_loop().call_later(0.1, fault.cancel)
            await work.run(producer)

    assert [OK] * 4 == outcomes(rig)
    await verdict(rig, work)


async def test_records_that_run_out_of_time(rig: Scenario):
    """
    A record that cannot be delivered has its transaction aborted; the next one commits.
    """
    work = Transacting(rig)
    async with rig.producer(**OPTIONS, delivery_timeout_ms=500) as producer:
        await work.run(producer)
        fault = rig.faults.leaderless("t", 1)
        await work.run(producer)
        fault.cancel()
        with rig.faults.drop_response("Produce", times=None):
            await work.run(producer)
        await work.run(producer)

    assert [OK, ABORTED, ABORTED, OK] == outcomes(rig)
    assert all(isinstance(error, TransactionAborted) for error in work.errors)
    assert all("t-" in str(error) for error in work.errors)
    await verdict(rig, work)


@pytest.mark.parametrize(
    "code", ["TOPIC_AUTHORIZATION_FAILED", "INVALID_RECORD", "UNKNOWN_SERVER_ERROR"]
)
async def test_refused_record(rig: Scenario, code: str):
    """
    A batch that the broker refuses for good dooms its transaction, and no other.
    """
    work = Transacting(rig)
    async with rig.producer(**OPTIONS) as producer:
        for _ in range(3):
            await work.run(producer)
            fault = rig.faults.fail("Produce", code, partition=2)
            await work.run(producer)
            assert 1 == fault.hits

    assert [OK, ABORTED] * 3 == outcomes(rig)
    assert all(code in str(error) for error in work.errors)
    await verdict(rig, work)


async def test_caller_gives_up_and_comes_back(rig: Scenario):
    """
    A commit that is not certain in time is retriable, and the same call learns the outcome.
    """
    work = Transacting(rig)
    async with rig.producer(**{**OPTIONS, "max_block_ms": 300}) as producer:
        for api in ("EndTxn", "Produce"):
            fault = rig.faults.delay(api, 0.2, times=None)
            asyncio.get_running_loop().call_later(0.9, fault.cancel)
            rig.faults.drop_response(api, times=2)
            await work.run(producer, offsets=False)
            fault.cancel()

    assert [OK, OK] == outcomes(rig)
    assert work.errors
    assert all(error.retriable for error in work.errors)
    await verdict(rig, work)


@pytest.mark.parametrize("place", ["anywhere", "in the commit"])
async def test_cancelled_at_any_await(rig: Scenario, place: str):
    """
    A task that is cancelled anywhere in its transaction leaves it whole or absent.
    """
    async with rig.producer(**OPTIONS) as producer:
        for number in range(24):
            transaction = rig.history.begin()
            committing = asyncio.Event()

            async def work(transaction=transaction, committing=committing) -> None:
                await producer.begin_transaction()
                for partition in range(3):
                    await rig.history.enqueue(
                        producer, "x", "t", partition=partition, transaction=transaction
                    )
                    await asyncio.sleep(0)
                committing.set()
                await producer.commit_transaction()

            task = asyncio.create_task(work())
            if place == "in the commit":
                await committing.wait()
            for _ in range(number % 12):
                await asyncio.sleep(0)
            task.cancel()
            await asyncio.wait([task])
            # Open: it commits what there is. Being committed: it learns the outcome. Not begun, or
            # told already: there is nothing to end.
            with contextlib.suppress(UsageError):
                await producer.commit_transaction()
            transaction.committed()

    await verdict(rig)


MISHAPS: dict[str, Callable[[Any, random.Random], Any]] = {
    "fail": lambda faults, chance: faults.fail(
        chance.choice(
            ["AddPartitionsToTxn", "AddOffsetsToTxn", "TxnOffsetCommit", "EndTxn", "InitProducerId"]
        ),
        chance.choice(
            ["COORDINATOR_LOAD_IN_PROGRESS", "NOT_COORDINATOR", "CONCURRENT_TRANSACTIONS"]
        ),
        when=chance.choice(["before", "after"]),
        times=chance.randint(1, 2),
    ),
    "abortable": lambda faults, chance: faults.fail("Produce", "TRANSACTION_ABORTABLE"),
    "refused": lambda faults, chance: faults.fail("Produce", "INVALID_RECORD", partition=1),
    "out of order": lambda faults, chance: faults.fail(
        "Produce", "OUT_OF_ORDER_SEQUENCE_NUMBER", partition=1
    ),
    "retried": lambda faults, chance: faults.fail(
        "Produce", "NOT_ENOUGH_REPLICAS_AFTER_APPEND", when="after", times=2
    ),
    "lost": lambda faults, chance: faults.drop_response(
        chance.choice(["Produce", "EndTxn", "TxnOffsetCommit", None])
    ),
    "cut": lambda faults, chance: faults.cut(chance.choice(["Produce", "EndTxn", None])),
    "slow": lambda faults, chance: faults.delay(
        chance.choice(["Produce", "EndTxn"]), chance.random() * 0.4, times=1
    ),
    "closed": lambda faults, chance: faults.close_connections(),
    "leaderless": lambda faults, chance: faults.leaderless("t", chance.randrange(3)),
    "full": lambda faults, chance: faults.disk_full(),
    "paused": lambda faults, chance: faults.pause(),
}


@pytest.mark.parametrize("seed", range(3))
async def test_a_bad_day_of_transactions(rig: Scenario, seed: int):
    """
    Faults drawn by lot under two writers with transactions and one without, until all is over.
    """
    chance = random.Random(seed)
    loop = asyncio.get_running_loop()
    works = [Transacting(rig, writer=name, group=name) for name in ("x", "y")]

    async def transact(work: Transacting) -> None:
        options = {**OPTIONS, "transactional_id": work.writer, "delivery_timeout_ms": 3000}
        producer = rig.producer(**options)
        await producer.start()
        for number in range(12):
            await work.run(
                producer,
                records=chance.randint(0, 8),
                abort=number % 5 == 4,
                offsets=number % 2 == 0,
            )
            if work.errors and work.errors[-1].fatal:
                await producer.close()
                producer = rig.producer(**options)
                await producer.start()
        await producer.close()

    async def harm() -> None:
        while True:
            await asyncio.sleep(chance.random() * 0.15)
            fault = chance.choice(list(MISHAPS.values()))(rig.faults, chance)
            if fault.settings.get("times") is None and fault.active:
                loop.call_later(chance.random() * 0.2, fault.cancel)

    async with rig.producer(transactional_id=None) as plain, rig.load(plain, pause=0.05):
        harming = asyncio.create_task(harm())
        await asyncio.gather(*map(transact, works))
        harming.cancel()
        await asyncio.wait([harming])
        await asyncio.sleep(0.2)
        rig.broker.faults.clear()

    assert {OK, ABORTED} <= set(outcomes(rig))
    await verdict(rig, *works)


def test_blocking_producer(broker: Broker):
    """
    SyncProducer's transactions are whole or absent under the same faults.
    """
    rig = Scenario(broker, ["t", "one"])
    with SyncProducer(broker.bootstrap_servers, **rig.options(**OPTIONS)) as producer:
        for number in range(8):
            transaction = rig.history.begin()
            if number % 4 == 1:
                rig.faults.drop_response("EndTxn")
            if number % 4 == 2:
                rig.faults.fail("Produce", "TRANSACTION_ABORTABLE")
            try:
                with producer.transaction() as tx:
                    for partition in range(3):
                        rig.history.enqueue_blocking(
                            producer, "x", "t", partition=partition, transaction=transaction
                        )
                    tx.send_offsets({("one", 0): number}, "g")
            except TransactionAborted:
                transaction.aborted()
            else:
                transaction.committed()

    assert [OK, OK, ABORTED, OK] * 2 == outcomes(rig)
    rig.check(read=read_broker(broker, ["t"], committed=True))
