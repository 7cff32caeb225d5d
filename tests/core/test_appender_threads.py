"""With a lock, any number of threads may append at once, in both twins."""

from __future__ import annotations

import sys
import threading

import pytest

from tests.helpers.door import Door

THREADS = 4
EACH = 1500


@pytest.fixture
def hurried_switching():
    """
    Threads that are switched a hundred times as often as usual.
    """
    before = sys.getswitchinterval()
    sys.setswitchinterval(before / 100)
    yield
    sys.setswitchinterval(before)


@pytest.mark.usefixtures("hurried_switching")
@pytest.mark.parametrize("partitioner", ["murmur2", lambda key, count: hash(key) % count])
def test_threads_lose_nothing_and_keep_their_order(twin, partitioner):
    """
    Whatever threads append while the engine takes, closes, adopts and settles: each record is at
    one place, and those of a thread with one key are in the order of its calls.
    """
    door = Door(
        twin,
        batch_size=3000,
        partitioner=partitioner,
        buffer_memory=1 << 28,
        lock=threading.RLock(),
    )
    handles: list[list[object]] = [[] for _ in range(THREADS)]
    told: list[object] = []
    start = threading.Barrier(THREADS + 1)

    def produce(thread: int) -> None:
        key = b"thread %d" % thread
        start.wait()
        for number in range(EACH):
            delivery = door.put(b"%d" % number, key=key, headers={"by": key})
            handles[thread].append(delivery)
            if number % 7 == 0:
                delivery.add_done_callback(told.append)

    threads = [threading.Thread(target=produce, args=(n,)) for n in range(THREADS)]
    for thread in threads:
        thread.start()
    start.wait()
    closed: list[object] = []

    def drain() -> None:
        _, found, _ = door.take()
        for batch in found:
            if batch.serial % 3 == 0 and batch.count > 1:
                door.appender.recharge(batch, 0)
                closed.extend(door.split(batch))
            else:
                closed.append(batch)

    turns = 0
    while any(thread.is_alive() for thread in threads):
        turns += 1
        drain()
        if turns == 3:
            door.adopt("t", 3)
        for part in (door.appender.topics["t"].partitions or []) if turns % 5 == 0 else []:
            door.appender.close_open(part)
    for thread in threads:
        thread.join()
    door.adopt("t", 3)
    for part in door.appender.topics["t"].partitions:
        door.appender.close_open(part)
    drain()

    found: dict[bytes, list[int]] = {}
    for batch in closed:
        for _, value, pairs, _ in door.records(batch):
            found.setdefault(pairs[0][1], []).append(int(value))
    assert {b"thread %d" % n: list(range(EACH)) for n in range(THREADS)} == found
    assert THREADS * EACH == door.appender.records
    offset = 0
    for batch in closed:
        door.appender.recharge(batch, 0)
        batch.acknowledge(offset, -1)
        offset += batch.count
        twin.run_watchers(batch, 1 << 30)
    assert 0 == door.appender.used
    places = [handle.result().offset for each in handles for handle in each]
    assert set(range(offset)) == set(places)
    assert sum(len(range(0, EACH, 7)) for _ in range(THREADS)) == len(told) + len(door.host.later)
