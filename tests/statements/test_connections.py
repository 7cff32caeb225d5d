"""Connections: order of answers, frames, and what a client may call itself (C1 to C3)."""

from __future__ import annotations

import struct

import pytest

from pyproducer.protocol.error_codes import ErrorCode
from pyproducer.protocol.frame import decode_response_header, encode_request
from pyproducer.protocol.messages.api_versions import ApiVersionsRequest, ApiVersionsResponse
from pyproducer.protocol.messages.fetch import FetchPartition, FetchRequest, FetchTopic
from pyproducer.protocol.messages.metadata import MetadataRequest
from pyproducer.protocol.messages.produce import (
    PartitionProduceData,
    ProduceRequest,
    TopicProduceData,
)
from tests.helpers.statement_servers import Server
from tests.helpers.wire_client import WireClient
from tests.statements.conftest import Servers

E = ErrorCode

METADATA = MetadataRequest(topics=[])


def fetch(topic: str, *, max_wait_ms: int) -> FetchRequest:
    """Wait for records of partition 0."""
    parts = [FetchPartition(partition=0, partition_max_bytes=1 << 20)]
    topics = [FetchTopic(topic=topic, partitions=parts)]
    return FetchRequest(min_bytes=1, max_wait_ms=max_wait_ms, topics=topics)


def named(name: str, version: str = "1.0") -> ApiVersionsRequest:
    return ApiVersionsRequest(client_software_name=name, client_software_version=version)


def test_c1_answers_come_in_the_order_of_the_requests(server: Server, client: WireClient):
    """
    C1: what is pipelined behind a fetch that waits is answered after it, and in order.
    """
    topic = server.topic()
    client.send(fetch(topic, max_wait_ms=500), 11)
    for _ in range(20):
        client.send(METADATA, 9)
    # Each is what the oldest request without an answer asked for.
    first, *others = [client.receive() for _ in range(21)]

    assert topic == first.responses[0].topic
    assert all(one.brokers for one in others)


def test_c1_one_request_of_a_connection_at_a_time(server: Server, client: WireClient):
    """
    C1: a Produce behind a fetch that waits for its records is not begun: the fetch waits its time.
    """
    topic = server.topic()
    client.send(fetch(topic, max_wait_ms=300), 11)
    part = PartitionProduceData(index=0, records=server.batch(b"value"))
    data = TopicProduceData(name=topic, partition_data=[part])
    client.send(ProduceRequest(acks=-1, timeout_ms=5000, topic_data=[data]), 9)
    waited = client.receive().responses[0].partitions[0]
    produced = client.receive().responses[0].partition_responses[0]

    assert (0, 0) == (len(waited.records), waited.error_code)
    assert (0, 0) == (produced.base_offset, produced.error_code)


def test_c1_another_connection_is_not_held_up(server: Server, client: WireClient):
    """
    C1: requests of other connections are served while one waits, and end its wait.
    """
    topic = server.topic()
    client.send(fetch(topic, max_wait_ms=15_000), 11)
    with server.connect() as other:
        assert other.produce(topic, server.batch(b"value")).error_code == 0

    assert len(client.receive().responses[0].partitions[0].records)


@pytest.mark.parametrize("size", [-1, -(2**31), 104857601, 2**31 - 1])
def test_c2_impossible_size_closes_the_connection(server: Server, client: WireClient, size: int):
    """
    C2: a frame whose size is negative, or beyond socket.request.max.bytes, ends the connection.
    """
    with server.connect() as hostile:
        hostile.socket.sendall(struct.pack(">i", size) + bytes(64))

        assert hostile.is_closed()
    assert client.ask(METADATA, 9).controller_id >= 0


def test_c2_limit_is_a_setting(servers: Servers):
    """
    C2: a request of socket.request.max.bytes is served, one of a byte more is not.
    """
    server = servers.shared({"socket.request.max.bytes": "4096"})
    for size, served in ((4096, True), (4097, False)):
        with server.connect() as client:
            # A long client id makes up the size.
            [*frame] = encode_request(METADATA, 9, 7, "")
            room = size - (sum(map(len, frame)) - 4)
            data = b"".join(encode_request(METADATA, 9, 7, "x" * room))
            assert len(data) == size + 4
            client.socket.sendall(data)

            if served:
                assert (7).to_bytes(4, "big") == client.receive_frame()[:4]
            else:
                assert client.is_closed()


@pytest.mark.parametrize("version", [1, 9], ids=["header without tags", "header with tags"])
def test_c2_null_client_id_is_a_name_like_any(server: Server, version: int):
    """
    C2: a client without a name is served, in requests with and without tags in their header.
    """
    with server.connect(client_id=None) as nameless:
        assert nameless.ask(METADATA, version).brokers


def test_c2_tags_of_a_request_header_are_skipped(client: WireClient):
    """
    C2: the header of a flexible version has tagged fields, and unknown ones are no matter.
    """
    plain = b"".join(encode_request(METADATA, 9, 7, "x"))
    head = 4 + 8 + 2 + 1
    assert plain[head] == 0
    # Two fields: numbers 5 and 900, of 3 bytes and of none.
    tags = b"\x02" + b"\x05\x03abc" + b"\x84\x07\x00"
    data = plain[4:head] + tags + plain[head + 1 :]
    client.socket.sendall(struct.pack(">i", len(data)) + data)

    assert (7).to_bytes(4, "big") == client.receive_frame()[:4]


@pytest.mark.parametrize("version", [3, 4])
@pytest.mark.parametrize(
    ("name", "number"),
    [("", "1"), ("x", ""), ("-x", "1"), ("x", "1-"), ("a b", "1"), ("a_b", "1"), ("x", "1.0 ")],
)
def test_c3_software_that_calls_itself_wrongly_is_refused(
    client: WireClient, version: int, name: str, number: str
):
    """
    C3: a software name or version of other signs, or with a dash or dot at an end, gets 42.
    """
    answer = client.ask(named(name, number), version)

    assert (E.INVALID_REQUEST, []) == (answer.error_code, answer.api_keys)
    # The connection goes on.
    assert client.ask(named("apache-kafka-java", "4.1.0"), version).error_code == 0


@pytest.mark.parametrize("name", ["x", "librdkafka", "a.b-c", "0", "A9"])
def test_c3_names_that_are_fine(client: WireClient, name: str):
    """
    C3: letters, digits, and dashes and dots between them make a name; before version 3 none is told.
    """
    assert 0 == client.ask(named(name, "2.1-rc.1"), 3).error_code
    assert 0 == client.ask(ApiVersionsRequest(), 2).error_code


def test_c2_unknown_version_of_api_versions_gets_a_version_to_ask_in(client: WireClient):
    """
    C2: it is answered in version 0 with error 35 and at least the range of ApiVersions itself.
    """
    client.socket.sendall(struct.pack(">ihhih", 14, 18, 77, 5, -1) + b"\x00\xff\xff\xff")
    correlation_id, body = decode_response_header(client.receive_frame(), 18, 0)
    answer = ApiVersionsResponse.decode(body, 0)
    ranges = {one.api_key: (one.min_version, one.max_version) for one in answer.api_keys}

    assert (5, E.UNSUPPORTED_VERSION) == (correlation_id, answer.error_code)
    assert ranges[18] >= (0, 4)
    assert client.ask(ApiVersionsRequest(), 0).error_code == 0


@pytest.mark.parametrize(
    "frame",
    [
        pytest.param(struct.pack(">hhih", 999, 0, 1, -1), id="unknown api"),
        pytest.param(struct.pack(">hhih", 3, 99, 1, -1), id="unknown version"),
        pytest.param(struct.pack(">hhihi", 3, 1, 1, -1, 0x7FFFFFFF), id="impossible array"),
        pytest.param(struct.pack(">hhih", 3, 1, 1, 500), id="client id beyond the frame"),
        pytest.param(b"abc", id="no header"),
    ],
)
def test_c2_what_is_no_request_closes_the_connection(
    server: Server, client: WireClient, frame: bytes
):
    """
    C2: an unknown API or version, and a body that cannot be read, end the connection, not others.
    """
    with server.connect() as hostile:
        hostile.socket.sendall(struct.pack(">i", len(frame)) + frame)

        assert hostile.is_closed()
    assert client.ask(METADATA, 9).brokers
