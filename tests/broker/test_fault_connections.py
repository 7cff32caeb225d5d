"""Faults that are no error codes: answers lost, late or cut, a broker that stands still or fills."""

from __future__ import annotations

import socket
import struct
import threading
import time

import pytest

from pyproducer.broker import Broker
from pyproducer.errors import ConfigError
from pyproducer.protocol.error_codes import ErrorCode
from pyproducer.protocol.messages.api_versions import ApiVersionsRequest
from pyproducer.protocol.messages.create_topics import CreatableTopic, CreateTopicsRequest
from pyproducer.protocol.messages.fetch import FetchPartition, FetchRequest, FetchTopic
from pyproducer.protocol.messages.metadata import MetadataRequest, MetadataRequestTopic
from tests.helpers.faulty_disk import FaultyFileSystem
from tests.helpers.partition_logs import batch
from tests.helpers.wire_client import WireClient

FETCH = FetchRequest(
    max_wait_ms=60_000,
    min_bytes=1,
    topics=[
        FetchTopic(
            topic="orders", partitions=[FetchPartition(partition=0, partition_max_bytes=1000)]
        )
    ],
)


def silent(client: WireClient) -> bool:
    """Return whether nothing comes from the broker for a moment."""
    client.socket.settimeout(0.05)
    try:
        return client.socket.recv(1, socket.MSG_PEEK) is None  # it never is: something came
    except TimeoutError:
        return True
    finally:
        client.socket.settimeout(10)


def leader(client: WireClient, topic: str = "orders", index: int = 0):
    """Return the partition's part of the metadata."""
    request = MetadataRequest(topics=[MetadataRequestTopic(name=topic)])
    return client.ask(request, 9).topics[0].partitions[index]


def test_dropped_response(broker: Broker, client: WireClient):
    """
    The batch is in the log, its answer never comes, and the connection serves what follows.
    """
    from tests.broker.test_faults import requests

    fault = broker.faults.drop_response("Produce")
    client.send(requests()[0], 9)
    fault.wait()
    assert silent(client)
    assert 1 == len(broker.records("orders"))

    client._sent.clear()
    assert 0 == client.produce("orders", batch()).error_code
    assert (1, False) == (fault.hits, fault.active)


def test_delayed_answer(broker: Broker, client: WireClient):
    """
    The work is done at once and the answer comes later; other connections do not wait.
    """
    from tests.broker.test_faults import requests

    fault = broker.faults.delay("Produce", 0.3)
    begun = time.monotonic()
    client.send(requests()[0], 9)
    broker.wait_for("orders")
    with WireClient(broker.bootstrap_servers) as other:
        assert leader(other).leader_id == 1

    assert 0 == client.receive().responses[0].partition_responses[0].error_code
    assert time.monotonic() - begun >= 0.3
    assert fault.active
    assert 1 == fault.hits


@pytest.mark.parametrize(("after", "arrives"), [(0, 0), (5, 5), (10**9, -1), (None, -2)])
def test_cut_answer(broker: Broker, after: int | None, arrives: int):
    """
    As much of the answer as asked for arrives, never all, and then the connection is closed.
    """
    fault = broker.faults.cut("Metadata", after_bytes=after)
    request = MetadataRequest(topics=[MetadataRequestTopic(name="orders")])
    with WireClient(broker.bootstrap_servers) as client:
        client.send(request, 9)
        got = b"".join(iter(lambda: client.socket.recv(1 << 16), b""))
        fault.wait()
    with WireClient(broker.bootstrap_servers) as client:
        client.send(request, 9)
        whole = struct.pack(">i", len(frame := client.receive_frame())) + frame

    expected = {-1: len(whole) - 1, -2: len(whole) // 2}.get(arrives, arrives)
    assert len(got) == expected
    assert got == whole[:expected]
    assert not fault.active


def test_throttle_tells_and_holds_to_it(broker: Broker, client: WireClient):
    """
    The answer comes at once with its throttle time; the next request on the connection waits.
    """
    fault = broker.faults.throttle("ApiVersions", 300)
    begun = time.monotonic()
    assert 300 == client.ask(ApiVersionsRequest(), 1).throttle_time_ms
    # Version 0 has no throttle time; the connection is muted all the same.
    assert 0 == client.ask(ApiVersionsRequest(), 1).throttle_time_ms

    assert time.monotonic() - begun >= 0.3
    assert 1 == fault.hits


def test_throttle_of_a_version_without_the_field(broker: Broker, client: WireClient):
    """
    An answer too old to tell its throttle time is sent as ever, and the connection is muted.
    """
    broker.faults.throttle("ApiVersions", 200)
    begun = time.monotonic()
    assert 0 == client.ask(ApiVersionsRequest(), 0).error_code
    assert 0 == client.ask(ApiVersionsRequest(), 0).error_code

    assert time.monotonic() - begun >= 0.2


def test_close_connections(broker: Broker, client: WireClient):
    """
    All connections go at once, also one that waits for records, and new ones are served.
    """
    client.send(FETCH, 11)
    with WireClient(broker.bootstrap_servers) as other:
        assert other.ask(ApiVersionsRequest(), 0).error_code == 0
        fault = broker.faults.close_connections()

        assert client.is_closed()
        assert other.is_closed()
    assert (2, False) == (fault.hits, fault.active)
    with WireClient(broker.bootstrap_servers) as fresh:
        assert fresh.ask(ApiVersionsRequest(), 0).error_code == 0


def test_paused_broker_does_nothing_and_goes_on(broker: Broker, client: WireClient):
    """
    Nothing is answered or done, to old and new connections, and all of it after resume.
    """
    from tests.broker.test_faults import requests

    client.send(FETCH, 11)
    while not broker._node().partition("orders", 0).watches:
        threading.Event().wait(0.005)
    with WireClient(broker.bootstrap_servers) as writer:
        assert 0 == writer.ask(ApiVersionsRequest(), 0).error_code
        fault = broker.faults.pause()
        writer.send(requests()[0], 9)
        fault.wait()
        with WireClient(broker.bootstrap_servers) as late:
            late.send(ApiVersionsRequest(), 0)
            fault.wait(2)
            assert silent(late)
            assert silent(writer)
            assert [] == broker.records("orders")

            assert 1 == broker.faults.resume()
            assert 0 == late.receive().error_code
        assert 0 == writer.receive().responses[0].partition_responses[0].error_code
    assert len(client.receive().responses[0].partitions[0].records)
    assert () == broker.faults.active


def test_answer_of_work_under_way_waits_for_resume(broker: Broker, client: WireClient):
    """
    A request that the broker was at when it was paused gets its answer afterwards.
    """
    from tests.broker.test_faults import requests

    delay = broker.faults.delay("Produce", 0.05, times=1)
    client.send(requests()[0], 9)
    delay.wait()
    with broker.faults.pause() as pause:
        pause.wait()
        assert silent(client)

    assert 0 == client.receive().responses[0].partition_responses[0].error_code


def test_a_paused_broker_can_be_stopped(client: WireClient, broker: Broker):
    """
    stop does not wait for resume.
    """
    broker.faults.pause()
    client.send(ApiVersionsRequest(), 0)
    broker.stop()

    assert client.is_closed()


def test_leaderless_partition(broker: Broker, client: WireClient):
    """
    Metadata has no leader, requests are turned away, the other partitions are served.
    """
    fault = broker.faults.leaderless("orders", 1)
    told = leader(client, index=1)

    assert (-1, ErrorCode.LEADER_NOT_AVAILABLE) == (told.leader_id, told.error_code)
    assert [1] == told.replica_nodes
    assert 1 == leader(client, index=0).leader_id
    assert 6 == client.produce("orders", batch(), partition=1).error_code
    assert 0 == client.produce("orders", batch(), partition=0).error_code
    assert [0] == [record.partition for record in broker.records("orders")]
    assert 1 == fault.hits


def test_leader_comes_back_in_a_new_epoch(broker: Broker, client: WireClient):
    """
    With the leader back its epoch is higher, for good, and those who hold the old one are told.
    """
    before = leader(client).leader_epoch
    for turn in range(1, 3):
        broker.faults.leaderless("orders", 0).cancel()
        assert before + turn == leader(client).leader_epoch
    assert before == leader(client, index=1).leader_epoch
    assert 0 == client.produce("orders", batch()).error_code
    request = FETCH.replace()
    request.topics = [
        FetchTopic(topic="orders", partitions=[FetchPartition(current_leader_epoch=before)])
    ]
    answer = client.ask(request, 11)

    assert ErrorCode.FENCED_LEADER_EPOCH == answer.responses[0].partitions[0].error_code


def test_waiting_fetch_is_told_that_the_leader_went(broker: Broker, client: WireClient):
    """
    A fetch that waits for records does not wait for those of a partition without a leader.
    """
    client.send(FETCH, 11)
    while not broker._node().partition("orders", 0).watches:
        threading.Event().wait(0.005)
    fault = broker.faults.leaderless("orders")

    answer = client.receive()
    assert ErrorCode.NOT_LEADER_OR_FOLLOWER == answer.responses[0].partitions[0].error_code
    assert 1 == fault.hits


def test_leader_epoch_does_not_go_back_at_a_restart(tmp_path):
    """
    Clients remember the highest epoch, so the next start of the broker begins above it.
    """
    with Broker({"orders": 1}, data_dir=tmp_path) as broker:
        for _ in range(5):
            broker.faults.leaderless("orders").cancel()
        with WireClient(broker.bootstrap_servers) as client:
            highest = leader(client).leader_epoch
    with (
        Broker({"orders": 1}, data_dir=tmp_path) as broker,
        WireClient(broker.bootstrap_servers) as client,
    ):
        assert leader(client).leader_epoch > highest


@pytest.mark.parametrize("fs", [None, FaultyFileSystem()], ids=["own", "given"])
def test_full_disk(fs):
    """
    Nothing can be written, what is there can be read, and with room again all goes on.
    """
    with Broker({"orders": 1}, fs=fs) as broker, WireClient(broker.bootstrap_servers) as client:
        assert 0 == client.produce("orders", batch()).error_code
        new = CreateTopicsRequest(
            topics=[CreatableTopic(name="new", num_partitions=1, replication_factor=1)]
        )
        with broker.faults.disk_full() as fault:
            with broker.faults.disk_full():
                assert 56 == client.produce("orders", batch()).error_code
            answer = client.produce("orders", batch())
            assert 56 == answer.error_code
            assert "No space left" in answer.error_message
            assert 56 == client.ask(new, 5).topics[0].error_code
            assert 1 == len(broker.records("orders"))
            assert fault.hits >= 2

        assert 1 == client.produce("orders", batch()).base_offset
        assert 0 == client.ask(new, 5).topics[0].error_code


def test_disk_that_is_full_before_the_start():
    """
    A broker that starts on a full disk says so.
    """
    broker = Broker({"orders": 1})
    fault = broker.faults.disk_full()
    with pytest.raises(OSError, match="No space left"):
        broker.start()
    fault.cancel()
    with broker:
        assert [] == broker.records("orders")


def test_forgotten_producers(broker: Broker, client: WireClient):
    """
    A repeated batch is recognised, and after forget_producers it is not.
    """
    one = batch(producer=(7, 0, 0))
    assert [0, 0] == [client.produce("orders", one).base_offset for _ in range(2)]
    assert 0 == broker.faults.forget_producers("orders", 1).hits
    assert 0 == client.produce("orders", one).base_offset
    fault = broker.faults.forget_producers("orders")

    assert (1, False) == (fault.hits, fault.active)
    assert 1 == client.produce("orders", one).base_offset
    with pytest.raises(ConfigError, match="has no orders"):
        broker.faults.forget_producers("orders", 9)


def test_refused_unknown_producers(broker: Broker, client: WireClient):
    """
    A producer that is not known begins with 0 or is refused; without the fault, anything goes.
    """
    with broker.faults.refuse_unknown_producers("orders") as fault:
        assert 59 == client.produce("orders", batch(producer=(7, 0, 5))).error_code
        assert 0 == client.produce("orders", batch(producer=(7, 0, 0))).error_code
        assert 0 == client.produce("orders", batch(producer=(7, 0, 1))).error_code
        assert 0 == client.produce("orders", batch()).error_code
        assert 59 == client.produce("orders", batch(producer=(8, 0, 2))).error_code
        assert 2 == fault.hits

    assert 0 == client.produce("orders", batch(producer=(8, 0, 2))).error_code
