"""Where the records go: servers, each in a process of its own whose processor time is metered."""

from __future__ import annotations

import contextlib
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path

from confluent_kafka import Consumer, KafkaError, KafkaException, TopicPartition
from confluent_kafka.admin import AdminClient, OffsetSpec

from tests.bench.meters import cpu_seconds, resident_bytes
from tests.helpers.apache_kafka import ApacheKafka
from tests.helpers.broker_process import BrokerProcess
from tests.helpers.mock_cluster import MockCluster
from tests.helpers.tansu import Tansu
from tests.helpers.topics import create_topics


@dataclass(frozen=True)
class Sink:
    """A running server.

    Attributes:
        lagging: its answer to "where does this partition end?" is older than its log, so the rest is read.
        delay: has it answer so many milliseconds later; None where that cannot be had.
        keeps: all that it is sent, so that each round takes new memory.
    """

    name: str
    bootstrap_servers: str
    pid: int
    create_topics: Callable[[Mapping[str, int]], None]
    delay: Callable[[int], None] | None = None
    lagging: bool = False
    keeps: bool = True

    def cpu_seconds(self) -> float:
        """Processor time that it has used so far."""
        return cpu_seconds(self.pid)

    def resident_bytes(self) -> int:
        """Its memory."""
        return resident_bytes(self.pid)

    def count(self, topic: str, partitions: int) -> int:
        """The number of records that it has taken for a topic, from the ends of its partitions."""
        ends = self._ends(topic, partitions)
        return sum((self._read_on(ends) if self.lagging else ends).values())

    def _ends(self, topic: str, partitions: int) -> dict[TopicPartition, int]:
        admin = AdminClient({"bootstrap.servers": self.bootstrap_servers, "log_level": 0})
        wanted = {
            TopicPartition(topic, number): OffsetSpec.latest() for number in range(partitions)
        }
        deadline = time.monotonic() + 20
        while True:
            found = admin.list_offsets(wanted, request_timeout=20)
            try:
                return {place: future.result().offset for place, future in found.items()}
            except KafkaException as error:
                # A topic is in the metadata some time before its leader leads.
                if error.args[0].code() != KafkaError.NOT_LEADER_FOR_PARTITION:
                    raise
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.1)

    def _read_on(self, ends: Mapping[TopicPartition, int]) -> dict[TopicPartition, int]:
        """The ends after reading what follows the given ones."""
        consumer = Consumer(
            {
                "bootstrap.servers": self.bootstrap_servers,
                "group.id": "unused",
                "enable.auto.commit": False,
                "enable.partition.eof": True,
                "fetch.wait.max.ms": 50,
            }
        )
        found = {(place.topic, place.partition): end for place, end in ends.items()}
        reading = set(found)
        consumer.assign([TopicPartition(*place, end) for place, end in found.items()])
        deadline = time.monotonic() + 20
        while reading and time.monotonic() < deadline:
            for message in consumer.consume(10_000, timeout=0.2):
                place = (message.topic(), message.partition())
                error = message.error()
                if error is None:
                    found[place] = message.offset() + 1
                elif error.code() == KafkaError._PARTITION_EOF:
                    reading.discard(place)
        consumer.close()
        return {TopicPartition(*place): end for place, end in found.items()}


@contextlib.contextmanager
def mock() -> Iterator[Sink]:
    """librdkafka's mock cluster: it checks and keeps little, so it is the fastest there is."""
    with MockCluster() as cluster:
        yield Sink(
            "mock",
            cluster.bootstrap_servers,
            cluster.pid,
            cluster.create_topics,
            lambda milliseconds: cluster.set_round_trip(1, milliseconds),
            keeps=False,
        )


@contextlib.contextmanager
def ours() -> Iterator[Sink]:
    """This project's broker, its log in a temporary folder."""
    with (
        tempfile.TemporaryDirectory(prefix="bench-") as folder,
        BrokerProcess({"unused": 1}, data_dir=Path(folder)) as broker,
    ):
        servers = broker.bootstrap_servers
        yield Sink("ours", servers, broker.pid, lambda topics: create_topics(servers, topics))


@contextlib.contextmanager
def tansu() -> Iterator[Sink]:
    """Tansu, which keeps its records in memory."""
    with Tansu() as broker:
        yield Sink(
            "tansu", broker.bootstrap_servers, broker.pid, broker.create_topics, lagging=True
        )


@contextlib.contextmanager
def kafka() -> Iterator[Sink]:
    """Apache Kafka with the options of its own start script, its log in a temporary folder."""
    with ApacheKafka(served=True) as broker:
        yield Sink("kafka", broker.bootstrap_servers, broker.pid, broker.create_topics)


SINKS: dict[str, Callable[[], AbstractContextManager[Sink]]] = {
    "mock": mock,
    "ours": ours,
    "tansu": tansu,
    "kafka": kafka,
}
SINK_NAMES = {
    "mock": "librdkafka's mock",
    "ours": "pyproducer's broker",
    "tansu": "Tansu",
    "kafka": "Apache Kafka",
}
