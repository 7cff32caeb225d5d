"""The blocking producer: the same promises, from any thread."""

from __future__ import annotations

import gc
import os
import subprocess
import sys
import textwrap
import threading
import time

import pytest

from pyproducer import (
    BufferFull,
    BulkError,
    CloseTimeout,
    ConnectionFailed,
    DeliveryGroup,
    DeliveryTimeout,
    FlushReport,
    FlushTimeout,
    ProducerClosed,
    RecordMetadata,
    SyncProducer,
    UndeliveredError,
    UnknownTopic,
    UsageError,
)
from pyproducer.broker import Broker
from pyproducer.protocol.api import ApiKey
from tests.helpers.leftovers import Leftovers
from tests.helpers.processes import free_ports
from tests.helpers.scripted_broker import ScriptedBroker, Silence

CALLS = {
    "send": lambda p: p.send("t", b"x"),
    "enqueue": lambda p: p.enqueue("t", b"x"),
    "enqueue_nowait": lambda p: p.enqueue_nowait("t", b"x"),
    "send_many": lambda p: p.send_many("t", [b"x"]),
    "enqueue_many": lambda p: p.enqueue_many("t", [b"x"]),
    "flush": lambda p: p.flush(),
    "partitions_for": lambda p: p.partitions_for("t"),
    "topic.send": lambda p: p.topic("t").send(b"x"),
    "topic.enqueue_nowait": lambda p: p.topic("t").enqueue_nowait(b"x"),
    "topic.enqueue_many": lambda p: p.topic("t").enqueue_many([b"x"]),
}
each_call = pytest.mark.parametrize("call", CALLS.values(), ids=CALLS.keys())


def run(program, *, timeout=30, **options):
    """Run a program in a process of its own, with warnings shown."""
    return subprocess.run(
        [sys.executable, "-W", "always", "-c", textwrap.dedent(program)],
        capture_output=True,
        text=True,
        timeout=timeout,
        check=False,
        **options,
    )


@each_call
def test_first_use_starts(shared_broker, call):
    """
    Any first use starts it; construction starts nothing.
    """
    threads = threading.active_count()
    producer = SyncProducer(shared_broker.bootstrap_servers)
    assert "not started" in repr(producer)
    assert repr(producer).startswith("<SyncProducer")
    assert threading.active_count() == threads
    call(producer)
    producer.close()

    with pytest.raises(ProducerClosed):
        call(producer)


def test_results(broker):
    """
    Every method does what the asyncio producer's does, and returns instead of being awaited.
    """
    with SyncProducer(broker.bootstrap_servers) as producer:
        meta = producer.send("one", b"0", key="k", headers={"a": "b"})
        delivery = producer.enqueue("one", b"1")
        plain = producer.enqueue_nowait("one", b"2")
        group = producer.enqueue_many("one", ["3", "4"])
        metas = producer.send_many("one", ["5", "6"])
        assert isinstance(meta, RecordMetadata)
        assert isinstance(group, DeliveryGroup)
        assert [0, 1, 2, 3, 4, 5, 6] == [
            meta.offset,
            delivery.result().offset,
            plain.result(10).offset,
            *(one.offset for one in group.results()),
            *(one.offset for one in metas),
        ]
        assert producer.partitions_for("t") == 3
        assert producer.flush() == FlushReport(0, 0)
        assert producer.metrics().records_delivered == 7
        with pytest.raises(BulkError) as caught:
            producer.send_many("one", ["7", 8, "9"])
        assert [1] == [index for index, _ in caught.value.failures]
        with pytest.raises(UnknownTopic):
            producer.send("t", b"x", partition=9)
        with pytest.raises(TypeError):
            producer.enqueue_many("one", "text")


@each_call
def test_no_broker(call):
    """
    With nobody listening the first use raises the typed error in time, leaves no thread, and
    may be tried again.
    """
    before = Leftovers()
    [port] = free_ports(1)
    producer = SyncProducer(f"127.0.0.1:{port}")
    for _ in range(2):
        start = time.monotonic()
        with pytest.raises(ConnectionFailed):
            call(producer)
        assert time.monotonic() - start < 5
    assert before.found() == []
    producer.close()


def test_start_after_failed_start():
    """
    Once a broker listens the same producer works.
    """
    [port] = free_ports(1)
    producer = SyncProducer(f"127.0.0.1:{port}")
    with pytest.raises(ConnectionFailed):
        producer.start()
    with Broker({"t": 1}, port=port), producer:
        producer.start()
        assert producer.send("t", b"x").offset == 0


def test_many_threads(broker):
    """
    Many threads may share one producer, from its very first use: nothing is lost or doubled,
    and each thread's records are in order.
    """
    failures = []

    def work(name):
        try:
            for number in range(50):
                if number % 3 == 0:
                    producer.send("one", f"{name}-{number:03}")
                elif number % 3 == 1:
                    producer.enqueue("one", f"{name}-{number:03}")
                else:
                    producer.enqueue_nowait("one", f"{name}-{number:03}")
        except Exception as error:
            failures.append(error)

    with SyncProducer(broker.bootstrap_servers, batch_max_records=20) as producer:
        threads = [threading.Thread(target=work, args=(name,)) for name in range(10)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    assert failures == []
    values = [record.value.decode() for record in broker.records("one")]
    for name in range(10):
        mine = [value for value in values if value.startswith(f"{name}-")]
        assert mine == [f"{name}-{number:03}" for number in range(50)]


def test_close_while_threads_send(broker):
    """
    A close meets threads in every state: each call ends with an outcome or ProducerClosed,
    and what was acknowledged is in the log.
    """
    acknowledged, odd = [], []

    def slow(value):
        time.sleep(0.0005)
        return value

    def work(name):
        number = 0
        while True:
            number += 1
            value = f"{name}-{number}"
            try:
                if number % 2:
                    producer.enqueue("one", value).result(10)
                else:
                    producer.send("one", value)
            except (ProducerClosed, DeliveryTimeout):
                return
            except BaseException as error:
                odd.append(error)
                return
            acknowledged.append(value)

    producer = SyncProducer(broker.bootstrap_servers, value_serializer=slow)
    producer.start()
    threads = [threading.Thread(target=work, args=(name,), daemon=True) for name in range(8)]
    for thread in threads:
        thread.start()
    end = time.monotonic() + 20
    while len(acknowledged) <= 100 and time.monotonic() < end:
        time.sleep(0.01)
    producer.close()
    for thread in threads:
        thread.join(5)

    assert not any(thread.is_alive() for thread in threads)
    assert odd == []
    assert len(acknowledged) > 100
    values = [record.value.decode() for record in broker.records("one")]
    assert len(values) == len(set(values))
    assert set(acknowledged) <= set(values)


def test_close_from_many_threads(broker):
    """
    Of many closes at a time one does it, and all return when it is done.
    """
    producer = SyncProducer(broker.bootstrap_servers, linger_ms=None)
    deliveries = [producer.enqueue_nowait("one", b"x") for _ in range(100)]
    threads = [threading.Thread(target=producer.close) for _ in range(5)]
    for thread in threads:
        thread.start()
    producer.close()
    assert all(delivery.done() for delivery in deliveries)
    for thread in threads:
        thread.join()


def test_timeouts():
    """
    result(), flush() and close() keep to their timeouts where a broker is silent.
    """
    with ScriptedBroker(script={ApiKey.PRODUCE: lambda _: Silence()}) as broker:
        producer = SyncProducer(broker.bootstrap_servers)
        delivery = producer.enqueue_nowait("t", b"x")
        start = time.monotonic()
        with pytest.raises(TimeoutError):
            delivery.result(0.05)
        with pytest.raises(TimeoutError):
            delivery.exception(0.05)
        with pytest.raises(FlushTimeout) as flushed:
            producer.flush(0.05)
        assert flushed.value.remaining == 1
        with pytest.raises(UsageError):
            producer.close("soon")
        with pytest.raises(UndeliveredError):
            producer.close(0.05)
        assert time.monotonic() - start < 3
        assert isinstance(delivery.exception(), DeliveryTimeout)


def test_full_buffer():
    """
    Where the buffer is full, enqueue waits for max_block_ms and enqueue_nowait does not.
    """
    with ScriptedBroker(script={ApiKey.PRODUCE: lambda _: Silence()}) as broker:
        producer = SyncProducer(
            broker.bootstrap_servers,
            max_block_ms=100,
            buffer_memory=20_000,
            max_request_size=20_000,
            batch_size=20_000,
        )
        producer.enqueue_nowait("t", b"x" * 15_000, on_delivery=lambda d: None)
        with pytest.raises(BufferFull):
            producer.enqueue_nowait("t", b"x" * 15_000)
        start = time.monotonic()
        with pytest.raises(BufferFull):
            producer.send("t", b"x" * 15_000)
        assert 0.09 < time.monotonic() - start < 3
        with pytest.raises(CloseTimeout):
            producer.close(0)


def test_close_that_meets_waiters():
    """
    A thread that waits for room when the producer closes gets ProducerClosed.
    """
    found = []
    with ScriptedBroker(script={ApiKey.PRODUCE: lambda _: Silence()}) as broker:
        producer = SyncProducer(
            broker.bootstrap_servers,
            buffer_memory=20_000,
            max_request_size=20_000,
            batch_size=20_000,
        )
        producer.enqueue_nowait("t", b"x" * 15_000, on_delivery=lambda d: None)

        def wait():
            try:
                producer.enqueue("t", b"x" * 15_000)
            except ProducerClosed as error:
                found.append(error)

        thread = threading.Thread(target=wait)
        thread.start()
        while not producer.metrics().callers_waiting:
            time.sleep(0.001)
        with pytest.raises(CloseTimeout):
            producer.close(0.1)
        thread.join(5)

    assert len(found) == 1


def test_callback_that_never_ends(broker, monkeypatch):
    """
    A callback that hangs does not make close() hang.
    """
    monkeypatch.setattr("pyproducer.background._GRACE", 0.2)
    hang = threading.Event()
    producer = SyncProducer(broker.bootstrap_servers)
    producer.enqueue_nowait("one", b"x", on_delivery=lambda d: hang.wait(20))
    time.sleep(0.1)
    start = time.monotonic()
    with pytest.raises(CloseTimeout, match="callback"):
        producer.close(0.1)
    assert time.monotonic() - start < 5
    hang.set()


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
@pytest.mark.parametrize("first", ["enqueue_nowait", "send"])
@pytest.mark.parametrize("codec", ["none", "zstd"])
def test_exit_without_close(host, first, codec):
    """
    A program that ends without close(): what it queued is delivered, and it is warned.
    """
    with Broker({"one": 1}, host=host) as broker:
        done = run(f"""
            from pyproducer import SyncProducer

            producer = SyncProducer({broker.bootstrap_servers!r}, compression_type={codec!r})
            producer.{first}("one", "x" * 50_000)
            for number in range(1000):
                producer.enqueue_nowait("one", "x" * 100)
        """)

        assert done.returncode == 0
        assert "ResourceWarning" in done.stderr
        assert "was not closed before the program's end" in done.stderr
        assert len(broker.records("one")) == 1001


def test_exit_with_warnings_as_errors(broker):
    """
    Where warnings are errors the records are delivered all the same.
    """
    program = textwrap.dedent(f"""
        from pyproducer import SyncProducer
        SyncProducer({broker.bootstrap_servers!r}).enqueue_nowait("one", "x")
        producer = SyncProducer({broker.bootstrap_servers!r})
        producer.enqueue_nowait("one", "y")
    """)
    done = subprocess.run(
        [
            sys.executable, "-W", "error", "-c",
            program,
        ],
        capture_output=True, text=True, timeout=30, check=False,
    )  # fmt: skip

    assert sorted(r.value for r in broker.records("one")) == [b"x", b"y"], done.stderr


def test_exit_is_bounded():
    """
    A program whose broker is silent ends within close_timeout_ms, and says what it lost.
    """
    with ScriptedBroker(script={ApiKey.PRODUCE: lambda _: Silence()}) as broker:
        start = time.monotonic()
        done = run(f"""
            import logging
            from pyproducer import SyncProducer

            logging.basicConfig()
            producer = SyncProducer({broker.bootstrap_servers!r}, close_timeout_ms=300)
            producer.enqueue_nowait("t", "x")
        """)

    assert time.monotonic() - start < 10
    assert "1 records failed" in done.stderr


def test_dropped_without_close(broker):
    """
    A producer that is dropped without close() warns, delivers what it has, and ends its thread.
    """
    before = Leftovers()
    producer = SyncProducer(broker.bootstrap_servers, linger_ms=None)
    producer.send("one", b"0")
    producer.enqueue_nowait("one", b"1")
    with pytest.warns(ResourceWarning, match="never closed"):
        del producer
        gc.collect()
    broker.wait_for("one", 2)

    assert before.found() == []


def test_dropped_at_the_very_end(broker):
    """
    A producer that is dropped in the last moment of a program delivers what it has.
    """
    done = run(f"""
        from pyproducer import SyncProducer

        def main():
            producer = SyncProducer({broker.bootstrap_servers!r}, linger_ms=None)
            for number in range(100):
                producer.enqueue_nowait("one", str(number))

        main()
    """)

    assert done.returncode == 0
    assert len(broker.records("one")) == 100


def test_never_started():
    """
    A producer that was never used ends a program in silence.
    """
    done = run("""
        from pyproducer import SyncProducer
        producer = SyncProducer("localhost:1")
    """)

    assert (done.returncode, done.stderr) == (0, "")


def test_uncaught_exception(broker):
    """
    A program that ends by an exception delivers what it had queued.
    """
    done = run(f"""
        from pyproducer import SyncProducer

        with SyncProducer({broker.bootstrap_servers!r}, linger_ms=None) as producer:
            producer.enqueue_nowait("one", "x")
            1 / 0
    """)

    assert "ZeroDivisionError" in done.stderr
    assert done.returncode == 1
    assert len(broker.records("one")) == 1


def test_inside_a_running_loop(broker):
    """
    A blocking producer may be used where an event loop runs: it has its own.
    """
    import asyncio

    async def main():
        with SyncProducer(broker.bootstrap_servers) as producer:
            return producer.send("one", b"x").offset

    assert asyncio.run(main()) == 0


def test_open_and_close_many_times(broker):
    """
    Opening and closing again and again leaves no thread and no socket.
    """
    before = Leftovers()
    for _ in range(20):
        with SyncProducer(broker.bootstrap_servers) as producer:
            producer.send("one", b"x")

    assert before.found() == []
    assert os.getpid() > 0
