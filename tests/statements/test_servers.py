"""The servers that the tests of statements stand on."""

from __future__ import annotations

import pytest

from tests.helpers.log_files import batches_on_disk
from tests.helpers.statement_servers import KAFKA_LOOKS_SOON, Server, eventually
from tests.statements.conftest import Servers


def write(server: Server, topic: str) -> int:
    """Write a record and return its offset."""
    with server.connect() as client:
        answer = client.produce(topic, server.batch(b"x"))
    assert answer.error_code == 0
    return answer.base_offset


def test_server_of_its_own_comes_back(servers: Servers):
    """
    A server that was stopped or killed comes back at its address with what was acknowledged.
    """
    server = servers.own({"num.partitions": "2"})
    topic = server.topic()
    address = server.bootstrap_servers
    offsets = [write(server, topic)]
    server.restart()
    offsets.append(write(server, topic))
    server.kill()
    server.start()
    offsets.append(write(server, topic))

    assert offsets == [0, 1, 2]
    assert server.bootstrap_servers == address
    assert len(list(batches_on_disk(server.data_dir, topic))) == 3


def test_time_passes_for_a_server_of_its_own(servers: Servers):
    """
    What waits for the clock happens when time has passed.
    """
    server = servers.own({"log.retention.check.interval.ms": "500"}, kafka=KAFKA_LOOKS_SOON)
    topic = server.topic(retention_ms=1000)
    write(server, topic)
    log = server.folder(topic) / f"{0:020}.log"
    assert log.exists()
    server.pass_time(2)
    eventually(lambda: not log.exists())


def test_shared_server_stays(servers: Servers, server: Server):
    """
    Equal properties give the same server, which no test may stop or age.
    """
    other = servers.shared({"num.partitions": "3"})
    assert servers.shared({"num.partitions": "3"}) is other
    assert servers.shared() is server is not other
    for harm in (server.stop, server.kill, server.restart, lambda: other.pass_time(1)):
        with pytest.raises(AssertionError, match=r"servers\.own"):
            harm()
