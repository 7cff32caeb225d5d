"""Every order of start, use and close, right and wrong: a result or a typed error, in time."""

from __future__ import annotations

import asyncio
import gc
import os
import signal
import socket
import subprocess
import sys
import textwrap
import threading
import time
import warnings

import pytest

from pyproducer import (
    AsyncProducer,
    ConnectionFailed,
    NotStarted,
    ProducerClosed,
    ProducerError,
    WrongLoop,
)
from pyproducer.protocol.api import ApiKey
from tests.helpers.leftovers import Leftovers, other_tasks
from tests.helpers.processes import free_ports
from tests.helpers.scripted_broker import Close, Raw, ScriptedBroker, Silence

CALLS = {
    "send": lambda p: p.send("t", b"x"),
    "enqueue": lambda p: p.enqueue("t", b"x"),
    "enqueue_nowait": lambda p: p.enqueue_nowait("t", b"x"),
    "send_many": lambda p: p.send_many("t", [b"x"]),
    "enqueue_many": lambda p: p.enqueue_many("t", [b"x"]),
    "flush": lambda p: p.flush(),
    "partitions_for": lambda p: p.partitions_for("t"),
    "topic.send": lambda p: p.topic("t").send(b"x"),
    "topic.enqueue": lambda p: p.topic("t").enqueue(b"x"),
    "topic.enqueue_nowait": lambda p: p.topic("t").enqueue_nowait(b"x"),
    "topic.send_many": lambda p: p.topic("t").send_many([b"x"]),
    "topic.enqueue_many": lambda p: p.topic("t").enqueue_many([b"x"]),
}
each_call = pytest.mark.parametrize("call", CALLS.values(), ids=CALLS.keys())


async def called(call, producer):
    """Make a call, and await what is to be awaited; a second is plenty for an error."""
    async with asyncio.timeout(1):
        made = call(producer)
        return await made if asyncio.iscoroutine(made) else made


def test_construction_needs_no_loop_and_opens_nothing():
    """
    A producer is made outside of any loop, and dropped again without a warning.
    """
    before = Leftovers()
    producer = AsyncProducer("localhost:1")
    assert "not started" in repr(producer)
    assert "localhost:1" in repr(producer)
    del producer
    gc.collect()

    assert before.found(patience=0) == []


@each_call
async def test_before_start(call):
    """
    Before the start every call raises NotStarted at once.
    """
    with pytest.raises(NotStarted, match="start"):
        await called(call, AsyncProducer("localhost:1"))


@each_call
async def test_after_close(call, shared_broker):
    """
    After the close every call raises ProducerClosed at once.
    """
    producer = AsyncProducer(shared_broker.bootstrap_servers)
    async with producer:
        pass

    assert "closed" in repr(producer)
    with pytest.raises(ProducerClosed):
        await called(call, producer)


@each_call
async def test_closed_before_start(call):
    """
    A producer that was closed without ever being started is closed.
    """
    producer = AsyncProducer("localhost:1")
    await producer.close()
    await producer.close()

    with pytest.raises(ProducerClosed):
        await called(call, producer)
    with pytest.raises(ProducerClosed):
        await producer.start()


@each_call
def test_on_another_loop(call, shared_broker):
    """
    On another event loop every call raises WrongLoop, whether the first loop is closed or not.
    """
    with asyncio.Runner() as first:
        producer = AsyncProducer(shared_broker.bootstrap_servers)
        first.run(producer.start())

        def elsewhere():
            with asyncio.Runner() as other, pytest.raises(WrongLoop):
                other.run(called(call, producer))

        thread = threading.Thread(target=elsewhere)
        thread.start()
        thread.join(5)
        assert not thread.is_alive()
        first.run(producer.close())


@each_call
@pytest.mark.filterwarnings("ignore::ResourceWarning")
def test_after_its_loop_was_closed(call, shared_broker):
    """
    Where the producer's loop was closed under it, every call raises WrongLoop, each time.
    """
    before = Leftovers()
    with asyncio.Runner() as first:
        producer = AsyncProducer(shared_broker.bootstrap_servers)
        first.run(producer.start())
    with asyncio.Runner() as second:
        for _ in range(2):
            with pytest.raises(WrongLoop):
                second.run(called(call, producer))
        with pytest.raises(WrongLoop):
            second.run(producer.close())
    del producer
    assert before.found() == []


async def test_from_another_thread(producer):
    """
    From another thread than the loop's a plain call raises WrongLoop.
    """
    with pytest.raises(WrongLoop, match="SyncProducer"):
        await asyncio.to_thread(producer.enqueue_nowait, "t", b"x")


async def test_start_twice(broker):
    """
    A second start does nothing.
    """
    producer = AsyncProducer(broker.bootstrap_servers)
    await producer.start()
    await producer.start()
    await producer.send("t", b"x")
    await producer.close()


async def test_start_at_once_from_many_tasks(broker):
    """
    Of many starts at a time one connects, and all return when it has.
    """
    producer = AsyncProducer(broker.bootstrap_servers)
    await asyncio.gather(*(producer.start() for _ in range(10)))
    await producer.send("t", b"x")
    await producer.close()


async def test_failed_start_fails_for_all_who_wait():
    """
    Of many starts at a time that fail each raises the typed error.
    """
    [port] = free_ports(1)
    producer = AsyncProducer(f"127.0.0.1:{port}")
    found = await asyncio.gather(*(producer.start() for _ in range(5)), return_exceptions=True)

    assert [ConnectionFailed] * 5 == [type(one) for one in found]


async def test_cancelled_start_is_taken_over(broker):
    """
    Where the task that starts is cancelled, another that waits for it starts instead.
    """
    producer = AsyncProducer(broker.bootstrap_servers)
    first = asyncio.create_task(producer.start())
    second = asyncio.create_task(producer.start())
    await asyncio.sleep(0)
    first.cancel()
    await second

    assert first.cancelled()
    await producer.send("t", b"x")
    await producer.close()


@pytest.mark.parametrize("turns", range(8))
async def test_start_cancelled_at_any_point(broker, turns):
    """
    A start that is cancelled at any moment leaves nothing, and can be repeated.
    """
    producer = AsyncProducer(broker.bootstrap_servers)
    starting = asyncio.create_task(producer.start())
    for _ in range(turns):
        await asyncio.sleep(0)
    starting.cancel()
    await asyncio.wait([starting])
    if starting.cancelled():
        assert other_tasks() == []
    async with asyncio.timeout(5), producer:
        await producer.send("t", b"x")


@pytest.mark.parametrize("turns", range(6))
async def test_close_during_start(broker, turns):
    """
    A close ends a start that is under way: it raises ProducerClosed, and nothing is left.
    """
    producer = AsyncProducer(broker.bootstrap_servers)
    starting = asyncio.create_task(producer.start())
    for _ in range(turns):
        await asyncio.sleep(0)
    await producer.close()
    [outcome] = await asyncio.gather(starting, return_exceptions=True)

    assert outcome is None or type(outcome) is ProducerClosed
    with pytest.raises(ProducerClosed):
        producer.enqueue_nowait("t", b"x")
    assert other_tasks() == []


async def test_close_during_hopeless_start():
    """
    A close does not wait for a peer that never answers.
    """
    with socket.create_server(("127.0.0.1", 0)) as deaf:
        producer = AsyncProducer(f"127.0.0.1:{deaf.getsockname()[1]}")
        starting = asyncio.create_task(producer.start())
        await asyncio.sleep(0.05)
        async with asyncio.timeout(2):
            await producer.close()
            with pytest.raises(ProducerClosed):
                await starting


def http(_request):
    return Raw(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n")


PEERS = {
    "closes at once": lambda _: Close(),
    "speaks HTTP": http,
    "says nothing": lambda _: Silence(),
    "huge length": lambda _: Raw(b"\x7f\xff\xff\xff" + b"x" * 100),
    "negative length": lambda _: Raw(b"\xff\xff\xff\xff" + b"x" * 100),
    "empty frame": lambda _: Raw(b"\0\0\0\0"),
    "half an answer": lambda _: Raw(b"\0\0\0\x20abc"),
    "wrong correlation": lambda _: Raw(b"\0\0\0\x0a" + b"\x11" * 10),
    "garbage": lambda _: Raw(bytes(range(256)) * 8),
    "TLS alert": lambda _: Raw(b"\x15\x03\x01\x00\x02\x02\x46"),
}


@pytest.mark.parametrize("peer", PEERS.values(), ids=PEERS.keys())
async def test_peer_that_is_not_kafka(peer):
    """
    A peer that is no Kafka broker makes the start fail in time, by a typed error, and nothing
    is left: no task, socket or thread.
    """
    with ScriptedBroker(script={ApiKey.API_VERSIONS: peer}) as script:
        before = Leftovers()
        producer = AsyncProducer(script.bootstrap_servers, socket_connection_setup_timeout_ms=300)
        with pytest.raises(ConnectionFailed) as caught:
            async with asyncio.timeout(5), producer:
                raise AssertionError
        assert other_tasks() == []
        script.hang_up()
        assert before.found() == []

    assert script.bootstrap_servers in str(caught.value)
    assert caught.value.address == script.bootstrap_servers
    with pytest.raises(NotStarted):
        producer.enqueue_nowait("t", b"x")


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
async def test_nobody_listens(host):
    """
    Where nothing listens the start fails at once and names the address; nothing is left.
    """
    before = Leftovers()
    [port] = free_ports(1)
    producer = AsyncProducer(f"{host}:{port}")
    async with asyncio.timeout(5):
        with pytest.raises(ConnectionFailed, match=f"{host}:{port}"):
            await producer.start()

    assert other_tasks() == []
    assert before.found() == []


async def test_host_without_address():
    """
    A host name that does not exist fails the start by the typed error, with the name.
    """
    producer = AsyncProducer("no-such-host.invalid:9092")
    async with asyncio.timeout(20):
        with pytest.raises(ConnectionFailed, match=r"no-such-host\.invalid"):
            await producer.start()


async def test_host_that_is_no_name():
    """
    A host that no resolver takes fails the start by the typed error, and at once.
    """
    try:
        producer = AsyncProducer("a" * 70 + ".example:9092")
    except ProducerError:
        return
    async with asyncio.timeout(5):
        with pytest.raises(ConnectionFailed):
            await producer.start()


async def test_one_good_bootstrap_server_is_enough(broker):
    """
    Dead bootstrap servers before a live one do not matter.
    """
    ports = free_ports(2)
    servers = [f"127.0.0.1:{port}" for port in ports] + [broker.bootstrap_servers]
    async with asyncio.timeout(10), AsyncProducer(servers) as producer:
        await producer.send("t", b"x")


async def test_start_after_failed_start():
    """
    A start that failed can be repeated, and works once a broker listens.
    """
    from pyproducer.broker import Broker

    [port] = free_ports(1)
    producer = AsyncProducer(f"127.0.0.1:{port}")
    for _ in range(2):
        with pytest.raises(ConnectionFailed):
            await producer.start()
    with Broker({"t": 1}, port=port):
        async with asyncio.timeout(10), producer:
            assert (await producer.send("t", b"x")).offset == 0


def test_start_on_another_loop_after_failed_start(broker):
    """
    After a failed start the producer belongs to no loop: another one may start it.
    """
    [port] = free_ports(1)
    producer = AsyncProducer(f"127.0.0.1:{port}")
    with pytest.raises(ConnectionFailed):
        asyncio.run(producer.start())
    with pytest.raises(ConnectionFailed):
        asyncio.run(producer.start())


async def test_close_twice(broker):
    """
    A second close does nothing, at the same time or later.
    """
    producer = AsyncProducer(broker.bootstrap_servers)
    await producer.start()
    await asyncio.gather(producer.close(), producer.close(), producer.close())
    await producer.close()


async def test_never_closed(broker):
    """
    A started producer that is dropped warns; one that was never started does not.
    """
    producer = AsyncProducer(broker.bootstrap_servers)
    await producer.start()
    lifecycle = producer._lifecycle
    with pytest.warns(ResourceWarning, match="never closed"):
        del producer
        gc.collect()
    await lifecycle.close(None)


async def test_body_error_is_not_masked(broker, caplog):
    """
    What the block raises is what its caller sees; the closing's own complaint is logged.
    """
    with pytest.raises(ZeroDivisionError):
        async with AsyncProducer(broker.bootstrap_servers) as producer:
            producer.enqueue_nowait("one", b"x", partition=7)
            raise ZeroDivisionError

    assert "while closing after ZeroDivisionError: 1 records failed" in caplog.text


async def test_failed_enter_runs_no_body():
    """
    Where the start fails the block is not entered, and the error is the start's.
    """
    [port] = free_ports(1)
    entered = []
    with pytest.raises(ConnectionFailed):
        async with AsyncProducer(f"127.0.0.1:{port}"):
            entered.append(1)

    assert entered == []


async def test_open_and_close_many_times(broker):
    """
    Opening, sending and closing again and again leaves no task, socket or thread.
    """
    before = Leftovers()
    for _ in range(30):
        async with AsyncProducer(broker.bootstrap_servers, compression_type="gzip") as producer:
            await producer.send("t", b"x" * 50_000)

    assert other_tasks() == []
    assert before.found() == []


def test_interrupted_program_loses_nothing(tmp_path):
    """
    Ctrl-C in the block: what was queued is delivered before the program ends.
    """
    from pyproducer.broker import Broker

    with Broker({"one": 1}) as broker:
        program = textwrap.dedent(f"""
            import asyncio
            from pyproducer import AsyncProducer

            async def main():
                async with AsyncProducer({broker.bootstrap_servers!r}, linger_ms=None) as producer:
                    for number in range(1000):
                        await producer.enqueue("one", str(number))
                    print("ready", flush=True)
                    await asyncio.sleep(60)

            asyncio.run(main())
        """)
        with subprocess.Popen(
            [sys.executable, "-c", program], stdout=subprocess.PIPE, stderr=subprocess.PIPE
        ) as child:
            assert child.stdout.readline() == b"ready\n"
            child.send_signal(signal.SIGINT)
            _, complaint = child.communicate(timeout=20)

        assert b"KeyboardInterrupt" in complaint
        assert len(broker.records("one")) == 1000


@pytest.mark.parametrize("timeout", [-1, float("nan"), "5", True, [1]])
async def test_timeout_that_is_no_time(producer, timeout):
    """
    A timeout that is no time is refused before anything is done.
    """
    from pyproducer import UsageError

    delivery = producer.enqueue_nowait("one", b"x")
    with pytest.raises(UsageError, match="timeout"):
        await producer.close(timeout)
    with pytest.raises(UsageError, match="timeout"):
        await producer.flush(timeout)
    await producer.flush()

    assert delivery.result().offset == 0


def test_no_warning_in_a_whole_life(broker):
    """
    A whole life with every warning an error, in a process of its own: nothing is said.
    """
    program = textwrap.dedent(f"""
        import asyncio
        from pyproducer import AsyncProducer

        async def main():
            async with AsyncProducer({broker.bootstrap_servers!r}, compression_type="lz4") as p:
                await p.send("t", b"x" * 100_000)
                p.enqueue_nowait("t", b"y")

        asyncio.run(main(), debug=True)
    """)
    done = subprocess.run(
        [sys.executable, "-X", "dev", "-W", "error", "-c", program],
        capture_output=True,
        timeout=30,
        check=False,
        env={**os.environ, "PYTHONASYNCIODEBUG": "1"},
    )

    assert (done.returncode, done.stderr) == (0, b"")


def test_import_does_not_warn():
    """
    The import alone starts nothing.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        before = threading.active_count()
        import pyproducer  # noqa: F401

        assert threading.active_count() == before
    assert time.monotonic() > 0
