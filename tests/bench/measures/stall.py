"""How long a full load holds the event loop up, as a ticker of 1 ms beside it sees it."""

from __future__ import annotations

from tests.bench.driver_process import DriverFailed
from tests.bench.series import Key, percentile
from tests.bench.session import Session, rotated
from tests.bench.workloads import Workload, compressed

NAME = "stall"

CODECS = ("none", "lz4", "zstd", "snappy", "gzip")
FLOOR = Workload("no client", ("floor", "floor.idle"))


def run(session: Session) -> None:
    """Every codec; and what the machine does to a ticker without any client, in the same rounds."""
    rows = [
        Workload(
            codec,
            ("ours.enqueue", "aiokafka", *(("floor.compressing",) if codec != "none" else ())),
            compressed(codec, acks=-1, idempotence=True),
        )
        for codec in CODECS
    ]
    places = [(row, client) for row in (*rows, FLOOR) for client in row.clients]
    if session.scale.quick:
        places = [place for place in places if place[1] != "aiokafka"]
    sink = session.sink("mock")
    topic = session.topic(sink, 4)
    seconds = 1.2 if session.scale.quick else 2.0
    stalls: dict[tuple[Workload, str], list[float]] = {}
    held: dict[tuple[Workload, str], list[float]] = {}
    for number in range(session.scale.rounds):
        session.say(f"{NAME}: round {number + 1} of {session.scale.rounds}")
        for place in rotated(places, number):
            workload, client = place
            try:
                answer = session.ask(client, "stall", sink, topic, workload, seconds=seconds)
            except DriverFailed as error:
                session.failed(client, workload, error)
                continue
            stalls.setdefault(place, []).extend(answer["samples"])
            held.setdefault(place, []).extend(answer["held"])
            worst = Key(NAME, workload.name, "mock", client, "worst_ms")
            session.results.add(worst, max(answer["samples"]) * 1e3)
    for (workload, client), found in stalls.items():
        # One figure for all rounds: a round has too few ticks for a thousandth of them.
        ran = held[workload, client]
        for metric, figure in (
            ("p50_ms", percentile(found, 50)),
            ("p99.9_ms", percentile(found, 99.9)),
            ("greatest_ms", max(found)),
            ("p99.9_held_ms", percentile(ran, 99.9)),
            ("greatest_held_ms", max(ran)),
        ):
            session.results.add(Key(NAME, workload.name, "mock", client, metric), figure * 1e3)
