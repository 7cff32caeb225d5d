"""Consume, transform, produce: foreign consumers, our producers, each record made exactly once.

Workers of one consumer group copy a topic, their progress being part of their transactions
(KIP-447). One dies in the middle of a transaction, one is replaced in its group and tries to go on.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from itertools import count
from typing import Any

import pytest

from pyproducer import SyncProducer, TransactionAborted
from pyproducer.broker import Broker
from tests.helpers.read_back import read_foreign

RECORDS = 240
PARTITIONS = 4
#: Seconds for all copying; far more than it takes.
PATIENCE = 30.0

NUMBERS = count()


@dataclass
class Cluster:
    """Where a test copies, from what, to what; its names are a test's own."""

    servers: str
    name: str

    @property
    def source(self) -> str:
        return f"{self.name}-in"

    @property
    def target(self) -> str:
        return f"{self.name}-out"

    def fill(self) -> None:
        with SyncProducer(self.servers) as producer:
            producer.send_many(
                self.source,
                [b"%d" % number for number in range(RECORDS)],
                partitions=[number % PARTITIONS for number in range(RECORDS)],
            )

    def committed(self) -> Counter[bytes]:
        """How often each value stands in the copy, for a reader of committed data."""
        return Counter(record.value for record in read_foreign(self.servers, [self.target]))


@pytest.fixture(params=["our broker", "Apache Kafka"])
def cluster(request: pytest.FixtureRequest) -> Iterator[Cluster]:
    """A cluster with a topic full of records, and one for the copy."""
    name = f"copy-{next(NUMBERS)}"
    topics = {f"{name}-in": PARTITIONS, f"{name}-out": PARTITIONS}
    if request.param == "our broker":
        with Broker(topics) as broker:
            made = Cluster(broker.bootstrap_servers, name)
            made.fill()
            yield made
        return
    kafka = request.getfixturevalue("apache_kafka")
    kafka.create_topics(topics)
    made = Cluster(kafka.bootstrap_servers, name)
    made.fill()
    yield made


@dataclass
class Worker:
    """A consumer of the group, and the producer that writes what it makes of the records."""

    target: str
    consumer: Any
    producer: SyncProducer
    positions: Any
    metadata: Any
    read: list[Any] = field(default_factory=list)

    def take(self) -> bool:
        """Read some records; False where none came."""
        self.read = self.consumer(20)
        return bool(self.read)

    def write(self) -> None:
        """Write what was read, and where to go on, into the open transaction."""
        for record in self.read:
            self.producer.enqueue(self.target, record.value, key=b"copy")

    def copy(self) -> None:
        """One transaction of a worker's life."""
        if self.take():
            with self.producer.transaction() as tx:
                self.write()
                tx.send_offsets(self.positions(), self.metadata())


@dataclass
class Record:
    topic: str
    partition: int
    offset: int
    value: bytes


@contextmanager
def confluent(cluster: Cluster, name: str) -> Iterator[Worker]:
    """A worker whose consumer is confluent-kafka's."""
    from confluent_kafka import Consumer

    consumer = Consumer(
        {
            "bootstrap.servers": cluster.servers,
            "group.id": cluster.name,
            "client.id": name,
            "enable.auto.commit": False,
            "auto.offset.reset": "earliest",
            "isolation.level": "read_committed",
            "session.timeout.ms": 6000,
            "heartbeat.interval.ms": 200,
            "partition.assignment.strategy": "range",
        }
    )
    consumer.subscribe([cluster.source])

    def poll(count: int) -> list[Record]:
        found = [one for one in consumer.consume(count, timeout=0.3) if one.error() is None]
        return [Record(one.topic(), one.partition(), one.offset(), one.value()) for one in found]

    with SyncProducer(
        cluster.servers, transactional_id=f"{cluster.name}-{name}", transaction_timeout_ms=2000
    ) as producer:
        try:
            yield Worker(
                cluster.target,
                poll,
                producer,
                lambda: [p for p in consumer.position(consumer.assignment()) if p.offset >= 0],
                consumer.consumer_group_metadata,
            )
        finally:
            consumer.close()


@contextmanager
def kafka_python(cluster: Cluster, name: str) -> Iterator[Worker]:
    """A worker whose consumer is kafka-python's."""
    from kafka import KafkaConsumer
    from kafka.structs import OffsetAndMetadata

    consumer = KafkaConsumer(
        cluster.source,
        bootstrap_servers=cluster.servers,
        group_id=cluster.name,
        client_id=name,
        enable_auto_commit=False,
        auto_offset_reset="earliest",
        isolation_level="read_committed",
        session_timeout_ms=6000,
        heartbeat_interval_ms=200,
    )

    def poll(count: int) -> list[Record]:
        found = consumer.poll(timeout_ms=300, max_records=count)
        return [
            Record(one.topic, one.partition, one.offset, one.value)
            for records in found.values()
            for one in records
        ]

    def positions() -> Any:
        return {
            place: OffsetAndMetadata(consumer.position(place), "", -1)
            for place in consumer.assignment()
        }

    with SyncProducer(
        cluster.servers, transactional_id=f"{cluster.name}-{name}", transaction_timeout_ms=2000
    ) as producer:
        try:
            yield Worker(cluster.target, poll, producer, positions, consumer.group_metadata)
        finally:
            consumer.close()


def read_some(worker: Worker, meanwhile: Callable[[], object] = lambda: None) -> None:
    """Have a worker hold records that it has not written."""
    deadline = time.monotonic() + PATIENCE
    while not worker.take():
        assert time.monotonic() < deadline, "the group gave the worker nothing to read"
        meanwhile()


def copy_all(cluster: Cluster, worker: Worker) -> None:
    """Work until everything is copied, or for as long as it may take."""
    deadline = time.monotonic() + PATIENCE
    while sum(cluster.committed().values()) < RECORDS and time.monotonic() < deadline:
        for _ in range(10):
            worker.copy()


@pytest.mark.needs("kafka", "confluent-kafka", "kafka-python")
@pytest.mark.filterwarnings("ignore:.*_text is deprecated:DeprecationWarning")
@pytest.mark.parametrize("consumer", [confluent, kafka_python], ids=lambda one: one.__name__)
def test_worker_dies(cluster: Cluster, consumer: Any):
    """
    A worker that dies in a transaction, after it sent its offsets, leaves no trace: another makes
    every record once.
    """
    dead = SyncProducer(
        cluster.servers, transactional_id=f"{cluster.name}-dead", transaction_timeout_ms=2000
    )
    with consumer(cluster, "first") as first:
        read_some(first)
        dead.begin_transaction()
        for record in first.read:
            dead.enqueue(cluster.target, record.value)
        dead.flush()
        dead.send_offsets_to_transaction(first.positions(), first.metadata())
    with consumer(cluster, "second") as second:
        copy_all(cluster, second)
    with pytest.raises(TransactionAborted):
        dead.close()

    assert cluster.committed() == {b"%d" % number: 1 for number in range(RECORDS)}


@pytest.mark.needs("kafka", "confluent-kafka")
def test_worker_is_replaced(cluster: Cluster):
    """
    A worker that was replaced in its group cannot commit what it read: another has that by now.
    """
    with ExitStack() as group:
        zombie = group.enter_context(confluent(cluster, "zombie"))
        read_some(zombie)
        stale = zombie.metadata(), zombie.positions()
        # The newcomer begins a new generation; the zombie takes part in it unknowingly.
        new = group.enter_context(confluent(cluster, "new"))
        read_some(new, meanwhile=lambda: zombie.consumer(1))
        with pytest.raises(TransactionAborted), zombie.producer.transaction() as tx:
            zombie.write()
            tx.send_offsets(stale[1], stale[0])
        with new.producer.transaction() as tx:
            new.write()
            tx.send_offsets(new.positions(), new.metadata())
    with confluent(cluster, "last") as last:
        copy_all(cluster, last)

    assert cluster.committed() == {b"%d" % number: 1 for number in range(RECORDS)}
