"""Connections: order, framing, and peers that do not speak Kafka."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import socket
import struct
import threading

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pyproducer.broker import Broker
from pyproducer.protocol.frame import decode_response_header, encode_request
from pyproducer.protocol.messages.api_versions import ApiVersionsRequest
from pyproducer.protocol.messages.fetch import FetchPartition, FetchRequest, FetchTopic
from pyproducer.protocol.messages.metadata import MetadataRequest
from pyproducer.protocol.messages.produce import (
    PartitionProduceData,
    ProduceRequest,
    TopicProduceData,
)
from tests.helpers.partition_logs import batch
from tests.helpers.virtual_time import VirtualTime
from tests.helpers.wire_client import WireClient

HOSTILE = {
    "garbage": b"\x7f\x45\x4c\x46" + bytes(range(256)),
    "http": b"GET / HTTP/1.1\r\nHost: broker\r\n\r\n",
    "tls": bytes.fromhex("16030100c8010000c40303") + bytes(190),
    "negative size": struct.pack(">i", -1),
    "beyond the limit": struct.pack(">i", 104857601),
    "no header": struct.pack(">i", 3) + b"abc",
    "unknown api": struct.pack(">ihhih", 10, 999, 0, 1, -1),
    "unknown version": struct.pack(">ihhih", 10, 3, 99, 1, -1),
    "produce v2": struct.pack(">ihhih", 10, 0, 2, 1, -1),
    "broker's own api": struct.pack(">ihhih", 10, 4, 0, 1, -1),
    "client id beyond the frame": struct.pack(">ihhih", 10, 3, 1, 1, 500),
    "array of two billion": struct.pack(">ihhihi", 14, 3, 1, 1, -1, 0x7FFFFFFF),
}


@pytest.mark.parametrize("data", HOSTILE.values(), ids=HOSTILE)
def test_hostile_bytes_close_their_connection_only(broker: Broker, client: WireClient, data: bytes):
    """
    C2, T2: whatever is no request ends the connection it came on, and no other.
    """
    with WireClient(broker.bootstrap_servers) as hostile:
        hostile.socket.sendall(data)

        assert hostile.is_closed()
    assert client.ask(MetadataRequest(topics=None), 1).topics


def test_truncated_frame_and_disconnect_leave_the_broker_well(broker: Broker, client: WireClient):
    """
    A client that dies in the middle of a request leaves nothing behind in the log.
    """
    whole = b"".join(encode_request(MetadataRequest(), 9, 1, "x"))
    for end in (1, 4, 5, len(whole) - 1):
        with WireClient(broker.bootstrap_servers) as cut:
            cut.socket.sendall(whole[:end])

    assert client.produce("orders", batch()).base_offset == 0


@pytest.mark.parametrize("turns", range(5))
async def test_connection_accepted_while_the_broker_stops(turns: int):
    """
    A client that comes in the very turn in which the broker stops is disconnected, not forgotten.
    """
    broker, ready = Broker(), asyncio.Event()
    task = asyncio.create_task(broker.serve(on_ready=lambda _: ready.set()))
    await ready.wait()
    with socket.create_connection((broker.host, broker.port), timeout=5) as client:
        for _ in range(turns):
            await asyncio.sleep(0)
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task
        gc.collect()
        with contextlib.suppress(ConnectionResetError):
            assert client.recv(1) == b""


@given(data=st.binary(min_size=1, max_size=200), framed=st.booleans())
@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_random_bytes_never_stop_the_broker(broker: Broker, data: bytes, framed: bool):
    """
    F1: after any bytes at all, the next client is served.
    """
    with WireClient(broker.bootstrap_servers) as hostile:
        hostile.socket.sendall(struct.pack(">i", len(data)) + data if framed else data)
        hostile.socket.shutdown(socket.SHUT_WR)
        hostile.is_closed()
    with WireClient(broker.bootstrap_servers) as polite:
        assert polite.ask(ApiVersionsRequest(), 0).error_code == 0


def test_good_requests_before_a_broken_one_are_answered(broker: Broker, client: WireClient):
    """
    A stream that breaks after a request still gets that request's answer.
    """
    good = b"".join(encode_request(MetadataRequest(topics=None), 1, 7, "x"))
    client.socket.sendall(good + b"GET / HTTP/1.1\r\n\r\n")

    correlation_id, _ = decode_response_header(client.receive_frame(), 3, 1)
    assert correlation_id == 7
    assert client.is_closed()


def test_c1_pipelined_requests_are_answered_in_order(client: WireClient):
    """
    C1: a fetch that waits holds up the answers behind it, and they come in order.
    """
    waiting = FetchRequest(
        max_wait_ms=200,
        min_bytes=1,
        topics=[
            FetchTopic(
                topic="orders", partitions=[FetchPartition(partition=0, partition_max_bytes=1000)]
            )
        ],
    )
    client.send(waiting, 11)
    for _ in range(50):
        client.send(MetadataRequest(topics=None), 1)

    assert client.receive().responses[0].topic == "orders"
    for _ in range(50):
        assert client.receive().topics


def produce_frame(correlation_id: int, *, acks: int = 1, topic: str = "orders") -> bytes:
    """A Produce request of one batch."""
    part = PartitionProduceData(index=0, records=batch())
    data = TopicProduceData(name=topic, partition_data=[part])
    request = ProduceRequest(acks=acks, timeout_ms=5000, topic_data=[data])
    return b"".join(encode_request(request, 9, correlation_id, "x"))


def test_requests_answered_at_once_keep_their_place_among_those_that_are_not(client: WireClient):
    """
    C1: Produce, which needs no waiting, does not overtake what came before it on the connection.
    """
    metadata = b"".join(encode_request(MetadataRequest(topics=None), 1, 2, "x"))
    # Alone first: the connection's worker has to be there for what follows.
    client.socket.sendall(produce_frame(0))
    answers = [client.receive_frame()]
    client.socket.sendall(produce_frame(1) + metadata + produce_frame(3) + produce_frame(4))
    answers += [client.receive_frame() for _ in range(4)]

    assert [0, 1, 2, 3, 4] == [int.from_bytes(answer[:4], "big") for answer in answers]


@pytest.mark.parametrize("broken", ["acks=0", "cut off"])
def test_nothing_behind_a_produce_request_that_closes_its_connection_is_done(
    broker: Broker, client: WireClient, broken: str
):
    """
    C2: the requests behind one that ends the connection are not worked on, in whatever piece.
    """
    bad = produce_frame(2, acks=0, topic="missing")
    if broken == "cut off":
        bad = struct.pack(">i", len(bad) - 34) + bad[4:-30]
    client.socket.sendall(produce_frame(0))
    client.receive_frame()
    before = broker.records("orders", 0)
    client.socket.sendall(produce_frame(1) + bad + produce_frame(3))

    assert int.from_bytes(client.receive_frame()[:4], "big") == 1
    assert client.is_closed()
    assert len(broker.records("orders", 0)) == len(before) * 2


def test_more_requests_than_fit_the_queue_are_all_answered(client: WireClient):
    """
    Reading pauses while enough requests wait, and goes on afterwards.
    """
    count = 12
    payload = batch(value=b"x" * 500_000)

    def send() -> None:
        for _ in range(count):
            client.send(_produce(payload), 9)

    sender = threading.Thread(target=send)
    sender.start()
    # The first answer may come before its request is entered as sent.
    sender.join()
    offsets = [
        client.receive().responses[0].partition_responses[0].base_offset for _ in range(count)
    ]

    assert list(range(count)) == offsets


def test_client_that_does_not_read_is_not_buffered_for(broker: Broker, client: WireClient):
    """
    Answers to a client that reads nothing stay bounded, and the other clients are served.
    """
    for _ in range(4):
        client.produce("orders", batch(value=b"x" * 1_000_000))
    fetch = FetchRequest(
        topics=[
            FetchTopic(
                topic="orders",
                partitions=[FetchPartition(partition=0, partition_max_bytes=50_000_000)],
            )
        ]
    )
    with WireClient(broker.bootstrap_servers) as lazy:
        for _ in range(30):
            lazy.send(fetch, 11)
        assert client.ask(MetadataRequest(topics=None), 1).topics
        before = broker._node().metrics.topic("orders").bytes_out

        # 30 answers of 4 MB: all but what sockets and one answer hold are still to be made.
        assert before < 30 * 4_000_000
        sizes = {len(lazy.receive().responses[0].partitions[0].records) for _ in range(30)}
    assert len(sizes) == 1


def test_connections_beyond_the_limit_are_closed():
    """
    max.connections: one more than allowed is closed at once, the others stay.
    """
    with (
        Broker(config={"max.connections": "1"}) as broker,
        WireClient(broker.bootstrap_servers) as first,
    ):
        assert first.ask(ApiVersionsRequest(), 0).error_code == 0
        with WireClient(broker.bootstrap_servers) as second:
            assert second.is_closed()
        assert first.ask(ApiVersionsRequest(), 0).error_code == 0


def test_silent_connections_are_closed_and_waiting_ones_are_not():
    """
    connections.max.idle.ms: silence closes a connection, a fetch that waits keeps it.
    """
    clock = VirtualTime()
    with (
        Broker({"orders": 1}, clock=clock) as broker,
        WireClient(broker.bootstrap_servers) as silent,
        WireClient(broker.bootstrap_servers) as waiting,
    ):
        assert silent.ask(ApiVersionsRequest(), 0).error_code == 0
        assert waiting.ask(ApiVersionsRequest(), 0).error_code == 0
        part = FetchPartition(partition=0, partition_max_bytes=1000)
        topics = [FetchTopic(topic="orders", partitions=[part])]
        waiting.send(FetchRequest(max_wait_ms=900_000, min_bytes=1, topics=topics), 11)
        while not broker._node().partition("orders", 0).watches:
            threading.Event().wait(0.005)
        clock.pass_time(700)

        assert silent.is_closed()
        with WireClient(broker.bootstrap_servers) as writer:
            writer.produce("orders", batch(time=clock.wall_ms()))
        assert len(waiting.receive().responses[0].partitions[0].records)


def test_memory_of_a_large_request_is_used_for_the_next(broker: Broker, client: WireClient):
    """
    What one large request was received into is kept once it is answered, and holds the next one.
    """
    for _ in range(4):
        assert client.produce("orders", batch(value=bytes(100_000))).error_code == 0

    assert 100_000 < broker._run().server.pool.size < 200_000


def _produce(payload: bytes) -> ProduceRequest:
    return ProduceRequest(
        acks=1,
        timeout_ms=5000,
        topic_data=[
            TopicProduceData(
                name="orders", partition_data=[PartitionProduceData(index=0, records=payload)]
            )
        ],
    )
