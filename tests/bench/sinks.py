"""Where the records go: servers, each in a process of its own whose processor time is metered."""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path

from confluent_kafka import TopicPartition
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
        delay: has it answer so many milliseconds later; None where that cannot be had.
    """

    name: str
    bootstrap_servers: str
    pid: int
    create_topics: Callable[[Mapping[str, int]], None]
    delay: Callable[[int], None] | None = None

    def cpu_seconds(self) -> float:
        """Processor time that it has used so far."""
        return cpu_seconds(self.pid)

    def resident_bytes(self) -> int:
        """Its memory."""
        return resident_bytes(self.pid)

    def count(self, topic: str, partitions: int) -> int:
        """The number of records that it has taken for a topic, from the ends of its partitions."""
        admin = AdminClient({"bootstrap.servers": self.bootstrap_servers, "log_level": 0})
        wanted = {
            TopicPartition(topic, number): OffsetSpec.latest() for number in range(partitions)
        }
        found = admin.list_offsets(wanted, request_timeout=20)
        return sum(future.result().offset for future in found.values())


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
        yield Sink("tansu", broker.bootstrap_servers, broker.pid, broker.create_topics)


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
