"""What a record costs as its topic has more partitions."""

from __future__ import annotations

from tests.bench.session import Session
from tests.bench.workloads import Workload

NAME = "partitions"

COUNTS = (1, 100, 10_000)
CLIENTS = ("ours.enqueue", "confluent.callback", "aiokafka")


def run(session: Session) -> None:
    """Where the client chooses the partition, and where each record goes to the next one."""
    chosen = [
        Workload(f"chosen by the client, {count:,}", CLIENTS, partitions=count) for count in COUNTS
    ]
    session.throughput(NAME, *chosen)
    spread = [
        Workload(f"one after the other, {count:,}", CLIENTS, partitions=count, spread=True)
        for count in COUNTS
    ]
    session.throughput(NAME, *spread)
