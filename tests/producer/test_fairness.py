"""Who gets his turn: the sender beside callers that never stop, and each of very many waiters."""

from __future__ import annotations

import asyncio
import random
import threading
import time
from collections import Counter

import pytest

from pyproducer import AsyncProducer, BufferFull, SyncProducer

SMALL = {"buffer_memory": 20_000, "max_request_size": 10_000, "batch_size": 4_000}
#: Seconds by which something that goes on all the time has happened on any machine.
PATIENCE = 20.0


@pytest.mark.parametrize("way", ["enqueue", "topic.enqueue", "enqueue_many", "send_many"])
async def test_tight_loop_starves_nobody(broker, way):
    """
    While one task does nothing but queue records, they are delivered, and other tasks run.
    """
    ticks = 0

    async def tick():
        nonlocal ticks
        while True:
            await asyncio.sleep(0)
            ticks += 1

    async with AsyncProducer(broker.bootstrap_servers) as producer:
        await producer.partitions_for("t")
        calls = {
            "enqueue": lambda: producer.enqueue("t", b"x"),
            "topic.enqueue": lambda: producer.topic("t").enqueue(b"x"),
            "enqueue_many": lambda: producer.enqueue_many("t", [b"x"] * 10),
            "send_many": lambda: producer.send_many("t", [b"x"] * 10),
        }
        call = calls[way]
        ticking = asyncio.create_task(tick())
        end = time.monotonic() + PATIENCE
        while (producer.metrics().records_delivered < 1000 or ticks < 10) and (
            time.monotonic() < end
        ):
            await call()
        delivered = producer.metrics().records_delivered
        ticking.cancel()

    assert delivered >= 1000
    assert ticks >= 10


@pytest.mark.parametrize("way", ["enqueue", "enqueue_nowait", "enqueue_many"])
def test_tight_loops_of_threads_starve_nobody(broker, way):
    """
    While eight threads do nothing but queue records, they are delivered, each thread's among them.
    """
    stop = threading.Event()
    delivered = Counter()

    with SyncProducer(broker.bootstrap_servers) as producer:
        producer.partitions_for("t")

        def work(name):
            def told(delivery):
                delivered[name] += 1

            while not stop.is_set():
                try:
                    if way == "enqueue_many":
                        producer.enqueue_many("t", [b"x"] * 10)[-1].add_done_callback(told)
                    else:
                        getattr(producer, way)("t", b"x", on_delivery=told)
                except BufferFull:
                    assert way == "enqueue_nowait"

        threads = [threading.Thread(target=work, args=(name,)) for name in range(8)]
        for thread in threads:
            thread.start()
        end = time.monotonic() + PATIENCE
        while time.monotonic() < end and not (
            len(delivered) == 8 and min(delivered.values()) > 100
        ):
            time.sleep(0.01)
        found = dict(delivered)
        stop.set()
        for thread in threads:
            thread.join()

    assert len(found) == 8
    assert min(found.values()) > 100


async def test_ten_thousand_waiters(broker):
    """
    Of ten thousand tasks that wait for room a third is cancelled; the others get it in the order
    in which they came, each record is there once, and of the cancelled none.
    """
    chance = random.Random(5)
    count = 10_000
    options = {"buffer_memory": 200_000, "max_request_size": 50_000, "batch_size": 20_000}
    async with AsyncProducer(broker.bootstrap_servers, **options) as producer:
        await producer.partitions_for("one")
        await asyncio.to_thread(broker.faults.pause)
        filled = 0
        while True:
            try:
                producer.enqueue_nowait("one", b"filler" + b"." * 500)
            except BufferFull:
                break
            filled += 1
        tasks = [
            asyncio.create_task(producer.enqueue("one", str(number) + "." * 500))
            for number in range(count)
        ]
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        assert producer.metrics().callers_waiting == count
        gone = set(chance.sample(range(count), count // 3))
        for number in gone:
            tasks[number].cancel()
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        assert producer.metrics().callers_waiting == count - len(gone)
        await asyncio.to_thread(broker.faults.resume)
        found = await asyncio.gather(*tasks, return_exceptions=True)
        await producer.flush()
        assert producer.metrics().buffer_bytes == producer.metrics().callers_waiting == 0

    assert gone == {n for n, one in enumerate(found) if isinstance(one, asyncio.CancelledError)}
    stored = [record.value.rstrip(b".").decode() for record in broker.records("one")]
    expected = [str(number) for number in range(count) if number not in gone]
    assert ["filler"] * filled + expected == stored


async def test_small_record_waits_behind_a_large_one(broker):
    """
    Nobody overtakes: a record that would fit waits behind one that does not, and leaves with it
    when that one's caller gives up.
    """
    async with AsyncProducer(broker.bootstrap_servers, **SMALL) as producer:
        await producer.partitions_for("one")
        await asyncio.to_thread(broker.faults.pause)
        while producer.metrics().buffer_bytes < 12_000:
            producer.enqueue_nowait("one", b"filler" + b"." * 500)
        large = asyncio.create_task(producer.enqueue("one", b"l" * 9_000))
        await asyncio.sleep(0)
        small = asyncio.create_task(producer.enqueue("one", b"s"))
        await asyncio.sleep(0.05)
        assert not small.done()
        with pytest.raises(BufferFull):
            producer.enqueue_nowait("one", b"")
        large.cancel()
        async with asyncio.timeout(5):
            await small
        await asyncio.to_thread(broker.faults.resume)

    values = [record.value for record in broker.records("one")]
    assert values[-1] == b"s"
    assert b"l" * 9_000 not in values
