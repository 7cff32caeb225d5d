"""What a record costs as more callers wait: for outcomes, or for room in the buffer."""

from __future__ import annotations

from tests.bench.session import Session
from tests.bench.workloads import Workload

NAME = "waiters"

OUTCOME = (1, 100, 1_000, 10_000)
ROOM = (1, 100, 10_000)


def run(session: Session) -> None:
    """Tasks in ``await send``, beside asyncio alone; then tasks in ``await enqueue`` without room."""
    session.throughput(
        NAME,
        *(
            Workload(
                f"for outcomes, {count:,}",
                ("ours.send", "aiokafka.send", "floor") if count > 1 else ("ours.send",),
                senders=count,
            )
            for count in OUTCOME
        ),
        seconds=0.6,
    )
    session.throughput(
        NAME,
        *(
            Workload(f"for room, {count:,}", ("ours.enqueue",), senders=count, operation="room")
            for count in ROOM
        ),
        seconds=0.6,
    )
