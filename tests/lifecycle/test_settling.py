"""A broker that is gone in each of the ways in which TCP lets a peer be gone: what every call says.

The broker is a process of its own. Whatever becomes of it, each accepted record ends in one outcome
within ``delivery_timeout_ms``, each waiting call within its own bound, and the errors say what is.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import socket
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from pyproducer import (
    AsyncProducer,
    BufferFull,
    BulkError,
    CloseTimeout,
    ConnectionFailed,
    DeliveryTimeout,
    FlushReport,
    FlushTimeout,
    ProducerError,
    SyncProducer,
    UndeliveredError,
    UnknownTopic,
)
from tests.helpers.broker_process import BrokerProcess
from tests.helpers.leftovers import Leftovers, other_tasks

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="how Linux drops a connection")

DELIVERY, BLOCK, CLOSE = 1.5, 0.4, 0.3
OPTIONS = {
    "delivery_timeout_ms": round(DELIVERY * 1000),
    "request_timeout_ms": 500,
    "max_block_ms": round(BLOCK * 1000),
    "socket_connection_setup_timeout_ms": 300,
    "reconnect_backoff_ms": 10,
    "reconnect_backoff_max_ms": 50,
    "retry_backoff_ms": 10,
}
SMALL = {"buffer_memory": 20_000, "max_request_size": 10_000, "batch_size": 4_000}
#: Seconds by which a bound may be missed: the promise is one for outcomes, half of one for close().
LATE = 1.0


@contextlib.contextmanager
def port_held(port, *, backlog):
    """Listen at a port without ever accepting; with backlog 0 not even the system does."""
    with contextlib.ExitStack() as stack:
        listener = stack.enter_context(socket.socket())
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(("127.0.0.1", port))
        listener.listen(backlog)
        if backlog == 0:
            for _ in range(4):
                one = stack.enter_context(socket.socket())
                one.setblocking(False)
                one.connect_ex(("127.0.0.1", port))
        yield


@contextlib.contextmanager
def killed(broker):
    """Nothing listens at its port any more."""
    os.kill(broker.pid, signal.SIGKILL)
    wait_for_end(broker)
    yield


def stands_still(pid):
    """True once each thread of a process is stopped."""
    states = [
        stat.read_text().rpartition(")")[2].split()[0]
        for stat in Path(f"/proc/{pid}/task").glob("*/stat")
    ]
    return set(states) == {"T"}


@contextlib.contextmanager
def stopped(broker):
    """The system still takes connections for it, and acknowledges their bytes."""
    os.kill(broker.pid, signal.SIGSTOP)
    # The signal takes a moment to reach a thread that runs on the other core, and a record less.
    while not stands_still(broker.pid):
        time.sleep(0.001)
    try:
        yield
    finally:
        os.kill(broker.pid, signal.SIGCONT)


@contextlib.contextmanager
def accepts_and_is_silent(broker):
    """Another at its port takes connections and never answers."""
    with killed(broker), port_held(port_of(broker), backlog=100):
        yield


@contextlib.contextmanager
def never_accepts(broker):
    """Its port's backlog is full: attempts to connect are not even refused."""
    with killed(broker), port_held(port_of(broker), backlog=0):
        yield


def port_of(broker):
    return int(broker.bootstrap_servers.rpartition(":")[2])


def wait_for_end(broker):
    end = time.monotonic() + 10
    while time.monotonic() < end:
        try:
            socket.create_connection(("127.0.0.1", port_of(broker)), timeout=1).close()
        except OSError:
            return
        time.sleep(0.01)
    raise AssertionError("it lives on")


FAULTS = [killed, stopped, accepts_and_is_silent, never_accepts]
each_fault = pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.__name__)


@pytest.fixture
def process(tmp_path):
    """A broker in a process of its own, which the test may kill."""
    running = BrokerProcess({"t": 3, "one": 1}, data_dir=tmp_path)
    with running:
        yield running


async def took(awaitable):
    """(seconds, what it returned or raised)."""
    began = time.monotonic()
    try:
        found = await awaitable
    except ProducerError as error:
        found = error
    return time.monotonic() - began, found


def judge(error, *, topic, partition, written):
    """An outcome has all that there is to say."""
    assert isinstance(error, DeliveryTimeout), error
    assert (error.topic, error.partition) == (topic, partition)
    assert DELIVERY * 0.9 < error.elapsed < DELIVERY + LATE
    assert error.retriable
    if not written:
        assert not error.maybe_written
    assert (error.attempts > 0) >= error.maybe_written


@each_fault
async def test_every_call_ends_in_time(process, fault):
    """
    send, enqueue, the bulk calls, flush and partitions_for: each ends within its bound, and says
    what is.
    """
    before = Leftovers()
    async with AsyncProducer(process.bootstrap_servers, **OPTIONS) as producer:
        assert (await producer.send("one", "before")).offset == 0
        await producer.partitions_for("t")
        with fault(process):
            calls = {
                "known": producer.send("one", "x"),
                "shelf": producer.send("unheard-of", "x"),
                "bulk": producer.send_many("t", ["x"] * 9, partitions=[0, 1, 2] * 3),
                "partitions": producer.partitions_for("unheard-of"),
                "short flush": after(0.05, lambda: producer.flush(0.2)),
                "flush": after(0.05, producer.flush),
                "enqueue": producer.enqueue("one", "x", on_delivery=lambda _: None),
            }
            found = dict(zip(calls, await asyncio.gather(*map(took, calls.values())), strict=True))
            await producer.flush()
        metrics = producer.metrics()
        assert (metrics.records_queued, metrics.buffer_bytes) == (0, 0)
        assert metrics.records_failed == 12

    spent = {name: seconds for name, (seconds, _) in found.items()}
    said = {name: outcome for name, (_, outcome) in found.items()}
    judge(said["known"], topic="one", partition=0, written=True)
    judge(said["shelf"], topic="unheard-of", partition=None, written=False)
    assert isinstance(said["bulk"], BulkError)
    assert len(said["bulk"].failures) == 9
    for index, error in said["bulk"].failures:
        judge(error, topic="t", partition=index % 3, written=True)
    assert isinstance(said["partitions"], UnknownTopic)
    assert "nothing was heard" in str(said["partitions"])
    assert isinstance(said["short flush"], FlushTimeout)
    assert said["short flush"].remaining == 12
    assert said["flush"] == FlushReport(0, 12)
    bounds = {"partitions": BLOCK, "short flush": 0.25, "enqueue": 0.0}
    assert [] == [name for name in spent if spent[name] > bounds.get(name, DELIVERY) + LATE], spent
    assert other_tasks() == []
    assert before.found() == []


async def after(seconds, call):
    await asyncio.sleep(seconds)
    return await call()


@each_fault
async def test_full_buffer_and_close(process, fault):
    """
    Where the buffer is full a call waits for max_block_ms; close(timeout) ends within its timeout
    and half a second, with every record settled and its count exact.
    """
    before = Leftovers()
    told = []
    producer = AsyncProducer(process.bootstrap_servers, **(OPTIONS | SMALL))
    await producer.start()
    await producer.send("one", "before")
    with fault(process):
        handles = []
        while True:
            try:
                handles.append(producer.enqueue_nowait("one", b"x" * 500))
            except BufferFull:
                break
        seconds, error = await took(producer.enqueue("one", b"x" * 500))
        assert isinstance(error, BufferFull), error
        assert BLOCK * 0.9 < seconds < BLOCK + LATE
        watched = handles.pop()
        watched.add_done_callback(told.append)
        seconds, error = await took(producer.close(CLOSE))

    assert seconds < CLOSE + 0.5
    assert isinstance(error, UndeliveredError)
    assert (error.count, error.by_topic) == (len(handles), {"one": len(handles)})
    assert isinstance(error.__cause__, CloseTimeout)
    assert error.__cause__.remaining == len(handles) + 1
    assert [watched] == told
    assert all(isinstance(one.exception(), DeliveryTimeout) for one in handles)
    assert other_tasks() == []
    assert before.found() == []


@each_fault
async def test_failures_are_told_once_each(process, fault):
    """
    on_delivery_failure hears of each record that nobody waits for, once; a callback of each that
    has one, once; then close() has nothing to add.
    """
    failures, called = [], []
    async with AsyncProducer(
        process.bootstrap_servers, on_delivery_failure=failures.append, **OPTIONS
    ) as producer:
        await producer.partitions_for("t")
        with fault(process):
            for number in range(30):
                told = called.append if number % 3 == 0 else None
                await producer.enqueue("t", str(number), on_delivery=told)
                await producer.enqueue("unheard-of", str(number), on_delivery=told)
            assert (await producer.flush()).failed == 60

    assert len(called) == len(set(map(id, called))) == 20
    counts = {"t": 0, "unheard-of": 0}
    for failure in failures:
        counts[failure.topic] += failure.count
    assert counts == {"t": 20, "unheard-of": 20}


@each_fault
def test_threads_end_in_time(process, fault):
    """
    The same from threads of a blocking producer: each call ends within its bound.
    """
    before = Leftovers()
    producer = SyncProducer(process.bootstrap_servers, **OPTIONS)
    producer.send("one", "before")

    def timed(call):
        began = time.monotonic()
        try:
            found = call()
        except (ProducerError, TimeoutError) as error:
            found = error
        return time.monotonic() - began, found

    with fault(process):
        pending = producer.enqueue("one", "x", on_delivery=lambda _: None)
        calls = [
            lambda: producer.send("one", "x"),
            lambda: producer.send("unheard-of", "x"),
            lambda: producer.send_many("one", ["x"] * 5),
            lambda: producer.partitions_for("unheard-of"),
            producer.flush,
            lambda: pending.exception(),
            lambda: pending.result(0.2),
        ]
        with ThreadPoolExecutor(len(calls)) as threads:
            found = list(threads.map(timed, calls))
        began = time.monotonic()
        producer.close(CLOSE)
        assert time.monotonic() - began < CLOSE + 0.5

    kinds = [DeliveryTimeout, DeliveryTimeout, BulkError, UnknownTopic, FlushReport]
    assert [type(outcome) for _, outcome in found[:5]] == kinds
    assert isinstance(found[5][1], DeliveryTimeout)
    assert isinstance(found[6][1], TimeoutError)
    assert max(seconds for seconds, _ in found) < DELIVERY + LATE
    assert before.found() == []
    assert threading.active_count() <= len(before._threads) + 1


BEFORE = {
    "nobody listens": None,
    "accepts and is silent": 100,
    "never accepts": 0,
}


@pytest.mark.parametrize("backlog", BEFORE.values(), ids=BEFORE.keys())
async def test_no_broker_from_the_start(backlog):
    """
    Where no broker is to be had, start() ends in time and names the address; so does each first
    use of a blocking producer, and nothing is left.
    """
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    before = Leftovers()
    held = contextlib.nullcontext() if backlog is None else port_held(port, backlog=backlog)
    with held:
        producer = AsyncProducer(f"127.0.0.1:{port}", **OPTIONS)
        for _ in range(2):
            seconds, error = await took(producer.start())
            assert isinstance(error, ConnectionFailed)
            assert f"127.0.0.1:{port}" in str(error)
            assert seconds < BLOCK + LATE
        assert other_tasks() == []
        seconds, error = await took(producer.close())
        assert (error, seconds < LATE) == (None, True)

        blocking = SyncProducer(f"127.0.0.1:{port}", **OPTIONS)
        for call in (
            lambda: blocking.send("t", "x"),
            lambda: blocking.enqueue_nowait("t", "x"),
            blocking.flush,
        ):
            began = time.monotonic()
            with pytest.raises(ConnectionFailed):
                call()
            assert time.monotonic() - began < BLOCK + LATE
        blocking.close()
    assert before.found() == []


async def test_connection_that_vanished_without_a_word(broker):
    """
    Where the peer's end of each connection is gone and never said so, as behind a firewall that
    forgot it, the next records are delivered over new ones, once and in order.
    """
    async with AsyncProducer(broker.bootstrap_servers, retry_backoff_ms=10) as producer:
        await producer.send("one", "before")
        for _ in range(3):
            vanish(broker)
            handles = [producer.enqueue_nowait("one", str(n)) for n in range(20)]
            await producer.flush()
            assert [None] * 20 == [handle.exception() for handle in handles]
        assert producer.metrics().connections_lost >= 3

    assert [b"before", *[str(n).encode() for n in range(20)] * 3] == [
        record.value for record in broker.records("one")
    ]


def vanish(broker):
    """Take the broker's connections away so that neither end is told (TCP_REPAIR)."""
    tcp_repair = 19
    for path in list(Path("/proc/self/fd").iterdir()):
        try:
            one = socket.socket(fileno=os.dup(int(path.name)))
        except OSError:
            continue
        with one:
            try:
                if one.getsockname()[1] != broker.port or not one.getpeername():
                    continue
            except (OSError, IndexError):
                continue
            try:
                one.setsockopt(socket.IPPROTO_TCP, tcp_repair, 1)
            except PermissionError:
                pytest.skip("needs CAP_NET_ADMIN")
    broker.faults.close_connections()
