"""What a record costs as its topic has more partitions."""

from __future__ import annotations

from tests.bench.session import Session
from tests.bench.workloads import Workload

NAME = "partitions"

COUNTS = (1, 100, 10_000)
_RECORDS = 500_000


def run(session: Session) -> None:
    """Where the client chooses the partition, and where each record goes to the next one."""
    both = ("ours.enqueue", "confluent.callback")
    clients = both[:1] if session.scale.quick else both
    session.throughput(
        NAME,
        *(
            Workload(f"chosen by the client, {count:,}", clients, partitions=count, count=_RECORDS)
            for count in COUNTS
        ),
    )
    session.throughput(
        NAME,
        *(
            Workload(
                f"one after the other, {count:,}",
                (*both, *(("floor.batches",) if count == max(COUNTS) else ())),
                partitions=count,
                spread=True,
            )
            for count in COUNTS
        ),
    )
