"""Connections to names of several addresses, some of which do not work."""

from __future__ import annotations

import asyncio
import socket
import subprocess
import sys
import textwrap
import time

import pytest

from pyproducer import AsyncProducer, ConnectionFailed, DeliveryTimeout
from pyproducer.broker import Broker
from tests.helpers.network import Names, black_hole, resolver_threads, silent_listener
from tests.helpers.processes import free_ports
from tests.helpers.source_tree import ROOT

#: Where the broker of a test listens, and addresses of the same machine where it does not.
LIVE, DEAD, OTHER = "127.0.0.3", "127.0.0.2", "127.0.0.4"


@pytest.fixture
def names(monkeypatch: pytest.MonkeyPatch) -> Names:
    """A name service of the test's own."""
    return Names(monkeypatch)


async def one_record(servers: str, **options) -> int:
    """Send a record within a time that one whole attempt to connect would not fit into."""
    options = {"socket_connection_setup_timeout_ms": 30_000} | options
    async with asyncio.timeout(15), AsyncProducer(servers, **options) as producer:
        return (await producer.send("t", b"x")).offset


async def test_address_that_refuses(names):
    """
    Where the first address of a name refuses, the next one is used in the same attempt.
    """
    with Broker({"t": 1}, host=LIVE) as broker:
        names["kafka"] = [DEAD, OTHER, LIVE]
        assert 0 == await one_record(f"kafka:{broker.port}")


async def test_address_that_swallows(names):
    """
    Addresses of hosts that are gone cost a moment, not the attempt.
    """
    with (
        Broker({"t": 1}, host=LIVE) as broker,
        black_hole(DEAD, broker.port),
        black_hole(OTHER, broker.port),
    ):
        names["kafka"] = [DEAD, OTHER, LIVE]
        assert 0 == await one_record(f"kafka:{broker.port}")


async def test_address_that_accepts_and_is_silent(names):
    """
    An address that accepts but does not speak has its share of the time, and the next one the rest.
    """
    with Broker({"t": 1}, host=LIVE) as broker, silent_listener(DEAD, broker.port):
        names["kafka"] = [DEAD, LIVE]
        servers = f"kafka:{broker.port}"
        assert 0 == await one_record(servers, socket_connection_setup_timeout_ms=3000)


@pytest.mark.parametrize("listening", ["::1", "127.0.0.1"])
@pytest.mark.parametrize("order", [["::1", "127.0.0.1"], ["127.0.0.1", "::1"]])
async def test_localhost_of_both_families(names, listening, order):
    """
    A name with an IPv4 and an IPv6 address works though the broker listens at one of them alone.
    """
    names["localhost"] = order
    with Broker({"t": 1}, host=listening) as broker:
        assert 0 == await one_record(f"localhost:{broker.port}")


async def test_advertised_name_with_several_addresses(names):
    """
    What holds for bootstrap servers holds for the names that brokers advertise.
    """
    with (
        Broker({"t": 1}, host=LIVE, advertised_host="kafka-1") as broker,
        black_hole(DEAD, broker.port),
    ):
        names["kafka-1"] = [DEAD, LIVE]
        assert 0 == await one_record(f"{LIVE}:{broker.port}")

    assert names.asked


async def test_one_connection_is_left(names):
    """
    Of all addresses that accept, the first to answer is used, and the others are closed.
    """
    with Broker({"t": 1}, host=LIVE) as broker, Broker({"t": 1}, host=DEAD, port=broker.port):
        names["kafka"] = [DEAD, LIVE]
        assert 0 == await one_record(f"kafka:{broker.port}")


async def test_peer_that_is_gone_is_noticed_while_idle(names):
    """
    Connections have TCP's keepalive, so that a dead peer or a forgetful NAT is found out before
    a record is lost in it; and no delay of small packets.
    """
    with Broker({"t": 1}, host=LIVE) as broker:
        async with AsyncProducer(broker.bootstrap_servers) as producer:
            await producer.send("t", b"x")
            pool = producer._runner._pool
            socks = [one._transport.get_extra_info("socket") for one in pool._sockets]
            kept = {one.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE) for one in socks}
            prompt = {one.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY) for one in socks}
            idle = {one.getsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE) for one in socks}

    assert len(socks) == 2
    assert ({1}, {1}, {60}) == (kept, prompt, idle)


async def test_loop_that_is_kept_from_running():
    """
    A program that keeps its loop from running for longer than an attempt may take, while the broker
    has answered for long, is connected all the same.
    """
    loop = asyncio.get_running_loop()
    loop.slow_callback_duration = 10
    with Broker({"t": 1}) as broker:
        for pause in (0.0, 0.001, 0.002, 0.005):
            loop.call_later(pause, time.sleep, 1)
            options = {"socket_connection_setup_timeout_ms": 400, "max_block_ms": 400}
            await one_record(broker.bootstrap_servers, **options)


async def test_error_names_every_address(names):
    """
    Where no address can be used, the error has each with its own reason.
    """
    [port] = free_ports(1)
    names["kafka"] = [DEAD, LIVE, OTHER]
    options = {"socket_connection_setup_timeout_ms": 600}
    with (
        black_hole(DEAD, port),
        silent_listener(LIVE, port),
        pytest.raises(ConnectionFailed) as caught,
    ):
        await one_record(f"kafka:{port}", **options)

    text = str(caught.value)
    assert f"kafka:{port}: " in text
    assert f"{DEAD}: did not accept the connection within 0.6 s" in text
    assert f"{LIVE}: accepted the connection and did not answer within 0.6 s" in text
    assert f"{OTHER}: Connection refused" in text


async def test_single_address_is_not_named_twice():
    """
    The reason for an address that was given as such does not repeat it.
    """
    [port] = free_ports(1)
    with pytest.raises(ConnectionFailed, match=rf"\(127\.0\.0\.1:{port}: Connection refused\)"):
        await one_record(f"127.0.0.1:{port}")


async def test_address_behind_the_name_changes(names, tmp_path):
    """
    A broker that comes back at another address of its old name is found there.
    """
    names["kafka"] = [DEAD]
    where = {"data_dir": tmp_path, "advertised_host": "kafka"}
    with Broker({"t": 1}, host=DEAD, **where) as broker:
        port = broker.port
        producer = AsyncProducer(f"kafka:{port}", linger_ms=0)
        await producer.start()
        await producer.send("t", b"before")
    delivery = producer.enqueue_nowait("t", b"meanwhile")
    with Broker({"t": 1}, host=LIVE, port=port, **where) as broker:
        names["kafka"] = [LIVE]
        async with asyncio.timeout(15):
            await delivery
            await producer.close()
        values = [record.value for record in broker.records("t")]

    assert values == [b"before", b"meanwhile"]


async def test_name_that_does_not_exist(names):
    """
    A name without an address fails the start with a text that says so.
    """
    names["kafka"] = []
    with pytest.raises(ConnectionFailed, match="'kafka' cannot be resolved: Name or service not"):
        await one_record("kafka:9092")


async def test_name_service_that_fails_for_a_while(names, tmp_path):
    """
    A name that cannot be resolved is a broker that cannot be reached: it is tried again, what is
    queued is delivered after, and what runs out before says why.
    """
    names["kafka"] = [LIVE]
    where = {"data_dir": tmp_path, "advertised_host": "kafka", "host": LIVE}
    options = {"delivery_timeout_ms": 600, "request_timeout_ms": 500, "linger_ms": 0}
    with Broker({"t": 1}, **where) as broker:
        port = broker.port
        producer = AsyncProducer(f"kafka:{port}", **options)
        await producer.start()
        await producer.send("t", b"x")
        names["kafka"] = []
    with Broker({"t": 1}, port=port, **where) as broker:
        with pytest.raises(DeliveryTimeout):
            await producer.send("t", b"never")
        with pytest.raises(DeliveryTimeout, match="'kafka' cannot be resolved"):
            await producer.send("unheard-of", b"never")
        names["kafka"] = [LIVE]
        async with asyncio.timeout(15):
            while True:
                try:
                    await producer.send("t", b"y")
                    break
                except DeliveryTimeout:
                    continue
        await producer.close()
        values = [record.value for record in broker.records("t")]

    assert values == [b"x", b"y"]


async def test_name_service_that_is_silent(names):
    """
    A lookup that hangs holds neither the loop nor a thread for each attempt, and is named.
    """
    names["kafka"] = [LIVE]
    names.hold.clear()
    producer = AsyncProducer(
        "kafka:9092",
        socket_connection_setup_timeout_ms=100,
        reconnect_backoff_ms=1,
        reconnect_backoff_max_ms=1,
    )
    for _ in range(3):
        with pytest.raises(ConnectionFailed, match=r"looking 'kafka' up took longer than 0\.\d+ s"):
            await producer.start()
    # One for each start: the earlier ones' resolvers are gone.
    assert len(resolver_threads()) <= 3
    names.hold.set()


def test_silent_name_service_does_not_hold_the_exit_up():
    """
    A program ends though a lookup that its producer began does not.
    """
    program = """
        import asyncio, socket, time
        from pyproducer import AsyncProducer, ConnectionFailed

        socket.getaddrinfo = lambda *arguments, **options: time.sleep(60)

        async def main():
            try:
                await AsyncProducer("kafka:9092", socket_connection_setup_timeout_ms=200).start()
            except ConnectionFailed:
                print("failed in time")

        asyncio.run(main())
    """
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(program)],
        capture_output=True,
        text=True,
        timeout=40,
        cwd=ROOT,
        check=False,
    )

    assert (done.stdout, done.returncode) == ("failed in time\n", 0)
    assert done.stderr.splitlines() == [
        "no connection to kafka:9092: looking 'kafka' up took longer than 0.2 s"
    ]
