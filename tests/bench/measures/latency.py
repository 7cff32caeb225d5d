"""The round trip of a single record, from the call to its outcome, without lingering."""

from __future__ import annotations

from tests.bench.driver_process import DriverFailed
from tests.bench.series import Key, percentile
from tests.bench.session import Session, rotated
from tests.bench.workloads import Settings, Workload
from tests.helpers.processes import PeerMissing

NAME = "latency"

_PEERS = ("ours.send", "ours.sync_send", "confluent.callback", "aiokafka", "kafka-python")
MOCK = Workload("single record", (*_PEERS, "floor"), Settings(linger_ms=0), partitions=1)
TANSU = Workload(
    "single record", (*_PEERS, "floor"), Settings(linger_ms=0), partitions=1, sink="tansu"
)
_WARM_UP, _RECORDS = 300, 1_500


def run(session: Session) -> None:
    """The mock, where the client is most of the time; and Tansu, which does real work."""
    for workload in (MOCK,) if session.scale.quick else (MOCK, TANSU):
        _row(session, workload)


def _row(session: Session, workload: Workload) -> None:
    try:
        sink = session.sink(workload.sink)
    except PeerMissing:
        return
    topic = session.topic(sink, workload.partitions)
    clients = list(workload.clients)
    rounds = session.scale.rounds * 2  # They are short.
    for number in range(rounds):
        session.say(f"{NAME}: {workload.sink}, round {number + 1} of {rounds}")
        for client in rotated(clients, number):
            try:
                answer = session.ask(
                    client,
                    "latency",
                    sink,
                    topic,
                    workload,
                    warm_up=_WARM_UP,
                    count=_RECORDS,
                )
            except DriverFailed as error:
                session.failed(client, workload, error)
                clients.remove(client)
                break
            for percent in (50, 99):
                key = Key(NAME, workload.name, workload.sink, client, f"p{percent}_us")
                session.results.add(key, percentile(answer["samples"], percent) * 1e6)
