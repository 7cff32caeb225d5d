"""Frames, headers and the reader that cuts a stream."""

from __future__ import annotations

import copy
import pickle
import tracemalloc

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from kio.schema.request_header.v1.header import RequestHeader as KioRequestHeaderV1
from kio.schema.request_header.v2.header import RequestHeader as KioRequestHeaderV2
from kio.schema.response_header.v0.header import ResponseHeader as KioResponseHeaderV0
from kio.schema.response_header.v1.header import ResponseHeader as KioResponseHeaderV1
from kio.serial import entity_reader

from pyproducer.errors import ProtocolError, UnsupportedVersion
from pyproducer.protocol.api import API, ApiKey
from pyproducer.protocol.frame import (
    FrameReader,
    UnknownApi,
    UnsupportedRequest,
    decode_request,
    decode_request_header,
    decode_response_header,
    encode_request,
    encode_response,
)
from pyproducer.protocol.messages.api_versions import ApiVersionsRequest, ApiVersionsResponse
from pyproducer.protocol.messages.metadata import MetadataRequest, MetadataResponse
from pyproducer.protocol.messages.produce import (
    PartitionProduceData,
    ProduceRequest,
    TopicProduceData,
)


def framed(data):
    return len(data).to_bytes(4, "big") + data


def read_all(reader):
    return [bytes(frame) for frame in reader.frames()]


@pytest.mark.parametrize("api", API.values(), ids=lambda api: api.name)
def test_request_header_is_kios(api):
    """kio reads every request's header as we wrote it, v1 or v2 as the version wants."""
    for version in api.versions:
        data = b"".join(encode_request(api.request(), version, 0x01020304, "me"))
        assert data[:4] == (len(data) - 4).to_bytes(4, "big")
        flexible = version >= api.flexible_since
        header, size = entity_reader(KioRequestHeaderV2 if flexible else KioRequestHeaderV1)(
            data[4:], 0
        )
        assert (header.request_api_key, header.request_api_version) == (api.key, version)
        assert (header.correlation_id, header.client_id) == (0x01020304, "me")
        ours = decode_request_header(data[4:])
        assert (api.key, version, 0x01020304, "me") == ours[:4]
        assert ours.body == data[4 + size :]


@pytest.mark.parametrize("api", API.values(), ids=lambda api: api.name)
def test_response_header_is_kios(api):
    """kio reads every response's header as we wrote it; that of ApiVersions is always v0."""
    for version in api.versions:
        data = b"".join(encode_response(api.response(), version, 77))
        flexible = version >= api.flexible_since and api.key != ApiKey.API_VERSIONS
        header, size = entity_reader(KioResponseHeaderV1 if flexible else KioResponseHeaderV0)(
            data[4:], 0
        )
        assert header.correlation_id == 77
        assert (77, data[4 + size :]) == decode_response_header(data[4:], api.key, version)


def test_unknown_tags_in_headers_are_skipped():
    """Header fields from the future are skipped on both sides."""
    request = bytes.fromhex("0003 0009 00000005 0001 61 02 00 01 ff 63 00") + b"body"
    assert b"body" == decode_request_header(request).body
    response = bytes.fromhex("00000005 01 07 02 abcd") + b"body"
    assert (5, b"body") == decode_response_header(response, ApiKey.METADATA, 9)


@pytest.mark.parametrize(("client_id", "expected"), [(None, ""), ("", ""), ("\u00e4", "\u00e4")])
def test_client_id(client_id, expected):
    """A null client id reads as the empty one."""
    data = b"".join(encode_request(MetadataRequest(), 1, 0, client_id))
    assert expected == decode_request_header(data[4:]).client_id


def test_request_with_records_is_one_frame():
    """The size covers buffers that are passed on uncopied."""
    records = memoryview(b"r" * 1000)
    partition = PartitionProduceData(records=records)
    request = ProduceRequest(topic_data=[TopicProduceData(partition_data=[partition])])
    buffers = encode_request(request, 9, 3, "me")
    assert any(part is records for part in buffers)
    reader = FrameReader()
    for part in buffers:
        reader.feed(part)
    [frame] = reader.frames()
    assert (3, request) == (decode_request(frame)[0].correlation_id, decode_request(frame)[1])


@pytest.mark.parametrize(
    "data", ["", "0003", "0003 0001 00000000 0005 61", "0003 0001 00000000 fffe"]
)
def test_broken_request_header(data):
    """A frame that ends in its header, or has a negative client id, is a ProtocolError."""
    with pytest.raises(ProtocolError, match="have no request header"):
        decode_request_header(bytes.fromhex(data))


@pytest.mark.parametrize("data", ["", "000000", "00000000", "00000000 01 00 ff"])
def test_broken_response_header(data):
    """A frame that ends in its header is a ProtocolError."""
    with pytest.raises(ProtocolError, match="have no response header"):
        decode_response_header(bytes.fromhex(data), ApiKey.METADATA, 9)


@pytest.mark.parametrize("data", ["", "0003 0001", "0003 0009 00000000 0000"])
def test_short_headers_are_called_short(data):
    """A header cut off anywhere is told in terms of the frame."""
    with pytest.raises(ProtocolError, match=r"the frame is too short$"):
        decode_request_header(bytes.fromhex(data))
    with pytest.raises(ProtocolError, match=r"the frame is too short$"):
        decode_response_header(bytes.fromhex(data)[:4], ApiKey.METADATA, 9)


def test_request_of_unknown_api():
    """An unknown key is its own error, with what is known of the request."""
    with pytest.raises(UnknownApi, match="API key 4242") as caught:
        decode_request(bytes.fromhex("1092 0001 00000007 0000 ffff"))
    for error in (caught.value, pickle.loads(pickle.dumps(caught.value)), copy.copy(caught.value)):
        assert (4242, 1, 7) == (error.api_key, error.api_version, error.correlation_id)


@pytest.mark.parametrize("version", [-1, 5, 99, 0x7FFF])
def test_request_of_unsupported_version(version):
    """An unknown version is told apart, so that ApiVersions can be answered (T2)."""
    frame = (18).to_bytes(2, "big") + version.to_bytes(2, "big", signed=True)
    with pytest.raises(UnsupportedRequest) as caught:
        decode_request(frame + bytes.fromhex("00000009 0001 61 ff ff"))
    assert (18, version, 9) == (
        caught.value.api_key,
        caught.value.api_version,
        caught.value.correlation_id,
    )
    assert isinstance(caught.value, UnsupportedVersion)


def test_request_that_cannot_be_parsed():
    """A body that is not the message is a plain ProtocolError."""
    with pytest.raises(ProtocolError, match="MetadataRequest v1 cannot") as caught:
        decode_request(bytes.fromhex("0003 0001 00000009 0001 61 7fffffff"))
    assert not isinstance(caught.value, (UnknownApi, UnsupportedVersion))


def test_bytes_behind_a_request_are_ignored():
    """librdkafka 2.16's question for all topics, with its three bytes too many, is understood."""
    frame = bytes.fromhex("0003 000d 00000003 0002 7264 00 00 00 00 00 01 00 00")
    header, request = decode_request(frame)
    assert (13, None) == (header.api_version, request.topics)


def test_version_that_the_message_lacks_is_not_framed():
    """Encoding in an unknown version raises instead of writing a header for it."""
    with pytest.raises(UnsupportedVersion):
        encode_response(ApiVersionsResponse(), 5, 0)
    with pytest.raises(UnsupportedVersion):
        encode_request(ApiVersionsRequest(), 5, 0, "me")


@settings(max_examples=150)
@given(
    frames=st.lists(
        st.one_of(
            st.binary(max_size=40),
            st.integers(0, 150_000).map(lambda size: size.to_bytes(4, "big") * (size // 4)),
        ),
        max_size=6,
    ),
    cuts=st.lists(st.integers(1, 70_000), min_size=1, max_size=30),
    fed=st.booleans(),
)
def test_any_chunks_give_the_same_frames(frames, cuts, fed):
    """However the stream is cut, and whichever way it comes in, the frames are the same."""
    stream = b"".join(map(framed, frames))
    reader = FrameReader()
    got = []
    position = 0
    turn = 0
    while position < len(stream):
        size = cuts[turn % len(cuts)]
        turn += 1
        if fed:
            reader.feed(stream[position : position + size])
            position += size
        else:
            room = reader.get_buffer(-1)
            assert room
            part = stream[position : position + min(size, len(room))]
            room[: len(part)] = part
            reader.buffer_updated(len(part))
            position += len(part)
        got += read_all(reader)
    assert frames == got
    assert not reader.partial


def test_frames_own_their_memory():
    """A frame stays as it was while others come, and writing into it changes no other."""
    reader = FrameReader()
    reader.feed(framed(b"first") + framed(b"second" * 10_000))
    first, second = reader.frames()
    first[0] = ord("F")
    reader.feed(framed(b"third") * 10_000)
    assert b"First" == first
    assert b"second" * 10_000 == second
    assert first.obj is not second.obj
    assert {b"third"} == set(read_all(reader))


def test_each_frame_is_given_once():
    """A second look at the reader finds only what came since."""
    reader = FrameReader()
    reader.feed(framed(b"one") + framed(b"two"))
    frames = reader.frames()
    assert b"one" == next(frames)
    assert [b"two"] == read_all(reader)
    assert [] == read_all(reader)


def test_memory_grows_with_the_bytes_received():
    """A peer that announces much and sends little gets little memory."""
    tracemalloc.start()
    try:
        readers = [FrameReader() for _ in range(10)]
        for reader in readers:
            reader.feed((90 * 1024 * 1024).to_bytes(4, "big"))
            reader.feed(bytes(100_000))
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 10 * 400_000
    assert all(reader.partial for reader in readers)


BAD = [
    (b"\xff\xff\xff\xff", "size of -1, negative"),
    (b"\x00\x00\x03\xe9", "size of 1001, beyond the limit of 1000 bytes; the bytes are 00 00"),
    (b"HTTP/1.1 400 Bad Request\r\n", "speaks HTTP, not Kafka: b'HTTP/1.1 400"),
    (b"GET / HTTP/1.1\r\n", "speaks HTTP"),
    (b"\x15\x03\x03\x00\x02\x02\x46", "speaks TLS where plain Kafka was expected"),
    (b"\x16\x03\x01\x02\x00\x01", "speaks TLS"),
    (b"220 mail.example", "does not speak Kafka: b'220 mail"),
]


@pytest.mark.parametrize(("data", "reason"), BAD)
def test_bad_size(data, reason):
    """A size that cannot be is an error that says what kind of peer this may be."""
    reader = FrameReader(max_size=1000)
    with pytest.raises(ProtocolError, match=reason):
        reader.feed(framed(b"good") + data)
    assert [b"good"] == read_all(reader)
    with pytest.raises(ProtocolError, match=reason):
        reader.feed(framed(b"more"))
    assert [] == read_all(reader)


def test_largest_frame():
    """A frame of exactly the limit passes."""
    reader = FrameReader(max_size=1000)
    reader.feed(framed(bytes(1000)))
    assert [bytes(1000)] == read_all(reader)


def test_partial_is_true_in_the_middle_of_a_frame():
    """The reader knows whether the stream may end here."""
    reader = FrameReader()
    for piece, partial in ((b"\x00", True), (b"\x00\x00\x02", True), (b"a", True), (b"b", False)):
        reader.feed(piece)
        assert partial == reader.partial


def test_decoded_records_pin_only_their_frame():
    """Records of a request are a view of the frame that the reader handed out."""
    partition = PartitionProduceData(records=b"r" * 10)
    request = ProduceRequest(topic_data=[TopicProduceData(partition_data=[partition])])
    reader = FrameReader()
    reader.feed(b"".join(encode_request(request, 9, 3, "me")) + framed(bytes(20_000)))
    frame = next(reader.frames())
    _, decoded = decode_request(frame)
    assert decoded.topic_data[0].partition_data[0].records.obj is frame.obj
    assert len(frame.obj) == len(frame)


def test_response_roundtrip():
    """What encode_response wrote, decode_response_header and decode read."""
    response = MetadataResponse(cluster_id="c", controller_id=4)
    reader = FrameReader()
    reader.feed(b"".join(encode_response(response, 12, 9)))
    [frame] = reader.frames()
    correlation_id, body = decode_response_header(frame, ApiKey.METADATA, 12)
    assert (9, response) == (correlation_id, MetadataResponse.decode(body, 12))
