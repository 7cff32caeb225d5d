"""Transactions while brokers stop, other producers take over, time runs out, and all at once."""

from __future__ import annotations

import asyncio
import contextlib
import random
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from confluent_kafka import Consumer, TopicPartition

from pyproducer import SyncProducer
from pyproducer.broker import Broker
from pyproducer.errors import ProducerFenced, TransactionAborted, TransactionError, UsageError
from tests.helpers.history import Outcome
from tests.helpers.processes import free_ports
from tests.helpers.read_back import read_broker, read_foreign
from tests.helpers.scenario import Scenario
from tests.helpers.transacting import Transacting
from tests.scenarios.conftest import count

OPTIONS = {"transactional_id": "payments", "request_timeout_ms": 250, "max_block_ms": 5000}
OK, ABORTED = Outcome.OK, Outcome.FAILED


@pytest.fixture(params=[1, 2], ids=["protocol 1", "protocol 2"])
def protocol(request: pytest.FixtureRequest) -> int:
    return request.param


@pytest.fixture
def broker(protocol: int) -> Iterator[Broker]:
    """A broker of a cluster that has finalized a version of the transaction protocol."""
    with Broker({"t": 3, "one": 1}, transaction_version=protocol) as running:
        yield running
        running.faults.clear()


async def verdict(rig: Scenario, *works: Transacting) -> None:
    """What was committed is there, whole and once, for the broker and for a foreign consumer."""
    rig.check(read=read_broker(rig.broker, ["t"], committed=True))
    read = await asyncio.to_thread(read_foreign, rig.broker.bootstrap_servers, ["t"])
    rig.check(read=read, again=True)
    for work in works:
        assert await asyncio.to_thread(work.committed_offset) in work.expected


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

    assert [ABORTED if abort and number % 2 else OK for number in range(30)] == work.outcomes()
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

    assert [OK] * 4 == work.outcomes()
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

    assert [OK, ABORTED, ABORTED, OK] == work.outcomes()
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

    assert [OK, ABORTED] * 3 == work.outcomes()
    assert all(code in str(error) for error in work.errors)
    await verdict(rig, work)


@pytest.mark.parametrize("moment", ["before the commit", "in the middle"])
async def test_fenced_by_another_producer(rig: Scenario, moment: str):
    """
    A second producer of the same name ends the first one's transaction, which is told for good.
    """
    first, second = Transacting(rig), Transacting(rig, writer="y", group="h")
    producer = rig.producer(**OPTIONS)
    await producer.start()
    await first.run(producer)

    async def take_over() -> None:
        if moment == "before the commit":
            await producer.flush()
        async with rig.producer(**OPTIONS) as other:
            await second.run(other)

    await first.run(producer, midway=take_over)
    with pytest.raises(TransactionError):
        await producer.begin_transaction()
    # It was told what became of its transaction, and need not be told again.
    await producer.close()

    assert isinstance(first.errors[0], ProducerFenced)
    assert first.errors[0].fatal
    assert [OK, ABORTED, OK] == work_outcomes(rig)
    await verdict(rig, first, second)


def work_outcomes(rig: Scenario) -> list[Outcome]:
    return [transaction.outcome for transaction in rig.history.transactions]


async def test_zombies_in_turn(rig: Scenario):
    """
    Ten producers of one name, each started while the one before has a transaction open.
    """
    works = [Transacting(rig, writer=f"z{number}", group=f"g{number}") for number in range(10)]

    async def take_turn(number: int) -> None:
        async with rig.producer(**OPTIONS) as producer:
            await works[number].run(producer)
            if number + 1 < len(works):
                await works[number].run(producer, midway=lambda: take_turn(number + 1))

    await take_turn(0)

    for work in works[:-1]:
        assert isinstance(work.errors[0], ProducerFenced)
    assert [OK] * 10 == [one for one in work_outcomes(rig) if one is OK]
    await verdict(rig, *works)


async def test_transaction_that_takes_too_long(rig: Scenario):
    """
    The coordinator ends a transaction that is open for too long; the producer aborts, and goes on.
    """
    work = Transacting(rig)
    options = {**OPTIONS, "transaction_timeout_ms": 300, "delivery_timeout_ms": 300}
    async with rig.producer(**options) as producer:
        await work.run(producer)
        await work.run(producer, midway=lambda: asyncio.sleep(0.8))
        await work.run(producer)

    assert [OK, ABORTED, OK] == work.outcomes()
    await verdict(rig, work)


class Restarting:
    """A broker that is stopped and started again at its place."""

    def __init__(self, data_dir: Path, protocol: int) -> None:
        self._data_dir = data_dir
        self._protocol = protocol
        [self._port] = free_ports(1)
        self.rig = Scenario(self._made(), ["t", "one"])
        self.rig.broker.start()

    def _made(self) -> Broker:
        topics = {"t": 3, "one": 1}
        return Broker(
            topics,
            data_dir=self._data_dir,
            port=self._port,
            transaction_version=self._protocol,
        )

    async def restart(self) -> None:
        await asyncio.to_thread(self.rig.broker.stop)
        self.rig.broker = self._made()
        await asyncio.to_thread(self.rig.broker.start)
        self.rig.injected += 1


@pytest.fixture
async def restarting(
    tmp_path: Path, protocol: int, request: pytest.FixtureRequest
) -> AsyncIterator[Restarting]:
    made = Restarting(tmp_path, protocol)
    try:
        async with made.rig.pulse():
            yield made
    finally:
        made.rig.broker.stop()
    count(request, made.rig)


async def test_broker_restarts_at_any_moment(restarting: Restarting):
    """
    Transactions go on over restarts of coordinator and leader, wherever they strike.
    """
    rig = restarting.rig
    work = Transacting(rig)
    async with rig.producer(**OPTIONS) as producer:
        for number in range(6):
            restart: asyncio.Task[None] | None = None
            if number % 2:

                async def later(pause: float = number / 500) -> None:
                    await asyncio.sleep(pause)
                    await restarting.restart()

                restart = asyncio.create_task(later())
            await work.run(producer, abort=number == 3)
            if restart is not None:
                await restart
        await work.run(producer, midway=restarting.restart)

    assert [OK, OK, OK, ABORTED, OK, OK, OK] == work.outcomes()
    await verdict(rig, work)


async def test_answer_of_the_commit_lost_in_a_restart(restarting: Restarting):
    """
    The commit was done, its answer is lost, and the coordinator starts anew: it stays committed.
    """
    rig = restarting.rig
    work = Transacting(rig)
    async with rig.producer(**OPTIONS) as producer:
        for _ in range(3):
            fault = rig.faults.drop_response("EndTxn")
            running = asyncio.create_task(work.run(producer))
            await rig.struck(fault)
            await restarting.restart()
            await running

    assert [OK] * 3 == work.outcomes()
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

    assert [OK, OK] == work.outcomes()
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


async def test_offsets_of_a_foreign_consumers_group(rig: Scenario):
    """
    Consume, transform, produce with confluent-kafka's group: each input comes out once, although
    every third transaction is aborted and connections are cut (KIP-447).
    """
    servers = rig.broker.bootstrap_servers
    inputs = [f"{number}".encode() for number in range(30)]
    async with rig.producer() as feeder:
        await feeder.send_many("one", inputs)
    reader = Consumer(
        {
            "bootstrap.servers": servers,
            "group.id": "copy",
            "enable.auto.commit": False,
            "auto.offset.reset": "earliest",
            "isolation.level": "read_committed",
            "fetch.wait.max.ms": 10,
            "reconnect.backoff.ms": 5,
            "reconnect.backoff.max.ms": 50,
            "log_level": 0,
        }
    )
    reader.subscribe(["one"])
    turns = 0
    done = 0
    async with rig.producer(**OPTIONS) as producer:
        while done < len(inputs):
            messages = await asyncio.to_thread(reader.consume, 4, 0.1)
            if not messages:
                continue
            turns += 1
            if turns == 4:
                rig.faults.close_connections()
            try:
                async with producer.transaction() as tx:
                    for message in messages:
                        assert message.error() is None
                        await producer.enqueue("t", message.value(), partition=0)
                    offsets = reader.position(reader.assignment())
                    await tx.send_offsets(offsets, reader.consumer_group_metadata())
                    if turns % 3 == 0:
                        raise InterruptedError
            except InterruptedError:
                # From where the group is: what was aborted comes again.
                reader.seek(TopicPartition("one", 0, messages[0].offset()))
            else:
                done += len(messages)
        [stored] = reader.committed([TopicPartition("one", 0)], timeout=10)
    await asyncio.to_thread(reader.close)

    assert len(inputs) == stored.offset
    copied = [record.value for record in rig.broker.records("t", 0, committed=True)]
    assert inputs == copied
    assert turns >= 3


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

    assert {OK, ABORTED} <= set(work_outcomes(rig))
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

    assert [OK, OK, ABORTED, OK] * 2 == work_outcomes(rig)
    rig.check(read=read_broker(broker, ["t"], committed=True))
