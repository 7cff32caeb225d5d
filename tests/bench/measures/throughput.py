"""Records a second, and the processor time of a million of them."""

from __future__ import annotations

from tests.bench.session import Session
from tests.bench.workloads import Workload, compressed

NAME = "throughput"

SAFE = {"acks": -1, "idempotence": True}

BASE = Workload(
    "100 B",
    (
        "ours.enqueue",
        "ours.nowait",
        "ours.many",
        "confluent.callback",
        "confluent.plain",
        "aiokafka",
        "pure.enqueue",
    ),
)

#: What the goals are about.
GOALS = (
    BASE,
    *(
        Workload(
            f"100 B, acks=all, idempotent, {codec}",
            ("ours.enqueue", "ours.nowait", "confluent.callback"),
            compressed(codec, **SAFE),
        )
        for codec in ("none", "lz4", "zstd")
    ),
    Workload("1 KB", ("ours.enqueue", "confluent.callback"), size=1_000),
)


def run(session: Session) -> None:
    """Take all rows, or those of the goals."""
    for workload in GOALS:
        session.throughput(NAME, workload)
