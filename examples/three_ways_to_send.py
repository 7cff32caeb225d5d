"""Three ways to send a record: await its outcome, get it by callback, or let it go.

The awaited send is the plainest: one line, and the record is acknowledged. The callback suits
code that must not wait. Fire and forget is for records whose outcome nobody acts on; none gets
lost in silence even so, because close() raises for a failure that nobody saw.

    python examples/three_ways_to_send.py [BOOTSTRAP_SERVERS]
"""

from __future__ import annotations

import asyncio
import time

from _cluster import Cluster, cluster

from pyproducer import AsyncProducer, Delivery

TOPIC = "visits"
COUNT = 2_000


async def awaited(producer: AsyncProducer) -> None:
    """Wait for each record: the slowest way, and the only one that knows before it goes on."""
    for number in range(20):
        meta = await producer.send(TOPIC, f"awaited {number}", key=f"user-{number}")
        assert meta.offset >= 0


async def with_callbacks(producer: AsyncProducer) -> None:
    """Hand over a function that is called once per record, in order within a partition."""
    failed: list[Delivery] = []
    delivered = 0

    def report(delivery: Delivery) -> None:
        nonlocal delivered
        if delivery.exception() is None:
            delivered += 1
        else:
            failed.append(delivery)

    for number in range(COUNT):
        # enqueue_nowait is a plain call. It raises BufferFull when there is no room; enqueue,
        # below, waits for room instead.
        producer.enqueue_nowait(TOPIC, f"callback {number}", on_delivery=report)
    await producer.flush(timeout=30)
    assert (delivered, failed) == (COUNT, [])


async def fire_and_forget(producer: AsyncProducer) -> None:
    """Queue and go on; flush() or leaving the `async with` block sees to the rest."""
    for number in range(COUNT):
        await producer.enqueue(TOPIC, f"forgotten {number}")
    report = await producer.flush(timeout=30)
    assert report.failed == 0


async def main(place: Cluster) -> None:
    """Send in each way, and print what each took."""
    async with AsyncProducer(place.bootstrap_servers) as producer:
        for way, records in ((awaited, 20), (with_callbacks, COUNT), (fire_and_forget, COUNT)):
            began = time.perf_counter()
            await way(producer)
            seconds = time.perf_counter() - began
            print(
                f"{way.__name__:>16}: {records:5} records, {seconds / records * 1e6:8.1f} us each"
            )
    arrived = place.arrived(TOPIC)
    if place.broker:
        assert len(arrived) == 20 + 2 * COUNT
    print(f"{len(arrived)} records in the topic")


if __name__ == "__main__":
    with cluster({TOPIC: 3}) as found:
        asyncio.run(main(found))
