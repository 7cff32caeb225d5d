"""Where the records go: servers, each in a process of its own whose processor time is metered."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass

from confluent_kafka import TopicPartition
from confluent_kafka.admin import AdminClient, OffsetSpec

from tests.bench.meters import cpu_seconds, resident_bytes
from tests.helpers.mock_cluster import MockCluster


@dataclass(frozen=True)
class Sink:
    """A running server."""

    name: str
    bootstrap_servers: str
    pid: int
    create_topics: Callable[[Mapping[str, int]], None]

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
        yield Sink("mock", cluster.bootstrap_servers, cluster.pid, cluster.create_topics)


SINKS: dict[str, Callable[[], AbstractContextManager[Sink]]] = {"mock": mock}
SINK_NAMES = {"mock": "librdkafka's mock"}
