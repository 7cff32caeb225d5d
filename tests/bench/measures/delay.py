"""Throughput to a broker whose answers come 50 ms later than it could give them.

The mock itself holds its answers back, so nothing stands between that copies bytes and has a
bandwidth of its own.
"""

from __future__ import annotations

from dataclasses import replace

from tests.bench.session import Session
from tests.bench.workloads import Settings, Workload

NAME = "delay"

#: Seconds of work for each: from a few requests in flight to as many as the distance takes is a
#: matter of some round trips, and so is the last answer.
RECORDS = {"ours.enqueue": 5_000_000, "confluent.callback": 1_500_000}
MILLISECONDS = 50
#: Five requests of 1 MiB in 50 ms are 105 MB/s, which is all that any client can reach with them.
IN_FLIGHT = {
    "requests in flight as the client chooses": Settings(acks=-1, idempotence=True, in_flight=None),
    "5 requests in flight": Settings(acks=-1, idempotence=True),
}
#: Five batches of each of four partitions are less than the distance takes; of so many, more.
PARTITIONS = 16


def run(session: Session) -> None:
    """With and without the delay in turns, so that the machine's moods are in both."""
    clients = list(RECORDS)[:1] if session.scale.quick else RECORDS
    ways = list(IN_FLIGHT.items())[:1] if session.scale.quick else IN_FLIGHT.items()
    rows = [
        (name, Workload(name, (client,), settings, count=RECORDS[client]))
        for name, settings in ways
        for client in clients
    ]
    # The first way once more.
    name, row = rows[0]
    rows.insert(1, (f"{PARTITIONS} partitions, {name}", replace(row, partitions=PARTITIONS)))
    session.throughput(
        NAME,
        *(
            replace(row, name=f"{name}, {wait} ms", delay_ms=wait)
            for name, row in rows
            for wait in (0, MILLISECONDS)
        ),
    )
