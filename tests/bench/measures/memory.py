"""What a queued record of 100 bytes takes while its broker is gone."""

from __future__ import annotations

from tests.bench.driver_process import DriverFailed
from tests.bench.series import Key
from tests.bench.session import Session
from tests.bench.workloads import Workload

NAME = "memory"

DROPPED = Workload("handles dropped", ("ours.enqueue", "confluent.plain"))
KEPT = Workload("handles kept", ("ours.enqueue", "confluent.callback"))
_RECORDS = 1_000_000


def run(session: Session) -> None:
    """Each time with a new process and a new broker, which ends before the records come."""
    for number in range(3):
        session.say(f"{NAME}: round {number + 1} of 3")
        for workload in (DROPPED, KEPT):
            for client in workload.clients:
                sink = session.sink("mock")
                topic = session.topic(sink, 4)
                session.forget(client)
                try:
                    answer = session.ask(
                        client,
                        "memory",
                        sink,
                        topic,
                        workload,
                        count=_RECORDS,
                        keep=workload is KEPT,
                        on_checkpoint=lambda _: session.stop("mock"),
                    )
                except DriverFailed as error:
                    session.failed(client, workload, error)
                    continue
                finally:
                    session.forget(client)
                key = Key(NAME, workload.name, "mock", client, "bytes_per_record")
                session.results.add(key, answer["bytes_per_record"])
