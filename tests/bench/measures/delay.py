"""Throughput to a broker whose answers come 50 ms later than it could give them.

The mock itself holds its answers back, so nothing stands between that copies bytes and has a
bandwidth of its own.
"""

from __future__ import annotations

from tests.bench.session import Session
from tests.bench.workloads import Settings, Workload

NAME = "delay"

CLIENTS = ("ours.enqueue", "confluent.callback", "aiokafka")
MILLISECONDS = 50
#: Five requests of 1 MiB in 50 ms are 105 MB/s, which is all that any client can reach with them.
IN_FLIGHT = {
    "requests in flight as the client chooses": Settings(in_flight=None),
    "5 requests in flight": Settings(),
}


def run(session: Session) -> None:
    """With and without the delay in turns, so that the machine's moods are in both."""
    clients = CLIENTS[:1] if session.scale.quick else CLIENTS
    ways = list(IN_FLIGHT.items())[:1] if session.scale.quick else IN_FLIGHT.items()
    rows = [
        Workload(f"{name}, {wait} ms", clients, settings, delay_ms=wait)
        for name, settings in ways
        for wait in (0, MILLISECONDS)
    ]
    session.throughput(NAME, *rows, seconds=1.5)
