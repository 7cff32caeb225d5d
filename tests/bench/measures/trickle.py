"""How long a record takes that comes alone: from ``enqueue`` to its outcome, at a low rate."""

from __future__ import annotations

from tests.bench.driver_process import DriverFailed
from tests.bench.series import Key, percentile
from tests.bench.session import Session, rotated
from tests.bench.workloads import Workload

NAME = "trickle"

CLIENTS = ("ours.enqueue", "confluent.callback", "aiokafka")
#: Records a second, and for how many seconds.
RATES = ((1, 4), (1_000, 2))


def run(session: Session) -> None:
    """One record a second and a thousand."""
    sink = session.sink("mock")
    topic = session.topic(sink, 4)
    for rate, seconds in RATES:
        workload = Workload(f"{rate:,} records/s", CLIENTS)
        samples: dict[str, list[float]] = {client: [] for client in CLIENTS}
        for number in range(session.scale.rounds):
            session.say(f"{NAME}: {workload.name}, round {number + 1} of {session.scale.rounds}")
            for client in rotated(CLIENTS, number):
                if session.scale.quick and client != "ours.enqueue":
                    continue
                try:
                    answer = session.ask(
                        client, "trickle", sink, topic, workload, rate=rate, count=rate * seconds
                    )
                except DriverFailed as error:
                    session.failed(client, workload, error)
                    continue
                samples[client] += answer["samples"]
                if rate > 1:
                    _add(session, workload, client, answer["samples"])
        if rate == 1:
            # A round has too few for a percentile of its own.
            for client, found in samples.items():
                if found:
                    _add(session, workload, client, found)


def _add(session: Session, workload: Workload, client: str, samples: list[float]) -> None:
    for percent in (50, 99):
        key = Key(NAME, workload.name, workload.sink, client, f"p{percent}_ms")
        session.results.add(key, percentile(samples, percent) * 1e3)
