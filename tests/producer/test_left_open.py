"""Producers that nobody closes: dropped, or left to the end of the program."""

from __future__ import annotations

import asyncio
import socket
import subprocess
import sys
import textwrap
import time

import pytest

from pyproducer import AsyncProducer, ConnectionFailed, UnknownTopic
from pyproducer.broker import Broker


def run(program: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run a program as users do, in a process of its own."""
    return subprocess.run(
        [sys.executable, "-c", textwrap.dedent(program), *arguments],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_dropped_as_the_loop_ends():
    """
    A producer dropped with the program's last coroutine brings each record to an outcome, and the
    callbacks hear of it.
    """
    with Broker(topics={"o": 1}) as broker:
        done = run(
            """
            import asyncio, sys
            from pyproducer import AsyncProducer

            async def main():
                producer = AsyncProducer(sys.argv[1], linger_ms=60_000, batch_max_records=50)
                await producer.start()
                for number in range(120):
                    await producer.enqueue(
                        "o", str(number), on_delivery=lambda one: print(one.exception() is None)
                    )

            asyncio.run(main())
            """,
            broker.bootstrap_servers,
        )
        stored = len(broker.records("o"))

    told = done.stdout.split()
    assert done.returncode == 0, done.stderr
    assert len(told) == 120
    assert told.count("True") <= stored


def test_left_to_the_end_of_the_program():
    """
    Records of a producer whose loop has ended fail, and the log says how many.
    """
    with Broker(topics={"o": 1}) as broker:
        done = run(
            """
            import asyncio, sys
            from pyproducer import AsyncProducer

            producer = AsyncProducer(sys.argv[1], linger_ms=60_000)

            async def main():
                await producer.start()
                await producer.enqueue("o", "one")
                await producer.enqueue("o", "two")

            asyncio.run(main())
            """,
            broker.bootstrap_servers,
        )

    assert done.returncode == 0
    assert "2 record(s) to o-" in done.stderr


def test_broker_and_producer_left_open(tmp_path):
    """
    At the program's end the producer delivers to the broker of the same process, which ends after.
    """
    done = run(
        """
        import sys
        from pyproducer import SyncProducer
        from pyproducer.broker import Broker

        broker = Broker(topics={"o": 2}, data_dir=sys.argv[1])
        broker.start()
        producer = SyncProducer(broker.bootstrap_servers, linger_ms=500)
        producer.send("o", "one", partition=0)
        producer.enqueue("o", "two", partition=1)
        """,
        str(tmp_path),
    )
    assert (done.returncode, done.stderr) == (0, "")
    with Broker(data_dir=tmp_path) as broker:
        values = [record.value for record in broker.records("o")]

    assert values == [b"one", b"two"]


def test_temporary_broker_left_open():
    """
    A broker that is left open ends without a word, before its temporary folder goes.
    """
    done = run(
        """
        from pyproducer import SyncProducer
        from pyproducer.broker import Broker

        broker = Broker(topics={"o": 2})
        broker.start()
        SyncProducer(broker.bootstrap_servers).send("o", "one")
        """
    )

    assert (done.returncode, done.stderr) == (0, "")


async def test_start_is_bounded():
    """
    Servers that accept and stay silent hold a start up for max_block_ms, or for one attempt to
    connect where that is longer, however many they are.
    """
    silent = [socket.create_server(("127.0.0.1", 0)) for _ in range(3)]
    try:
        servers = ",".join("{}:{}".format(*one.getsockname()) for one in silent)
        producer = AsyncProducer(servers, max_block_ms=0, socket_connection_setup_timeout_ms=3000)
        began = time.monotonic()
        with pytest.raises(ConnectionFailed, match="no answer within 3000 ms"):
            await producer.start()
        assert time.monotonic() - began < 8
    finally:
        for one in silent:
            one.close()


async def test_missing_topic_is_told_as_such_whatever_runs_out():
    """
    With any timeout the error for a topic that does not exist says that it does not.
    """
    with Broker() as broker:
        async with AsyncProducer(
            broker.bootstrap_servers,
            max_block_ms=300,
            delivery_timeout_ms=900,
            request_timeout_ms=800,
        ) as producer:
            with pytest.raises(UnknownTopic, match="does not exist"):
                await producer.send("nope", b"v")
            with pytest.raises(UnknownTopic, match="knows no topic"):
                await producer.partitions_for("nix")


async def test_level_goes_with_its_codec():
    """
    A topic that names the producer's own codec is compressed at the producer's level.
    """
    text = "".join(f"{number * number} " for number in range(2000))
    sizes = {}
    with Broker(topics={"plain": 1, "named": 1}) as broker:
        for topic in ("plain", "named"):
            async with AsyncProducer(
                broker.bootstrap_servers, compression_type="zstd", compression_level=19
            ) as producer:
                codec = "zstd" if topic == "named" else None
                await producer.topic(topic, compression_type=codec).send(text)
                sizes[topic] = producer.metrics().bytes_sent
                await asyncio.sleep(0)

    assert sizes["named"] == sizes["plain"]
