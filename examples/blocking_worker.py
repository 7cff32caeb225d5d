"""Worker threads share one blocking producer.

SyncProducer has the names and parameters of AsyncProducer and may be called from any thread.
It starts with its first use, so it can be made where a module is imported, before a server
such as gunicorn forks its workers. Threads send; none of them has to own an event loop.

    python examples/blocking_worker.py [BOOTSTRAP_SERVERS]
"""

from __future__ import annotations

import queue
import threading
from typing import NamedTuple

from _cluster import Cluster, cluster

from pyproducer import DeliveryError, SyncProducer

TOPIC = "jobs-done"
WORKERS = 4
JOBS = 400


class Job(NamedTuple):
    """A piece of work: here, a number to square."""

    number: int


def work(jobs: queue.Queue[Job | None], producer: SyncProducer, refused: list[Job]) -> None:
    """Take jobs until None comes, and tell the topic about each one finished."""
    while (job := jobs.get()) is not None:
        result = f"{job.number} {job.number**2}"
        try:
            # Blocks this worker alone. Records of other workers travel in the same batches.
            producer.send(TOPIC, result, key=str(job.number))
        except DeliveryError as error:
            # maybe_written False: sending it again cannot double it.
            print(f"job {job.number}: {error} (sending again is safe: {not error.maybe_written})")
            refused.append(job)


def main(place: Cluster) -> None:
    """Run the workers over the queue, then check that every result arrived once."""
    jobs: queue.Queue[Job | None] = queue.Queue(maxsize=100)
    refused: list[Job] = []
    with SyncProducer(place.bootstrap_servers, linger_ms=2) as producer:
        workers = [
            threading.Thread(target=work, args=(jobs, producer, refused)) for _ in range(WORKERS)
        ]
        for worker in workers:
            worker.start()
        for number in range(JOBS):
            jobs.put(Job(number))
        for _ in workers:
            jobs.put(None)
        for worker in workers:
            worker.join()
    assert refused == []
    if place.broker:
        arrived = sorted(int((record.key or b"").decode()) for record in place.arrived(TOPIC))
        assert arrived == list(range(JOBS))
    print(f"{JOBS} results sent by {WORKERS} threads through one producer")


if __name__ == "__main__":
    with cluster({TOPIC: 3}) as found:
        main(found)
