"""What a record costs as more callers wait: for outcomes, or for room in the buffer."""

from __future__ import annotations

from tests.bench.session import Session
from tests.bench.workloads import Workload

NAME = "waiters"

OUTCOME = (100, 1_000, 10_000)
ROOM = (1, 100, 10_000)
#: So many that making the tasks, 20 us each, is little of it.
_RECORDS = 240_000


def run(session: Session) -> None:
    """Tasks in ``await send``, beside asyncio alone; then those in ``await enqueue`` without room.

    A single task in ``await send`` is not here: each of its records is a request of its own, and
    the latency's measure has it.
    """
    peers = () if session.scale.quick else ("aiokafka.send",)
    clients = ("ours.send", *peers, "floor", "floor.keeping")
    session.throughput(
        NAME,
        *(
            Workload(f"for outcomes, {count:,}", clients, senders=count, count=_RECORDS)
            for count in OUTCOME
        ),
    )
    session.throughput(
        NAME,
        *(
            Workload(
                f"for room, {count:,}",
                ("ours.enqueue", "floor"),
                senders=count,
                operation="room",
                count=_RECORDS,
            )
            for count in ROOM
        ),
    )
