"""Three Apache Kafka brokers are killed, paused, rolled and cut off while our producer writes.

``PYPRODUCER_CHAOS_SEED`` repeats an order of faults; the table after the last test names the seed.
"""

from __future__ import annotations

import asyncio
import itertools
import os
import random
from collections import Counter
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import pytest

from pyproducer import AsyncProducer, BrokerRejected, TransactionError
from pyproducer.protocol.error_codes import ErrorCode
from tests.helpers.cluster_chaos import Chaos
from tests.helpers.history import Counts, Entry, History, Outcome, Verdict, check, table
from tests.helpers.kafka_cluster import CONTROLLER, KafkaCluster
from tests.helpers.read_back import read_foreign
from tests.helpers.scoreboard import Scoreboard

pytestmark = pytest.mark.needs("kafka")

PARTITIONS = 4

#: Patience of the producers that must deliver everything.
_PATIENT = {"delivery_timeout_ms": 120_000, "request_timeout_ms": 3000, "batch_max_records": 20}

#: The producers of a run. What one is promised beyond the rules of `check`: that nothing fails.
PRODUCERS: Mapping[str, dict[str, Any]] = {
    "no linger": {**_PATIENT, "linger_ms": 0},
    "linger and lz4": {**_PATIENT, "linger_ms": 50, "compression_type": "lz4"},
    "one in flight": {**_PATIENT, "linger_ms": 5, "max_in_flight_requests_per_connection": 1},
    "not idempotent": {**_PATIENT, "linger_ms": 5, "enable_idempotence": False},
    # Commits every few records, now and then aborts.
    "transactional": {**_PATIENT, "linger_ms": 5},
    # Its batches are of different age when answers fail to come: one is given up while those
    # behind it, whose fate is as uncertain, have time left and must not be doubled.
    "in a hurry": {"delivery_timeout_ms": 2500, "request_timeout_ms": 1000, "linger_ms": 300},
}


@pytest.fixture(scope="module")
def cluster() -> Iterator[KafkaCluster]:
    """Three brokers, healthy when a test begins if the one before it passed."""
    with KafkaCluster() as running:
        yield running


@pytest.fixture
def seed() -> int:
    """The number that decides the order of faults and the load."""
    return int(os.environ.get("PYPRODUCER_CHAOS_SEED") or random.SystemRandom().getrandbits(32))


@dataclass
class Writing:
    """One producer at work: its topic, and what it was told."""

    name: str
    topic: str
    producer: AsyncProducer
    history: History

    @property
    def patient(self) -> bool:
        return self.name != "in a hurry"

    @property
    def transactional(self) -> bool:
        return self.name == "transactional"

    @property
    def idempotent(self) -> bool:
        return self.name != "not idempotent"


class Load:
    """Writers at work: two for each producer, one with keys, one without."""

    def __init__(self, cluster: KafkaCluster, label: str, seed: int) -> None:
        self.writings: list[Writing] = []
        self._cluster = cluster
        self._label = label
        self._input = f"{label}-input"
        self._seed = seed
        #: Why transactions were aborted that were to be committed.
        self.aborts: list[str] = []
        self._stop = asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []

    @property
    def topics(self) -> dict[str, int]:
        return {one.topic: PARTITIONS for one in self.writings}

    async def start(self, producers: Mapping[str, dict[str, Any]]) -> None:
        """Every producer has had a record acknowledged, and goes on writing."""
        names = {name: f"{self._label}-{name.replace(' ', '-')}" for name in producers}
        topics = dict.fromkeys(names.values(), PARTITIONS)
        await asyncio.to_thread(self._cluster.create_topics, {**topics, self._input: 1})
        # The topics that Kafka keeps offsets and transactions in are made by asking for them.
        await asyncio.to_thread(self._cluster.group_coordinator, "chaos")
        await asyncio.to_thread(self._cluster.transaction_coordinator, self._label)
        await asyncio.to_thread(self._cluster.wait_healthy)
        for name, options in producers.items():
            producer = AsyncProducer(
                self._cluster.bootstrap_servers,
                transactional_id=self._label if name == "transactional" else None,
                socket_connection_setup_timeout_ms=2000,
                on_delivery_failure=lambda failure: None,
                **options,
            )
            await producer.start()
            # Beside the grace for the producer there is some for a machine that starts brokers.
            timeout = producer.config.delivery_timeout_ms / 1000 + 3
            history = History(delivery_timeout=timeout)
            writing = Writing(name, names[name], producer, history)
            self.writings.append(writing)
            if writing.transactional:
                chosen = random.Random(f"{self._seed} {name}")
                self._tasks.append(asyncio.create_task(self._transact(writing, chosen)))
                continue
            await history.send(producer, "first", writing.topic)
            for kind in ("keyed", "unkeyed"):
                chosen = random.Random(f"{self._seed} {name} {kind}")
                self._tasks.append(asyncio.create_task(self._write(writing, kind, chosen)))

    async def _write(self, writing: Writing, kind: str, chosen: random.Random) -> None:
        for number in itertools.count():
            if self._stop.is_set():
                return
            key = f"k{number % 17}" if kind == "keyed" else None
            await writing.history.enqueue(
                writing.producer, kind, writing.topic, key=key, size=chosen.randrange(20, 400)
            )
            if chosen.random() < 0.2:
                await asyncio.sleep(chosen.uniform(0.005, 0.06))

    async def _transact(self, writing: Writing, chosen: random.Random) -> None:
        producer = writing.producer
        while not self._stop.is_set():
            transaction = writing.history.begin()
            try:
                async with producer.transaction() as tx:
                    for _ in range(chosen.randint(1, 20)):
                        await writing.history.enqueue(
                            producer,
                            "transactional",
                            writing.topic,
                            partition=chosen.randrange(PARTITIONS),
                            size=chosen.randrange(20, 400),
                            transaction=transaction,
                        )
                    await tx.send_offsets({(self._input, 0): len(writing.history.entries)}, "chaos")
                    if chosen.random() < 0.2:
                        await tx.abort()
                        transaction.aborted()
                if transaction.outcome is Outcome.OPEN:
                    transaction.committed()
            except TransactionError as error:
                if error.fatal or error.maybe_committed:
                    raise
                transaction.aborted()
                self.aborts.append(str(error))
            await asyncio.sleep(chosen.uniform(0.0, 0.05))

    async def stop(self) -> None:
        """The writers have written their last record; every producer delivers and closes."""
        self._stop.set()
        await asyncio.gather(*self._tasks)
        for writing in self.writings:
            if not writing.transactional:
                await writing.history.send(writing.producer, "last", writing.topic)
                report = await writing.producer.flush(timeout=60)
                assert report.failed == 0 or not writing.patient
            await writing.producer.close()


@asynccontextmanager
async def load_on(cluster: KafkaCluster, label: str, seed: int) -> AsyncIterator[Load]:
    """A load to start, whose tasks and producers are gone afterwards whatever happens."""
    load = Load(cluster, label, seed)
    try:
        yield load
    finally:
        for task in load._tasks:
            task.cancel()
        await asyncio.gather(*load._tasks, return_exceptions=True)
        await asyncio.to_thread(cluster.heal_all)
        for writing in load.writings:
            await writing.producer.close(timeout=5)


def judge(
    cluster: KafkaCluster, load: Load, faults: int, rows: dict[str, Counts]
) -> dict[str, Verdict]:
    """Compare what every producer was told with what confluent-kafka reads past the proxies."""
    cluster.wait_no_transactions(load.topics)
    verdicts = {}
    for writing in load.writings:
        read = read_foreign(cluster.inside_servers, [writing.topic], timeout=60)
        verdict = check(writing.history, read, idempotent=writing.idempotent)
        rows[writing.name] = verdict.counts
        verdicts[writing.name] = verdict
    rows["the cluster"] = Counts(faults=faults)
    return verdicts


def told(load: Load, rows: dict[str, Counts]) -> list[str]:
    """The numbers, and what the faults did to the producers, as lines."""
    # Without idempotence a record may be there twice, and some are: the faults do bite. They are
    # no part of a sum that has to be zero.
    kept = {name: counts for name, counts in rows.items() if name != "not idempotent"}
    lines = table(kept)
    for name in rows.keys() - kept.keys():
        lines += ["without idempotence:", *table({name: rows[name]})[:-1]]
    numbers = [writing.producer.metrics() for writing in load.writings]
    again, bumps, lost = (
        sum(getattr(one, name) for one in numbers)
        for name in ("retries", "epoch_bumps", "connections_lost")
    )
    unknown = sum(
        entry.at is not None and entry.at[1] < 0
        for writing in load.writings
        for entry in writing.history.entries
    )
    met = (
        f"{again:,} batches written once more, {lost:,} connections lost, {bumps:,} epochs begun, "
        f"{unknown:,} records acknowledged as duplicates whose offset the broker had forgotten"
    )
    return [*lines, met, f"{len(load.aborts)} transactions aborted because of the faults"]


def was_forgotten(entry: Entry) -> bool:
    """True for a record that a broker refuses though it has it: see test_kafka_forgets.py.

    It is told as what it is: it may be there.
    """
    error = entry.error
    return (
        entry.outcome is Outcome.MAYBE
        and isinstance(error, BrokerRejected)
        and error.code == ErrorCode.OUT_OF_ORDER_SEQUENCE_NUMBER
    )


def assert_kept(load: Load, verdicts: Mapping[str, Verdict], remark: str) -> None:
    """Every promise was kept."""
    for writing in load.writings:
        verdict = verdicts[writing.name]
        try:
            verdict.assert_clean(idempotent=writing.idempotent)
            if writing.transactional:
                assert verdict.counts.committed > len(load.aborts), load.aborts
            elif writing.patient:
                forgotten = sum(map(was_forgotten, writing.history.entries))
                assert verdict.counts.acknowledged + forgotten == verdict.counts.sent
                # Seldom: they stand before a producer's last batch, while brokers start anew.
                assert forgotten < verdict.counts.sent / 1000
        except AssertionError as error:
            error.add_note(f"{writing.name}; {remark}")
            told = Counter(str(entry.error) for entry in writing.history.entries if entry.error)
            for text, count in told.most_common(5):
                error.add_note(f"{count} records: {text}")
            raise


async def test_nothing_is_lost_doubled_or_reordered(
    cluster: KafkaCluster, scoreboard: Scoreboard, seed: int
):
    """
    Under more than 20 faults, what producers were told of each record is what the topics hold.
    """
    rows: dict[str, Counts] = {}
    async with load_on(cluster, "chaos", seed) as load:
        await load.start(PRODUCERS)
        chaos = Chaos(cluster, load.topics, seed)
        try:
            await asyncio.to_thread(chaos.run)
        except BaseException as error:
            error.add_note(f"PYPRODUCER_CHAOS_SEED={seed}\n" + "\n".join(chaos.log))
            raise
        await load.stop()

    verdicts = await asyncio.to_thread(judge, cluster, load, chaos.total, rows)

    kinds = ", ".join(f"{count} {kind}" for kind, count in sorted(chaos.faults.items()))
    note = [f"three Apache Kafka brokers under faults ({kinds}), PYPRODUCER_CHAOS_SEED={seed}"]
    scoreboard.note("\n".join([*note, *told(load, rows)]))
    assert chaos.total >= 20
    assert_kept(load, verdicts, f"PYPRODUCER_CHAOS_SEED={seed}\n" + "\n".join(chaos.log))
    # The one in a hurry gave some up, or nothing was tried; it delivers when all is well.
    hurried = verdicts["in a hurry"].counts
    assert hurried.failed + hurried.maybe_written > 0
    assert hurried.acknowledged > hurried.sent / 2


async def test_too_few_replicas_are_waited_out(
    cluster: KafkaCluster, scoreboard: Scoreboard, seed: int
):
    """
    With two of three brokers gone nothing is acknowledged, and all of it is when they are back.
    """
    rows: dict[str, Counts] = {}
    async with load_on(cluster, "replicas", seed) as load:
        await load.start(
            {name: PRODUCERS[name] for name in ("no linger", "transactional", "in a hurry")}
        )
        await asyncio.sleep(1)
        for down in ((1, 2), (2, 3)):
            for number in down:
                await asyncio.to_thread(cluster.kill, number)
            (left,) = cluster.alive()
            for topic in load.topics:
                await asyncio.to_thread(cluster.wait_for_leader, topic, 0, other_than=down[0])
            await asyncio.sleep(4)
            acknowledged = [one.history.acknowledged for one in load.writings]
            await asyncio.sleep(1)
            assert acknowledged == [one.history.acknowledged for one in load.writings], left
            for number in down:
                await asyncio.to_thread(cluster.start, number, wait=False)
            await asyncio.to_thread(cluster.wait_healthy)
        await load.stop()

    verdicts = await asyncio.to_thread(judge, cluster, load, 4, rows)

    scoreboard.note("\n".join(["two of three brokers killed, twice", *told(load, rows)]))
    assert_kept(load, verdicts, "two of three brokers killed")
    hurried = next(one for one in load.writings if one.name == "in a hurry")
    errors = {error.broker_error for error in hurried.history.errors}
    assert "NOT_ENOUGH_REPLICAS" in errors


async def test_all_nodes_are_killed_at_once(
    cluster: KafkaCluster, scoreboard: Scoreboard, seed: int
):
    """
    With every broker and the controller gone for a while, the producers carry on after it.
    """
    rows: dict[str, Counts] = {}
    async with load_on(cluster, "blackout", seed) as load:
        await load.start(
            {name: PRODUCERS[name] for name in ("linger and lz4", "transactional", "in a hurry")}
        )
        await asyncio.sleep(1)
        for number in (CONTROLLER, 1, 2, 3):
            await asyncio.to_thread(cluster.kill, number)
        await asyncio.sleep(4)
        for number in (CONTROLLER, 1, 2, 3):
            await asyncio.to_thread(cluster.start, number, wait=False)
        await asyncio.to_thread(cluster.wait_healthy)
        await load.stop()

    verdicts = await asyncio.to_thread(judge, cluster, load, 4, rows)

    scoreboard.note("\n".join(["all brokers and the controller killed at once", *told(load, rows)]))
    assert_kept(load, verdicts, "all brokers and the controller killed at once")
