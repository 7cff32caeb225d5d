"""The end of a connection whose requests want no answer."""

from __future__ import annotations

import struct
import time

from pyproducer import AsyncProducer
from pyproducer.broker import Broker
from pyproducer.protocol.api import ApiKey
from pyproducer.protocol.frame import decode_response_header, encode_request
from pyproducer.protocol.messages.api_versions import ApiVersionsRequest
from tests.helpers.scripted_broker import Raw, ScriptedBroker
from tests.helpers.wire_client import WireClient


async def test_closing_resets_no_connection_with_answers_unread():
    """
    A broker that is slow, and answers even acks=0, sees every record written before the close.
    """

    def slow_and_talkative(request):
        time.sleep(0.03)
        return Raw(struct.pack(">ii", 4, 1))

    with ScriptedBroker(script={ApiKey.PRODUCE: slow_and_talkative}) as broker:
        async with AsyncProducer(broker.bootstrap_servers, acks=0, linger_ms=0) as producer:
            for _ in range(10):
                await producer.send("t", b"x" * 1000)
        seen = len(broker.produced)

    assert seen == 10


def test_requests_before_the_end_of_the_stream_are_answered():
    """
    A client that sends its requests and ends its side reads all answers.
    """
    with Broker() as broker, WireClient(broker.bootstrap_servers) as client:
        requests = [
            b"".join(encode_request(ApiVersionsRequest(), 0, number, "x")) for number in range(500)
        ]
        client.socket.sendall(b"".join(requests))
        client.socket.shutdown(1)
        data = b""
        while part := client.socket.recv(65536):
            data += part

    numbers = []
    while data:
        (size,) = struct.unpack_from(">i", data)
        numbers.append(decode_response_header(data[4 : 4 + size], ApiKey.API_VERSIONS, 0)[0])
        data = data[4 + size :]
    assert numbers == list(range(500))
