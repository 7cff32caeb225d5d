"""The client's side of a connection, driven by bytes alone."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pyproducer.errors import ProtocolError, UnsupportedVersion, UsageError
from pyproducer.protocol.api import API, ApiKey
from pyproducer.protocol.connection import ClientConnection
from pyproducer.protocol.error_codes import ErrorCode
from pyproducer.protocol.frame import (
    FrameReader,
    decode_request,
    encode_response,
)
from pyproducer.protocol.messages.api_versions import (
    ApiVersion,
    ApiVersionsRequest,
    ApiVersionsResponse,
    FinalizedFeatureKey,
)
from pyproducer.protocol.messages.heartbeat import HeartbeatRequest
from pyproducer.protocol.messages.metadata import MetadataRequest, MetadataResponse
from pyproducer.protocol.messages.produce import (
    PartitionProduceData,
    ProduceRequest,
    ProduceResponse,
    TopicProduceData,
)

SERVED = {
    ApiKey.PRODUCE: (0, 11),
    ApiKey.METADATA: (0, 12),
    ApiKey.API_VERSIONS: (0, 4),
    ApiKey.HEARTBEAT: (7, 9),
    4242: (0, 0),
}


class Peer:
    """The broker's end: takes requests off the connection and makes the answers' bytes."""

    def __init__(self, connection, newest=4):
        self.connection = connection
        self.reader = FrameReader()
        self.newest = newest

    def requests(self):
        for part in self.connection.data_to_send():
            self.reader.feed(part)
        return [decode_request(frame) for frame in self.reader.frames()]

    def greeting(self, served=SERVED, **more):
        """The answer to the ApiVersions request that is waiting."""
        [(header, _)] = self.requests()
        keys = [
            ApiVersion(api_key=key, min_version=first, max_version=last)
            for key, (first, last) in served.items()
        ]
        if header.api_version > self.newest:
            response = ApiVersionsResponse(error_code=ErrorCode.UNSUPPORTED_VERSION, api_keys=keys)
            return answer(response, 0, header.correlation_id)
        response = ApiVersionsResponse(api_keys=keys, **more)
        return answer(response, header.api_version, header.correlation_id)


def answer(response, version, correlation_id):
    return b"".join(encode_response(response, version, correlation_id))


def connected(served=SERVED):
    connection = ClientConnection("me")
    connection.start()
    peer = Peer(connection)
    connection.receive_data(peer.greeting(served))
    assert connection.ready
    return connection, peer


def produce(records=b"r"):
    partition = PartitionProduceData(records=records)
    return ProduceRequest(topic_data=[TopicProduceData(name="t", partition_data=[partition])])


def test_handshake():
    """The first request is ApiVersions; its answer makes the connection ready."""
    connection = ClientConnection("me", software_version="1.2")
    assert [] == connection.data_to_send()
    connection.start()
    connection.start()
    [(header, request)] = Peer(connection).requests()
    assert (ApiKey.API_VERSIONS, 4, "me") == (
        header.api_key,
        header.api_version,
        header.client_id,
    )
    assert ApiVersionsRequest(client_software_name="pyproducer", client_software_version="1.2") == (
        request
    )
    assert not connection.ready
    response = ApiVersionsResponse(
        api_keys=[ApiVersion(api_key=3, min_version=1, max_version=2)],
        finalized_features=[FinalizedFeatureKey(name="transaction.version", max_version_level=2)],
    )
    connection.receive_data(answer(response, 4, header.correlation_id))
    assert connection.ready
    assert {3: (1, 2)} == connection.versions
    assert {"transaction.version": 2} == connection.features
    assert [] == connection.answers()
    assert 0 == connection.in_flight


@pytest.mark.parametrize("newest", [0, 1, 2, 3])
def test_handshake_with_an_older_broker(newest):
    """Error 35 in version 0 makes the client ask again in a version the broker knows."""
    connection = ClientConnection("me")
    connection.start()
    peer = Peer(connection, newest)
    served = {**SERVED, ApiKey.API_VERSIONS: (0, newest)}
    connection.receive_data(peer.greeting(served))
    assert (None, False) == (connection.error, connection.ready)
    connection.receive_data(peer.greeting(served))
    assert (None, True) == (connection.error, connection.ready)
    assert served == connection.versions


def test_handshake_with_a_broker_that_tells_no_ranges():
    """Error 35 without ranges makes the client fall back to version 0."""
    connection = ClientConnection("me")
    connection.start()
    peer = Peer(connection, newest=0)
    connection.receive_data(peer.greeting({}))
    [(header, _)] = peer.requests()
    assert 0 == header.api_version


def test_handshake_does_not_go_in_circles():
    """A broker that refuses what it says it serves is asked lower and lower, then given up."""
    connection = ClientConnection("me")
    connection.start()
    peer = Peer(connection, newest=-1)
    for _ in range(10):
        if connection.error is None:
            connection.receive_data(peer.greeting(SERVED))
    assert "refuses even version 0" in str(connection.error)


def test_handshake_refused():
    """Any other error code in the first answer is reported by name."""
    connection = ClientConnection("me")
    connection.start()
    connection.data_to_send()
    connection.receive_data(answer(ApiVersionsResponse(error_code=31), 4, 0))
    assert "CLUSTER_AUTHORIZATION_FAILED (31)" in str(connection.error)


@pytest.mark.parametrize("bad", ["", "has space", "-x", "x.", "\u00e4"])
def test_software_name_that_brokers_refuse(bad):
    """A software name or version that would make brokers answer INVALID_REQUEST is refused."""
    with pytest.raises(ValueError, match="no legal client software"):
        ClientConnection("me", software_version=bad)


NOT_KAFKA = [
    (b"HTTP/1.1 400 Bad Request\r\n\r\n", "speaks HTTP, not Kafka"),
    (b"\x15\x03\x03\x00\x02\x02\x46", "speaks TLS"),
    (b"\x00\x00\x00\x02hi", "does not answer as a Kafka broker does"),
    (b"\x00\x00\x00\x08\x00\x00\x00\x09\x00\x00\x00\x00", "does not answer as a Kafka broker"),
    (b"\x00\x00\x00\x08\x00\x00\x00\x00\x00\x00\xff\xff", "does not answer as a Kafka broker"),
]


@pytest.mark.parametrize(("data", "reason"), NOT_KAFKA)
def test_peer_that_is_not_kafka(data, reason):
    """A peer with another protocol is an error that says so, stored and not raised."""
    connection = ClientConnection("me")
    connection.start()
    connection.receive_data(data)
    assert isinstance(connection.error, ProtocolError)
    assert reason in str(connection.error)
    assert not connection.ready


@settings(max_examples=200)
@given(data=st.binary(max_size=300), ready=st.booleans())
def test_random_bytes_never_raise(data, ready):
    """Whatever comes, receive_data stores at most an error."""
    connection = connected()[0] if ready else ClientConnection("me")
    connection.start()
    if ready:
        connection.send(MetadataRequest(), tag=1)
    connection.receive_data(data)
    assert connection.error is None or isinstance(connection.error, ProtocolError)
    assert [] == connection.answers() or connection.error is None


def test_peer_that_closes_before_the_first_answer():
    """End of stream before the versions are known is an error."""
    connection = ClientConnection("me")
    connection.start()
    connection.receive_eof()
    assert "without telling its versions" in str(connection.error)


def test_peer_that_closes_in_the_middle_of_an_answer():
    """End of stream inside a frame is an error; between frames it is none."""
    connection, _ = connected()
    connection.receive_eof()
    assert connection.error is None
    connection.receive_data(b"\x00\x00")
    connection.receive_eof()
    assert "in the middle of an answer" in str(connection.error)


def test_version_is_negotiated_per_api():
    """Each request goes out in the newest version that both sides know."""
    connection, peer = connected()
    assert 11 == connection.send(produce(), tag=1)
    assert 12 == connection.send(MetadataRequest(), tag=2)
    assert 7 == connection.send(produce(), tag=3, newest=7)
    assert [11, 12, 7] == [header.api_version for header, _ in peer.requests()]
    assert 12 == connection.version_for(ApiKey.METADATA)
    assert 9 == connection.version_for(ApiKey.METADATA, 9)
    assert None is connection.version_for(ApiKey.METADATA, -1)
    assert None is connection.version_for(ApiKey.FETCH)
    assert None is connection.version_for(4242)


def test_no_version_in_common():
    """A request that the broker cannot read is refused, says why, and leaves nothing queued."""
    connection, _ = connected()
    with pytest.raises(UnsupportedVersion, match="HeartbeatRequest in versions 7 to 9, we speak 0"):
        connection.send(HeartbeatRequest(), tag=1)
    with pytest.raises(UnsupportedVersion, match="does not serve FetchRequest"):
        connection.send(API[ApiKey.FETCH].request(), tag=1)
    assert ([], 0) == (connection.data_to_send(), connection.in_flight)


def test_message_that_cannot_be_encoded():
    """A failed encoding queues nothing and spoils nothing."""
    connection, peer = connected()
    with pytest.raises(ValueError, match="acks"):
        connection.send(ProduceRequest(acks=10**6), tag=1)
    assert ([], 0) == (connection.data_to_send(), connection.in_flight)
    connection.send(MetadataRequest(), tag=2)
    [(header, _)] = peer.requests()
    connection.receive_data(answer(MetadataResponse(), 12, header.correlation_id))
    assert [2] == [one.tag for one in connection.answers()]


def test_sending_before_ready():
    """Requests before the versions are known are the caller's mistake."""
    with pytest.raises(UsageError, match="wait until ready"):
        ClientConnection("me").send(MetadataRequest(), tag=1)


def test_answers_come_in_order_however_they_are_cut():
    """Pipelined answers are matched to their requests, byte by byte if need be."""
    connection, peer = connected()
    for tag in ("a", "b", "c"):
        connection.send(MetadataRequest(), tag=tag)
    headers = [header for header, _ in peer.requests()]
    assert 3 == len({header.correlation_id for header in headers})
    stream = b"".join(
        answer(MetadataResponse(controller_id=number), 12, header.correlation_id)
        for number, header in enumerate(headers)
    )
    got = []
    for position in range(len(stream)):
        room = connection.get_buffer(100)
        room[:1] = stream[position : position + 1]
        connection.buffer_updated(1)
        got += connection.answers()
    assert [("a", 0), ("b", 1), ("c", 2)] == [(one.tag, one.message.controller_id) for one in got]
    assert {12} == {one.version for one in got}


def test_produce_without_acknowledgement_expects_no_answer():
    """A request with acks=0 is written and forgotten; the next answer is the next request's."""
    connection, peer = connected()
    connection.send(produce(), tag="silent", expect_response=False)
    connection.send(MetadataRequest(), tag="asked")
    assert ["asked"] == connection.unanswered()
    headers = [header for header, _ in peer.requests()]
    connection.receive_data(answer(MetadataResponse(), 12, headers[1].correlation_id))
    assert ["asked"] == [one.tag for one in connection.answers()]
    assert (None, 0) == (connection.error, connection.in_flight)


def test_records_are_sent_uncopied():
    """The buffer of records is among the buffers to be written."""
    connection, _ = connected()
    records = memoryview(b"r" * 100)
    connection.send(produce(records), tag=1)
    assert any(part is records for part in connection.data_to_send())
    assert [] == connection.data_to_send()


def test_answer_to_another_request():
    """A correlation id out of order breaks the connection; answers before it are kept."""
    connection, peer = connected()
    for tag in ("a", "b", "c"):
        connection.send(MetadataRequest(), tag=tag)
    first, _, third = [header.correlation_id for header, _ in peer.requests()]
    connection.receive_data(
        answer(MetadataResponse(), 12, first) + answer(MetadataResponse(), 12, third)
    )
    assert ["a"] == [one.tag for one in connection.answers()]
    assert f"answered request {third} where request" in str(connection.error)
    assert ["b", "c"] == connection.unanswered()
    with pytest.raises(ProtocolError, match="broke before"):
        connection.send(MetadataRequest(), tag="d")
    connection.receive_data(answer(MetadataResponse(), 12, third))
    assert [] == connection.answers()


def test_answer_to_nothing():
    """Bytes that no request asked for break the connection."""
    connection, _ = connected()
    connection.receive_data(answer(MetadataResponse(), 12, 9))
    assert "answer no request" in str(connection.error)


def test_refusal_with_ranges_that_cannot_be_read():
    """A refused version is asked again in version 0 if the ranges behind the code make no sense."""
    connection = ClientConnection("me")
    connection.start()
    peer = Peer(connection)
    peer.requests()
    # What librdkafka's mock cluster answers to version 4.
    connection.receive_data(bytes.fromhex("000000110000000000230100120000000200000000"))
    [(header, _)] = peer.requests()
    assert 0 == header.api_version
    keys = [ApiVersion(api_key=ApiKey.PRODUCE, min_version=0, max_version=9)]
    connection.receive_data(answer(ApiVersionsResponse(api_keys=keys), 0, header.correlation_id))
    assert connection.ready


def test_answer_that_was_not_wanted():
    """An answer to acks=0, as some brokers send, is passed over; the next real one is taken."""
    connection, peer = connected()
    connection.send(produce(), tag="silent", expect_response=False)
    connection.send(MetadataRequest(), tag="asked")
    silent, asked = [header.correlation_id for header, _ in peer.requests()]
    connection.receive_data(
        answer(ProduceResponse(), 11, silent) + answer(MetadataResponse(), 12, asked)
    )
    assert ["asked"] == [one.tag for one in connection.answers()]
    assert connection.error is None
    connection.receive_data(answer(ProduceResponse(), 11, asked + 1))
    assert "answer no request" in str(connection.error)


def test_answer_that_cannot_be_parsed():
    """A broken body breaks the connection and names the message."""
    connection, peer = connected()
    connection.send(produce(), tag=1)
    [(header, _)] = peer.requests()
    data = answer(ProduceResponse(), 11, header.correlation_id)[4:-1]
    connection.receive_data(len(data).to_bytes(4, "big") + data)
    assert "ProduceResponse v11 cannot be decoded" in str(connection.error)
    assert [1] == connection.unanswered()


def test_good_answers_before_a_bad_size_are_kept():
    """An answer that came in one piece with garbage behind it is not lost."""
    connection, peer = connected()
    connection.send(MetadataRequest(), tag=1)
    [(header, _)] = peer.requests()
    connection.receive_data(answer(MetadataResponse(), 12, header.correlation_id) + b"\xff" * 8)
    assert [1] == [one.tag for one in connection.answers()]
    assert "negative" in str(connection.error)


def test_largest_frame():
    """An answer beyond max_frame breaks the connection before it is received."""
    connection = ClientConnection("me", max_frame=1000)
    connection.start()
    connection.receive_data((1001).to_bytes(4, "big"))
    assert "limit of 1000" in str(connection.error)
