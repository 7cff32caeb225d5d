"""A thousand idle connections, and more connections than the process may open files."""

from __future__ import annotations

import resource
import select
from collections.abc import Iterator
from pathlib import Path

import pytest

from pyproducer.protocol.messages.api_versions import ApiVersionsRequest
from pyproducer.protocol.messages.fetch import FetchPartition, FetchRequest, FetchTopic
from tests.bench.meters import cpu_seconds, resident_bytes
from tests.helpers.broker_process import BrokerProcess
from tests.helpers.partition_logs import batch
from tests.helpers.statement_servers import eventually
from tests.helpers.wire_client import WireClient

#: Files that the broker of the test may open.
FILES = 128


@pytest.fixture(autouse=True)
def many_files() -> Iterator[None]:
    """This process may open a thousand sockets, and its children too."""
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(4096, before[0]), before[1]))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, before)


def ping(client: WireClient) -> bool:
    """The broker answers on this connection."""
    return client.ask(ApiVersionsRequest(), 0).error_code == 0


def answered(bootstrap_servers: str) -> WireClient | None:
    """A new connection on which the broker answers, or none."""
    client = WireClient(bootstrap_servers)
    try:
        ping(client)
    except ConnectionError:
        client.socket.close()
        return None
    return client


def test_thousand_connections_take_little_memory_and_no_time(tmp_path: Path):
    """
    V15: an idle connection takes less than 16 KiB, one that waits for records no time either.
    """
    count = 1000
    with BrokerProcess({"orders": 1}, data_dir=tmp_path / "data") as broker:
        with WireClient(broker.bootstrap_servers) as client:
            ping(client)
        before = resident_bytes(broker.pid)
        clients = []
        for _ in range(count):
            # One by one: more at once than the listener's backlog are tried again a second later.
            clients.append(WireClient(broker.bootstrap_servers))
            assert ping(clients[-1])
        idle = (resident_bytes(broker.pid) - before) / count
        part = FetchPartition(partition=0, partition_max_bytes=1 << 20)
        fetch = FetchRequest(
            max_wait_ms=60_000,
            min_bytes=1,
            topics=[FetchTopic(topic="orders", partitions=[part])],
        )
        for client in clients:
            client.send(fetch, 11)
        with WireClient(broker.bootstrap_servers) as other:
            # What was sent before has been taken up by the time this is answered.
            ping(other)
            used = cpu_seconds(broker.pid)
            assert not select_any(clients, seconds=1.0)
            used = cpu_seconds(broker.pid) - used
            other.produce("orders", batch())
        sizes = {len(client.receive().responses[0].partitions[0].records) for client in clients}
        for client in clients:
            client.socket.close()

    assert idle < 16 * 1024
    assert used < 0.5
    assert {len(batch())} == sizes


def select_any(clients: list[WireClient], *, seconds: float) -> bool:
    """Whether any of the connections has something to read within so many seconds."""
    poll = select.poll()
    for client in clients:
        poll.register(client.socket, select.POLLIN)
    return bool(poll.poll(seconds * 1000))


def test_f6_more_connections_than_files(tmp_path: Path):
    """
    F6: with its files used up the broker serves who is connected, its logs roll, and when others
    leave it takes connections again.
    """
    config = {"log.segment.bytes": "1048576"}
    with BrokerProcess({"orders": 2}, data_dir=tmp_path / "data", config=config) as broker:
        first = WireClient(broker.bootstrap_servers)
        resource.prlimit(broker.pid, resource.RLIMIT_NOFILE, (FILES, FILES))
        tried = [answered(broker.bootstrap_servers) for _ in range(2 * FILES)]
        kept = [client for client in tried if client is not None]
        written = [
            first.produce("orders", batch(value=b"x" * 700_000), partition=1).error_code
            for _ in range(6)
        ]
        still = all(map(ping, kept))
        refused = answered(broker.bootstrap_servers)
        for client in kept[: len(kept) // 2]:
            client.socket.close()
        again = eventually(lambda: answered(broker.bootstrap_servers))
        for client in [first, again, *kept]:
            client.socket.close()

    assert FILES // 2 < len(kept) < FILES
    assert still
    assert [0] * 6 == written
    assert refused is None
