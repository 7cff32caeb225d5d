"""The TCP fault proxy of the tests: each of its faults, as a client meets it."""

from __future__ import annotations

import socket
import subprocess
import sys
import time

import pytest

from pyproducer import SyncProducer
from pyproducer.broker import Broker
from pyproducer.protocol.api import ApiKey
from pyproducer.protocol.messages.api_versions import ApiVersionsRequest
from pyproducer.protocol.messages.metadata import MetadataRequest
from tests.helpers.fault_proxy import FaultProxy
from tests.helpers.partition_logs import batch
from tests.helpers.request_trap import RequestTrap
from tests.helpers.source_tree import ROOT
from tests.helpers.wire_client import WireClient


@pytest.fixture
def broker():
    """A broker that tells its clients to come through the proxy."""
    with Broker({"orders": 1}) as running:
        yield running


@pytest.fixture
def proxy(broker: Broker):
    """The proxy before the broker."""
    with FaultProxy(broker.bootstrap_servers) as running:
        broker._node().advertise(running.port)
        yield running


def served(client: WireClient) -> bool:
    return client.ask(ApiVersionsRequest(), 0).error_code == 0


def silent(client: WireClient) -> bool:
    """Return whether nothing comes for a moment."""
    client.socket.settimeout(0.1)
    with pytest.raises(TimeoutError):
        client.socket.recv(1, socket.MSG_PEEK)
    client.socket.settimeout(10)
    return True


def turned_away(proxy: FaultProxy) -> bool:
    """Return whether a new connection ends at once, maybe while it is made."""
    try:
        with WireClient(proxy.address) as client:
            return client.is_closed()
    except ConnectionError:
        return True


def test_it_passes_everything_on(broker: Broker, proxy: FaultProxy):
    """
    Without a fault it is as if it were not there, for several connections at once.
    """
    value = bytes(300_000)
    with WireClient(proxy.address) as one, WireClient(proxy.address) as two:
        for client in (one, two):
            assert 0 == client.produce("orders", batch(value=value)).error_code
        assert (2, 2) == (proxy.connections, proxy.accepted)

    assert [value, value] == [record.value for record in broker.records("orders")]


@pytest.mark.parametrize(("direction", "held"), [("up", 0), ("down", 1), ("both", 0)])
def test_hold(broker: Broker, proxy: FaultProxy, direction: str, held: int):
    """
    What is held one way does not arrive before heal; the other way is open.
    """
    with WireClient(proxy.address) as client:
        assert served(client)
        proxy.hold(direction)
        client.send(MetadataRequest(topics=None), 1)
        assert silent(client)
        before = 3 in broker._node().metrics.requests
        proxy.heal()

        assert client.receive().topics
    assert bool(held) == before


def test_delay_and_rate(proxy: FaultProxy):
    """
    Bytes come later, and no faster than they may.
    """
    with WireClient(proxy.address) as client:
        assert served(client)
        begun = time.monotonic()
        proxy.delay(0.15)
        assert served(client)
        assert time.monotonic() - begun >= 0.3

        proxy.heal()
        proxy.rate(100_000, "up")
        begun = time.monotonic()
        client.produce("orders", batch(value=bytes(30_000)))
        assert served(client)
        assert time.monotonic() - begun >= 0.3


def test_cut(broker: Broker, proxy: FaultProxy):
    """
    An answer or a request breaks off after the bytes allowed, once.
    """
    with WireClient(proxy.address) as client:
        proxy.cut(10, "down")
        client.send(ApiVersionsRequest(), 0)

        assert 10 == len(b"".join(iter(lambda: client.socket.recv(100), b"")))
    with WireClient(proxy.address) as client:
        proxy.cut(40, "up")
        with pytest.raises(ConnectionError):
            client.produce("orders", batch())
    with WireClient(proxy.address) as client:
        assert served(client)
    assert [] == broker.records("orders")


@pytest.mark.parametrize("way", ["reset", "close"])
def test_ending_connections(proxy: FaultProxy, way: str):
    """
    All connections end, with RST or FIN, and new ones are served.
    """
    with WireClient(proxy.address) as one, WireClient(proxy.address) as two:
        assert served(one)
        assert served(two)
        assert 2 == getattr(proxy, way)()
        for client in (one, two):
            if way == "reset":
                with pytest.raises(ConnectionResetError):
                    client.socket.recv(1)
            else:
                assert b"" == client.socket.recv(1)
    with WireClient(proxy.address) as client:
        assert served(client)


def test_refuse(proxy: FaultProxy):
    """
    New connections are reset and old ones stay.
    """
    with WireClient(proxy.address) as old:
        assert served(old)
        proxy.refuse()
        assert turned_away(proxy)
        assert served(old)
        proxy.heal()
        with WireClient(proxy.address) as new:
            assert served(new)


def test_broker_that_is_not_there(broker: Broker, proxy: FaultProxy):
    """
    Connections to a broker that is down end at once.
    """
    broker.stop()

    assert turned_away(proxy)


def test_producer_behind_it(broker: Broker, proxy: FaultProxy):
    """
    A producer that goes through the proxy gets over lost answers, cuts and resets.
    """
    options = {"retry_backoff_ms": 5, "retry_backoff_max_ms": 20, "request_timeout_ms": 200}
    with SyncProducer(proxy.address, **options) as producer:
        producer.send("orders", b"0")
        proxy.hold("down")
        held = producer.enqueue("orders", b"1")
        broker.wait_for("orders", 2)
        proxy.reset()
        proxy.heal()
        assert 1 == held.result(10).offset
        proxy.cut(100, "up")
        assert 2 == producer.send("orders", b"2").offset
        proxy.cut(5, "down")
        assert 3 == producer.send("orders", b"3").offset

    assert [b"0", b"1", b"2", b"3"] == [record.value for record in broker.records("orders")]
    assert proxy.accepted >= 5


def test_a_trap_springs_on_one_request(broker: Broker, proxy: FaultProxy):
    """
    Before or after the broker has a request something is done, and the answer passes or does not.
    """
    trap, seen = RequestTrap(), []
    proxy.watch = trap.at(7)

    def end_offset(broker_number: int) -> None:
        seen.append((broker_number, len(broker.records("orders"))))

    with WireClient(proxy.address) as client:
        before = trap.arm(ApiKey.PRODUCE, "before", end_offset)
        assert served(client)
        assert 0 == client.produce("orders", batch(value=b"a")).error_code
        after = trap.arm(ApiKey.PRODUCE, "after", end_offset, deliver=False)
        with pytest.raises(ConnectionError):
            client.produce("orders", batch(value=b"b"))
    with WireClient(proxy.address) as client:
        lost = trap.arm(ApiKey.PRODUCE, "before", end_offset, deliver=False, skip=1)
        assert 0 == client.produce("orders", batch(value=b"c")).error_code
        with pytest.raises(ConnectionError):
            client.produce("orders", batch(value=b"d"))
    with WireClient(proxy.address) as client:
        trap.arm(ApiKey.PRODUCE, "before", end_offset)
        trap.disarm()
        assert 0 == client.produce("orders", batch(value=b"e")).error_code

    assert [7, 7, 7] == [before.broker, after.broker, lost.broker]
    assert [(7, 0), (7, 2), (7, 3)] == seen
    assert [b"a", b"b", b"c", b"e"] == [record.value for record in broker.records("orders")]


def test_by_hand(broker: Broker):
    """
    As a program it obeys commands on standard input, and says what it does not understand.
    """
    program = [sys.executable, "-m", "tests.helpers.fault_proxy", broker.bootstrap_servers]
    with subprocess.Popen(
        program, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        address = process.stdout.readline().strip()
        with WireClient(address) as client:
            assert served(client)

            def order(command: str) -> str:
                process.stdin.write(command + "\n")
                process.stdin.flush()
                return process.stdout.readline()

            assert "ok\n" == order("hold down")
            client.send(ApiVersionsRequest(), 0)
            assert silent(client)
            assert "ok\n" == order("heal")
            assert 0 == client.receive().error_code
            assert "error" in order("explode")
            assert "error" in order("hold sideways")
        process.stdin.close()
