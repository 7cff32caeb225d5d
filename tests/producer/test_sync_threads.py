"""Eight threads at one blocking producer, by the way that its calls take without a lock."""

from __future__ import annotations

import itertools
import sys
import threading
from collections import Counter, defaultdict

import pytest

from pyproducer import SyncProducer
from pyproducer.errors import BufferFull

THREADS = 8
EACH = 1200

#: Batches close all the time, and the buffer has no room most of the time.
TIGHT = {
    "buffer_memory": 40_000,
    "max_request_size": 8_000,
    "batch_size": 1_500,
    "linger_ms": 1,
}
ROOMY = {"batch_size": 20_000, "linger_ms": 2}


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
@pytest.mark.parametrize("options", [TIGHT, ROOMY], ids=["tight", "roomy"])
def test_threads_share_one_producer(broker, options):
    """
    Each record is in the log once, at the place that its handle names, told of by its callback
    once, and those of a thread and a partition are in the order of its calls.
    """
    handles = [[] for _ in range(THREADS)]
    told = Counter()
    refused = Counter()
    start = threading.Barrier(THREADS)
    failures = []

    def one(producer, topic, name, number):
        """A record by one of the ways there are, in turn."""
        value = f"{name}:{number}".ljust(20 + number % 7 * 15, ".")
        way = (number + name) % 6
        partition = name % 3
        if way == 0:
            return producer.enqueue("t", value, partition=partition)
        if way == 1:
            return topic.enqueue(value.encode(), partition=partition, timestamp_ms=number)
        if way == 2:
            note = lambda _: told.update([(name, number)])  # noqa: E731
            return producer.enqueue("t", value, partition=partition, on_delivery=note)
        if way == 3:
            [delivery] = producer.enqueue_many("t", [value], partitions=[partition])
            return delivery
        if way == 4:
            return producer.enqueue(
                "t", value, partition=partition, headers={"by": b"%d" % name}, key=b"k"
            )
        while True:
            try:
                return producer.enqueue_nowait("t", value, partition=partition)
            except BufferFull:
                refused[name] += 1
                # Stands in line like the others instead.
                return producer.enqueue("t", value, partition=partition)

    def work(producer, name):
        try:
            topic = producer.topic("t")
            start.wait()
            for number in range(EACH):
                handles[name].append(one(producer, topic, name, number))
        except BaseException as error:
            failures.append(error)
            raise

    with SyncProducer(broker.bootstrap_servers, **options) as producer:
        threads = [threading.Thread(target=work, args=(producer, n)) for n in range(THREADS)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        report = producer.flush()
        metas = [[handle.result() for handle in each] for each in handles]
        assert 0 == producer.metrics().buffer_bytes
        assert THREADS * EACH == producer.metrics().records_accepted

    assert [] == failures
    assert 0 == report.failed
    found = defaultdict(list)
    for record in broker.records("t"):
        name, number = record.value.rstrip(b".").split(b":")
        found[int(name)].append((int(number), record.partition, record.offset))
    assert {name: list(range(EACH)) for name in range(THREADS)} == {
        name: [number for number, _, _ in places] for name, places in found.items()
    }
    assert [[(meta.partition, meta.offset) for meta in each] for each in metas] == [
        [place[1:] for place in found[name]] for name in range(THREADS)
    ]
    every = itertools.product(range(THREADS), range(EACH))
    assert Counter(pair for pair in every if sum(pair) % 6 == 2) == told


@pytest.mark.usefixtures("hurried_switching")
def test_threads_and_their_topics(broker):
    """
    Threads that name topics in turn, by names of every identity, each reach the topic they name.
    """
    failures = []

    def work(producer, name):
        for number in range(EACH):
            # The same object now and then, and often one that is only equal.
            topic = "one" if number % 2 else "t"
            topic = topic if number % 3 else str(topic.encode(), "ascii")
            try:
                delivery = producer.enqueue(topic, f"{topic}", partition=0)
                assert topic == delivery.topic
            except BaseException as error:
                failures.append(error)
                raise

    with SyncProducer(broker.bootstrap_servers) as producer:
        threads = [threading.Thread(target=work, args=(producer, n)) for n in range(THREADS)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    assert [] == failures
    for topic in ("one", "t"):
        assert [topic.encode()] * (THREADS * EACH // 2) == [r.value for r in broker.records(topic)]
