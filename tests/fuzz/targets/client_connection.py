"""A hostile broker: what a client's connection makes of the answers it gets.

The input is what the client has asked, the sizes of the pieces, then the broker's bytes.
"""

from __future__ import annotations

from collections.abc import Iterator

from pyproducer.errors import ProtocolError, UnsupportedVersion
from pyproducer.protocol.api import API, ApiKey
from pyproducer.protocol.connection import ClientConnection
from pyproducer.protocol.frame import decode_response_header, encode_response
from pyproducer.protocol.messages.api_versions import ApiVersion, ApiVersionsResponse
from pyproducer.protocol.messages.find_coordinator import FindCoordinatorRequest
from pyproducer.protocol.messages.init_producer_id import InitProducerIdRequest
from pyproducer.protocol.messages.metadata import MetadataRequest
from pyproducer.protocol.messages.produce import (
    PartitionProduceData,
    ProduceRequest,
    ProduceResponse,
    TopicProduceData,
)
from pyproducer.protocol.schema import Message
from tests.fuzz.bites import Bites
from tests.fuzz.target import Target
from tests.fuzz.twins import same, twins
from tests.helpers.random_messages import MessageMaker

_ALL = ApiVersionsResponse(
    api_keys=[
        ApiVersion(api_key=api.key, min_version=api.min_version, max_version=api.max_version)
        for api in API.values()
    ]
)
_GREETING = b"".join(encode_response(_ALL, 4, 0))
_NEWEST_PRODUCE = 12
_SHORTCUTS = twins("protocol", "shortcut")


def _produce() -> ProduceRequest:
    part = PartitionProduceData(index=0, records=[b"header", b"body"])
    return ProduceRequest(
        acks=-1,
        timeout_ms=100,
        topic_data=[TopicProduceData(name="orders", partition_data=[part])],
    )


_ASKED: tuple[Message, ...] = (
    MetadataRequest(topics=None),
    FindCoordinatorRequest(coordinator_keys=["group"]),
    InitProducerIdRequest(transactional_id=None, transaction_timeout_ms=1000),
)


def run(data: bytes) -> None:
    """Nothing is raised; an error is a ProtocolError and final; answers are to what was asked."""
    bites = Bites(data)
    asked = bites.byte()
    pieces = bites.byte()
    stream = bites.rest()
    connection = ClientConnection("fuzz", max_frame=1 << 20)
    connection.start()
    tags = _ask(connection, asked) if asked & 1 else []
    size = 1 + pieces if pieces else len(stream) or 1
    for position in range(0, len(stream), size):
        broken = connection.error
        connection.receive_data(stream[position : position + size])
        assert broken is None or connection.error is broken
    assert connection.error is None or isinstance(connection.error, ProtocolError)
    answers = connection.answers()
    assert tags[: len(answers)] == [answer.tag for answer in answers]
    if stream:
        _compare_shortcuts(stream)


def _ask(connection: ClientConnection, asked: int) -> list[object]:
    connection.receive_data(_GREETING)
    tags: list[object] = []
    for number in range(asked >> 1 & 7):
        message = _produce() if asked & 0x10 else _ASKED[number % len(_ASKED)]
        silent = bool(asked & 0x20) and isinstance(message, ProduceRequest) and number % 2 == 0
        try:
            connection.send(message, number, expect_response=not silent, newest=_NEWEST_PRODUCE)
        except UnsupportedVersion:
            continue
        if not silent:
            tags.append(number)
    connection.data_to_send()
    return tags


def _compare_shortcuts(frame: bytes) -> None:
    """The straight path reads what the general one reads, or leaves it alone; so do the twins."""
    for version in (9, _NEWEST_PRODUCE):
        found = same([twin.read_answers(frame, version) for twin in _SHORTCUTS])
        if found is None:
            continue
        number, body = decode_response_header(frame, ApiKey.PRODUCE, version)
        assert found == (number, ProduceResponse.decode(body, version))


def seeds() -> Iterator[bytes]:
    """Greetings, refusals of them, and right answers to what was asked."""
    yield b"\x00\x00" + _GREETING
    yield b"\x00\x07" + _GREETING
    refusal = ApiVersionsResponse(error_code=35, api_keys=_ALL.api_keys[:3])
    yield b"\x00\x00" + b"".join(encode_response(refusal, 0, 0))
    yield b"\x00\x00" + b"".join(encode_response(ApiVersionsResponse(error_code=35), 0, 0)) * 5
    for asked in (0x07, 0x17, 0x37, 0x33):
        stream = b""
        for number in range(asked >> 1 & 7):
            message = _produce() if asked & 0x10 else _ASKED[number % len(_ASKED)]
            version = min(API[message.api_key].max_version, _NEWEST_PRODUCE)
            response = API[message.api_key].response
            made = MessageMaker((asked, number), largest=1).make(response, version)
            stream += b"".join(encode_response(made, version, number + 1))
        yield bytes((asked, 0)) + stream
        yield bytes((asked, 9)) + stream
    one = ProduceResponse.decode(
        b"\x02\x07orders\x02" + bytes(6) + bytes(24) + b"\x01\x00\x00\x00" + bytes(5), 9
    )
    yield b"\x13\x00" + b"".join(encode_response(one, _NEWEST_PRODUCE, 1))
    yield b"\x00\x00" + b"".join(encode_response(one, _NEWEST_PRODUCE, 1))[4:]


TARGET = Target(run, seeds)
