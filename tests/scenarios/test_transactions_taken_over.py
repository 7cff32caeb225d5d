"""Transactions that others end: another producer of the name, the coordinator, a restart."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from confluent_kafka import Consumer, TopicPartition

from pyproducer.broker import Broker
from pyproducer.errors import ProducerFenced, TransactionError
from tests.helpers.history import Outcome
from tests.helpers.processes import free_ports
from tests.helpers.scenario import Scenario
from tests.helpers.transacting import OPTIONS, Transacting, outcomes, verdict
from tests.scenarios.conftest import count

OK, ABORTED = Outcome.OK, Outcome.FAILED


@pytest.fixture(params=[1, 2], ids=["protocol 1", "protocol 2"])
def protocol(request: pytest.FixtureRequest) -> int:
    return request.param


async def test_the_end_of_the_producer_is_told_whatever_came_first(rig: Scenario):
    """
    A record's refusal has the transaction aborted, and the abort finds that the producer was
    fenced: that is what the block ends in, with the refusal as its cause.
    """
    first = Transacting(rig)
    async with rig.producer(**OPTIONS) as producer:
        await first.run(producer)
        rig.faults.fail("Produce", "INVALID_RECORD", times=None)
        rig.faults.fail("EndTxn", "PRODUCER_FENCED", times=None)
        await first.run(producer, midway=producer.flush)

    assert isinstance(first.errors[0], ProducerFenced)
    assert isinstance(first.errors[0].__cause__, TransactionError)
    rig.check()


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
    assert [OK, ABORTED, OK] == outcomes(rig)
    await verdict(rig, first, second)


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
    assert [OK] * 10 == [one for one in outcomes(rig) if one is OK]
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

    assert [OK, ABORTED, OK] == outcomes(rig)
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

    assert [OK, OK, OK, ABORTED, OK, OK, OK] == outcomes(rig)
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

    assert [OK] * 3 == outcomes(rig)
    await verdict(rig, work)


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
