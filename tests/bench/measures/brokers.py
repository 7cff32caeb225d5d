"""The embedded broker: what it takes from another client, how fast it starts, what it holds idle."""

from __future__ import annotations

import time

from tests.bench.bytecode import IMPORTED, compile_sources
from tests.bench.series import Key
from tests.bench.session import Session
from tests.bench.workloads import Workload
from tests.helpers.processes import PeerMissing

NAME = "brokers"

SINKS = ("ours", "tansu", "kafka")
#: How many of them are started in the first, second and later rounds: Java takes seconds.
_STARTED = (3, 2, 1)
FEEDER = "confluent.callback"


def run(session: Session) -> None:
    """Start each a few times, then feed all in turns."""
    compile_sources(*IMPORTED)
    for number in range(session.scale.rounds):
        session.say(f"{NAME}: start {number + 1} of {session.scale.rounds}")
        for name in SINKS[: _STARTED[min(number, 2)]]:
            session.stop(name)
            began = time.perf_counter()
            try:
                sink = session.sink(name)
            except PeerMissing:
                continue
            _add(session, name, "start_ms", (time.perf_counter() - began) * 1e3)
            time.sleep(1)  # What it does after its first answer is not idling.
            _add(session, name, "idle_mib", sink.resident_bytes() / 2**20)
            used = sink.cpu_seconds()
            time.sleep(1)
            _add(session, name, "idle_cpu_percent", (sink.cpu_seconds() - used) * 100)
    session.throughput(
        NAME, *(Workload("1 KB", (FEEDER,), size=1_000, sink=name) for name in SINKS)
    )
    for name in SINKS:
        session.stop(name)


def _add(session: Session, name: str, metric: str, figure: float) -> None:
    session.results.add(Key(NAME, "start and idle", name, "broker", metric), figure)
