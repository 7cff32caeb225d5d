"""Records a second, and the processor time of a million of them."""

from __future__ import annotations

from dataclasses import replace

from tests.bench.session import Session
from tests.bench.workloads import Settings, Workload, compressed

NAME = "throughput"

#: Other languages take part where they are installed; Java's client cannot talk to the mock, whose
#: answer to its first request it cannot read.
OTHERS = ("franz-go",)
MAIN = ("ours.enqueue", "confluent.callback", "aiokafka")

BASE = Workload(
    "100 B",
    (
        "ours.enqueue",
        "ours.nowait",
        "ours.many",
        "ours.sync",
        "pure.enqueue",
        "confluent.callback",
        "confluent.plain",
        "confluent.aio",
        "aiokafka",
        "kafka-python",
        "floor.nothing",
    ),
)


def idempotent(codec: str, clients: tuple[str, ...]) -> Workload:
    """acks=all with idempotence, and a codec."""
    return Workload(
        f"100 B, acks=all, idempotent, {codec}",
        clients,
        compressed(codec, acks=-1, idempotence=True),
    )


_EVERYBODY = (*MAIN, "confluent.aio", "java", *OTHERS)
_SAFE = ("ours.enqueue", "ours.nowait", "confluent.callback")

#: What the goals are about.
GOALS = (
    BASE,
    idempotent("lz4", _SAFE),
    idempotent("zstd", _SAFE),
    Workload("1 KB", ("ours.enqueue", "confluent.callback"), size=1_000),
    Workload("JSON", ("ours.enqueue", "confluent.callback"), form="json"),
)

#: Everything.
ALL = (
    replace(BASE, clients=(*BASE.clients, *OTHERS)),
    Workload("10 B", (*MAIN, *OTHERS), size=10),
    Workload("1 KB", (*MAIN, *OTHERS), size=1_000),
    Workload("10 KB", (*MAIN, *OTHERS), size=10_000),
    Workload("100 KB", (*MAIN, *OTHERS), size=100_000),
    Workload("100 B, acks=0", MAIN, Settings(acks=0)),
    idempotent("none", (*_SAFE, "aiokafka", "kafka-python", *OTHERS)),
    *(
        idempotent(codec, (*_SAFE, "aiokafka", *OTHERS))
        for codec in ("lz4", "zstd", "snappy", "gzip")
    ),
    Workload("100 B, keyed", MAIN, keyed=True),
    Workload("100 B, 3 headers", MAIN, headers=3),
    Workload("JSON", (*MAIN, "ours.many"), form="json"),
    Workload("Avro", MAIN, form="avro"),
    *(
        Workload(
            "100 B, acks=all, idempotent",
            clients,
            Settings(acks=-1, idempotence=True),
            sink=sink,
        )
        for sink, clients in (
            ("ours", _EVERYBODY),
            # With idempotence, Java's client and aiokafka get nothing from Tansu that they can use.
            ("tansu", ("ours.enqueue", "confluent.callback", "confluent.aio", *OTHERS)),
            ("kafka", _EVERYBODY),
        )
    ),
)


def run(session: Session) -> None:
    """Take all rows, or those of the goals."""
    for workload in GOALS if session.scale.quick else ALL:
        session.throughput(NAME, workload)
        if workload.sink != "mock":
            session.stop(workload.sink)
