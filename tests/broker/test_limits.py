"""Limits of connections and their memory, over real sockets."""

from __future__ import annotations

import socket
import struct
import threading
from pathlib import Path

import pytest

from pyproducer.broker import Broker, Listener
from pyproducer.errors import ConfigError
from pyproducer.protocol.frame import encode_request
from pyproducer.protocol.messages.api_versions import ApiVersionsRequest
from pyproducer.protocol.messages.fetch import FetchPartition, FetchRequest, FetchTopic
from pyproducer.protocol.messages.metadata import MetadataRequest
from tests.bench.meters import resident_bytes
from tests.helpers.admin_requests import BROKER, SET, alter_configs_by
from tests.helpers.broker_process import BrokerProcess
from tests.helpers.partition_logs import batch
from tests.helpers.statement_servers import eventually
from tests.helpers.virtual_time import VirtualTime
from tests.helpers.wire_client import WireClient


def is_served(client: WireClient) -> bool:
    return client.ask(ApiVersionsRequest(), 0).error_code == 0


def connect_from(broker: Broker, address: str) -> WireClient:
    """A client whose own address is another one of this machine."""
    client = WireClient.__new__(WireClient)
    client.socket = socket.create_connection(
        ("127.0.0.1", broker.port), timeout=10, source_address=(address, 0)
    )
    client._client_id, client._correlation_id, client._sent = "wire", 0, []
    return client


def test_connections_of_one_address_are_limited():
    """
    max.connections.per.ip: one more from an address is closed, another address is served, and room
    comes back when one leaves.
    """
    with Broker(config={"max.connections.per.ip": "2"}) as broker:
        with (
            WireClient(broker.bootstrap_servers) as first,
            WireClient(broker.bootstrap_servers) as second,
        ):
            assert is_served(first)
            assert is_served(second)
            with WireClient(broker.bootstrap_servers) as third:
                assert third.is_closed()
            with connect_from(broker, "127.0.0.2") as other:
                assert is_served(other)
            assert is_served(first)
        broker.wait_until(lambda state: not state.connections)
        with WireClient(broker.bootstrap_servers) as again:
            assert is_served(again)
        assert {"max.connections.per.ip": 1} == broker.state().rejected_connections


def test_exceptions_to_the_limit_of_an_address():
    """
    max.connections.per.ip.overrides: the address has a limit of its own, and both can change while
    the broker runs.
    """
    config = {
        "max.connections.per.ip": "0",
        "max.connections.per.ip.overrides": "127.0.0.1:2, ::1:5",
    }
    with (
        Broker(config=config) as broker,
        WireClient(broker.bootstrap_servers) as first,
        connect_from(broker, "127.0.0.2") as other,
    ):
        assert is_served(first)
        assert other.is_closed()
        changed = alter_configs_by(
            first,
            BROKER,
            "",
            ("max.connections.per.ip.overrides", SET, "127.0.0.2:1"),
        )
        assert changed.error_code == 0
        with (
            connect_from(broker, "127.0.0.2") as other,
            WireClient(broker.bootstrap_servers) as more,
        ):
            assert is_served(other)
            assert more.is_closed()
        assert is_served(first)


@pytest.mark.parametrize("value", ["localhost:5", "127.0.0.1", "127.0.0.1:x", "127.0.0.1:-1", ":5"])
def test_exceptions_that_are_none_are_refused(value: str):
    """
    An override without an address or a count is told, with the way out.
    """
    with pytest.raises(ConfigError, match=r"such as 127\.0\.0\.1:10"):
        Broker(config={"max.connections.per.ip.overrides": value})


def test_connections_that_come_too_fast_are_taken_up_later():
    """
    max.connection.creation.rate: all that come within a window's worth are served at once, and one
    beyond is served once it is its time.
    """
    clock = VirtualTime()
    config = {
        "max.connection.creation.rate": "1",
        "quota.window.num": "3",
        "quota.window.size.seconds": "1",
    }
    with Broker(config=config, clock=clock) as broker:
        clients = [WireClient(broker.bootstrap_servers) for _ in range(3)]
        try:
            # Two whole samples are the least that a rate is of.
            assert [True, True] == [is_served(one) for one in clients[:2]]
            late = clients[2]
            late.send(ApiVersionsRequest(), 0)
            late.socket.settimeout(0.3)
            with pytest.raises(TimeoutError):
                late.socket.recv(1, socket.MSG_PEEK)
            late.socket.settimeout(10)
            broker.tick(seconds=1)

            assert late.receive().error_code == 0
        finally:
            for one in clients:
                one.socket.close()
        assert {} == broker.state().rejected_connections


def test_more_than_may_wait_to_be_taken_up_are_refused():
    """
    max.connection.creation.rate: as in an accept queue, there is room for so many and no more.
    """
    config = {"max.connection.creation.rate": "1", "socket.listen.backlog.size": "3"}
    clock = VirtualTime()
    with Broker(config=config | {"quota.window.num": "2"}, clock=clock) as broker:
        clients = [WireClient(broker.bootstrap_servers) for _ in range(1)]
        assert is_served(clients[0])
        clients += [WireClient(broker.bootstrap_servers) for _ in range(3)]
        broker.wait_until(lambda state: len(state.connections) == 4)
        with WireClient(broker.bootstrap_servers) as refused:
            assert refused.is_closed()
        for one in clients:
            one.socket.close()
        assert {"max.connection.creation.rate": 1} == broker.state().rejected_connections


def large_frames(count: int, size: int) -> bytes:
    """Requests of about that size each, which an ApiVersions answer belongs to."""
    [*frame] = encode_request(MetadataRequest(topics=[]), 1, 7, "x" * size)
    return b"".join(frame) * count


def test_requests_beyond_the_memory_are_served_all_the_same():
    """
    queued.max.request.bytes: twenty clients with more than the limit at once are all answered, and
    so is one request that is larger than the limit.
    """
    config = {"queued.max.request.bytes": "100000"}
    value = b"v" * 300_000
    with Broker({"orders": 1}, config=config) as broker:
        failed: list[BaseException] = []

        def produce() -> None:
            try:
                with WireClient(broker.bootstrap_servers) as client:
                    for _ in range(3):
                        assert client.produce("orders", batch(value=value)).error_code == 0
            except BaseException as error:
                failed.append(error)

        threads = [threading.Thread(target=produce) for _ in range(20)]
        for one in threads:
            one.start()
        for one in threads:
            one.join()

        assert [] == failed
        assert 60 == len(broker.records("orders"))
        broker.wait_until(lambda state: not state.connections)
        memory = broker._run().server.memory
        assert memory is not None
        assert 0 == memory.held


def test_requests_that_do_not_come_to_an_end_keep_nobody_waiting():
    """
    queued.max.request.bytes: with the memory full of parts of requests whose rest does not come,
    others are served in turn.
    """
    with Broker({"orders": 1}, config={"queued.max.request.bytes": "50000"}) as broker:
        lazy = []
        for _ in range(3):
            client = WireClient(broker.bootstrap_servers)
            client.socket.sendall(struct.pack(">i", 90_000) + bytes(20_000))
            lazy.append(client)
        memory = broker._run().server.memory
        assert memory is not None
        eventually(lambda: memory.held >= 50_000)
        with WireClient(broker.bootstrap_servers) as client:
            assert client.produce("orders", batch(value=b"v" * 80_000)).error_code == 0
        for one in lazy:
            one.socket.close()
        broker.wait_until(lambda state: not state.connections)
        assert 0 == memory.held


def test_announced_bytes_take_no_memory(tmp_path: Path):
    """
    C2: a hundred clients that announce 100 MB each, and send ten bytes, cost a few MB in all.
    """
    with BrokerProcess({"orders": 1}, data_dir=tmp_path / "data") as broker:
        with WireClient(broker.bootstrap_servers) as client:
            # What large frames leave behind must not go to who only announces them either.
            for _ in range(20):
                client.produce("orders", batch(value=b"x" * 1_000_000))
            before = resident_bytes(broker.pid)
            clients = []
            for _ in range(100):
                slow = WireClient(broker.bootstrap_servers)
                slow.socket.sendall(struct.pack(">i", 100_000_000) + bytes(10))
                clients.append(slow)
            for slow in clients[:50]:
                slow.socket.sendall(bytes(40_000))
            assert client.produce("orders", batch()).error_code == 0
            held = resident_bytes(broker.pid) - before
        for slow in clients:
            slow.socket.close()
    assert held < 20_000_000


def test_client_that_does_not_read_is_cut_off_in_time():
    """
    slow_reader_timeout: who reads nothing of an answer is disconnected, who waits for one is not.
    """
    clock = VirtualTime()
    config = {"socket.send.buffer.bytes": "16384"}
    with Broker({"orders": 1}, config=config, clock=clock, slow_reader_timeout=20) as broker:
        with WireClient(broker.bootstrap_servers) as client:
            for _ in range(8):
                client.produce("orders", batch(value=b"x" * 900_000))
        with (
            WireClient(broker.bootstrap_servers) as slow,
            WireClient(broker.bootstrap_servers) as patient,
        ):
            slow.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 16384)
            part = FetchPartition(partition=0, partition_max_bytes=50_000_000)
            slow.send(FetchRequest(topics=[FetchTopic(topic="orders", partitions=[part])]), 11)
            slow.receive_exactly(100)
            assert is_served(patient)
            clock.pass_time(25)
            state = broker.wait_until(lambda state: state.closed_connections)

            assert {"slow reader": 1} == state.closed_connections
            assert is_served(patient)


@pytest.mark.parametrize("seconds", [0, -1, float("nan"), True, "5"])
def test_slow_reader_timeout_is_a_span(seconds: object):
    """
    slow_reader_timeout takes seconds above 0, or None.
    """
    with pytest.raises(ConfigError, match="slow_reader_timeout"):
        Broker(slow_reader_timeout=seconds)


def test_slow_reader_timeout_behind_that_of_idle_clients():
    """
    slow_reader_timeout: where whoever does not read is gone before, it is refused.
    """
    with pytest.raises(ConfigError, match=r"after connections\.max\.idle\.ms, 600 s"):
        Broker(slow_reader_timeout=600)
    Broker(slow_reader_timeout=600, config={"connections.max.idle.ms": "-1"})


def test_listener_has_limits_of_its_own():
    """
    listener.name.NAME.max.connections: one more there is closed, and another listener is served.
    """
    listeners = [Listener(name="INSIDE"), Listener(name="OUTSIDE")]
    config = {"listener.name.outside.max.connections": "1"}
    with (
        Broker(listeners=listeners, config=config) as broker,
        WireClient(broker.bootstrap_servers_of("OUTSIDE")) as first,
    ):
        assert is_served(first)
        with WireClient(broker.bootstrap_servers_of("OUTSIDE")) as second:
            assert second.is_closed()
        with (
            WireClient(broker.bootstrap_servers_of("INSIDE")) as one,
            WireClient(broker.bootstrap_servers_of("INSIDE")) as other,
        ):
            assert is_served(one)
            assert is_served(other)
        assert {"listener.name.outside.max.connections": 1} == broker.state().rejected_connections


def test_listener_has_a_rate_of_its_own():
    """
    listener.name.NAME.max.connection.creation.rate: one too many waits there, and nowhere else.
    """
    listeners = [Listener(name="INSIDE"), Listener(name="OUTSIDE")]
    config = {"listener.name.outside.max.connection.creation.rate": "1", "quota.window.num": "2"}
    clock = VirtualTime()
    with (
        Broker(listeners=listeners, config=config, clock=clock) as broker,
        WireClient(broker.bootstrap_servers_of("OUTSIDE")) as first,
        WireClient(broker.bootstrap_servers_of("OUTSIDE")) as second,
        WireClient(broker.bootstrap_servers_of("INSIDE")) as inside,
        WireClient(broker.bootstrap_servers_of("INSIDE")) as other,
    ):
        assert is_served(first)
        assert is_served(inside)
        assert is_served(other)
        second.send(ApiVersionsRequest(), 0)
        second.socket.settimeout(0.3)
        with pytest.raises(TimeoutError):
            second.socket.recv(1, socket.MSG_PEEK)
        second.socket.settimeout(10)
        broker.tick(seconds=1)

        assert second.receive().error_code == 0


def test_authentication_timeout_without_authentication():
    """
    authentication_timeout: where nobody has to say who he is, a limit of time for it is refused.
    """
    with pytest.raises(ConfigError, match="no listener speaks SASL"):
        Broker(authentication_timeout=20)
    Broker(authentication_timeout=None)


def test_client_that_does_not_say_who_it_is_is_cut_off():
    """
    authentication_timeout: on a SASL listener time runs from the connection on, whatever is said.
    """
    clock = VirtualTime()
    with (
        Broker(
            security="SASL_PLAINTEXT",
            users={"alice": "secret"},
            clock=clock,
            authentication_timeout=20,
        ) as broker,
        WireClient(broker.bootstrap_servers) as client,
    ):
        assert is_served(client)
        clock.pass_time(15)
        broker.tick(seconds=1)
        assert {} == broker.state().closed_connections
        clock.pass_time(10)
        state = broker.wait_until(lambda state: state.closed_connections)

        assert {"not authenticated": 1} == state.closed_connections
        assert client.is_closed()
