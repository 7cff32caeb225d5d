"""A client of a listener with SASL, who has nothing to prove who it is.

The input is requests and bare tokens in a row, each behind its length.
"""

from __future__ import annotations

import asyncio
import struct
from collections.abc import Iterator

from pyproducer.broker.context import CloseConnection, ConnectionInfo
from pyproducer.broker.security.sasl.plain import PlainExchange
from pyproducer.broker.security.sasl.scram import ScramExchange
from pyproducer.broker.security.scram_credential import ScramCredential
from pyproducer.broker.security.session import Mechanism, Session
from pyproducer.errors import ProtocolError
from pyproducer.protocol.api import API, ApiKey
from pyproducer.protocol.frame import encode_request
from pyproducer.protocol.messages.api_versions import ApiVersionsRequest
from pyproducer.protocol.messages.metadata import MetadataRequest
from pyproducer.protocol.messages.sasl_authenticate import SaslAuthenticateRequest
from pyproducer.protocol.messages.sasl_handshake import SaslHandshakeRequest
from pyproducer.protocol.schema import Message
from tests.fuzz.bites import Bites
from tests.fuzz.target import Target
from tests.fuzz.targets.requests import BrokerInMemory

_SPOKEN = {ApiKey.API_VERSIONS, ApiKey.SASL_HANDSHAKE, ApiKey.SASL_AUTHENTICATE}
_BROKER: list[BrokerInMemory] = []


def _broker() -> BrokerInMemory:
    if not _BROKER:
        _BROKER.append(BrokerInMemory({"connection.failed.authentication.delay.ms": "0"}))
    return _BROKER[0]


def run(data: bytes) -> None:
    """Nothing is answered but what comes before authentication, and nobody is let in."""
    broker = _broker()
    opened: list[bool] = []
    credential = ScramCredential(bytes(16), bytes(32), bytes(32), 4096)
    mechanisms = {
        "PLAIN": Mechanism(lambda: PlainExchange(lambda name, password: False)),
        "SCRAM-SHA-256": Mechanism(lambda: ScramExchange("SCRAM-SHA-256", lambda name: credential)),
    }
    session = Session(broker.node, broker.router, mechanisms, lambda: opened.append(True))
    info = ConnectionInfo(1, "127.0.0.1", 1)
    broker.node.metrics.requests.clear()
    asyncio.set_event_loop(broker.loop)
    bites = Bites(data)
    try:
        for _ in range(6):
            if not bites:
                break
            frame = bites.take(min(bites.number(2, signed=False), len(data)))
            assert not session.answers_at_once(memoryview(frame))
            answer = broker.loop.run_until_complete(
                session.answer(memoryview(bytearray(frame)), info)
            )
            assert answer
    except (CloseConnection, ProtocolError):
        pass
    assert not opened
    assert set(broker.node.metrics.requests) <= _SPOKEN


def _frames(*asked: tuple[Message, int] | bytes) -> bytes:
    frames = [
        one if isinstance(one, bytes) else b"".join(encode_request(*one, 7, "c"))[4:]
        for one in asked
    ]
    return b"".join(struct.pack(">H", len(one)) + one for one in frames)


def seeds() -> Iterator[bytes]:
    """The ways in that are right, up to the proof; and requests that come too early."""
    hello = ApiVersionsRequest(client_software_name="x", client_software_version="1"), 3
    first = b"n,,n=user,r=abcdefghijklmnopqrst"
    for name, token in (("PLAIN", b"\0user\0pw"), ("SCRAM-SHA-256", first)):
        for version in (0, 1):
            shake = SaslHandshakeRequest(mechanism=name), version
            wrapped = SaslAuthenticateRequest(auth_bytes=token), 2
            final = SaslAuthenticateRequest(auth_bytes=b"c=biws,r=abc,p=AAAA"), 1
            if version:
                yield _frames(hello, shake, wrapped, final)
            else:
                yield _frames(shake, token, b"c=biws,r=abc,p=AAAA")
            yield _frames(hello, shake, (MetadataRequest(topics=None), 9))
    yield _frames((MetadataRequest(topics=None), 9))
    yield _frames(hello, hello)
    for api in API.values():
        yield _frames(hello, struct.pack(">hhih", api.key, api.max_version, 7, -1) + bytes(20))


TARGET = Target(run, seeds, max_len=400)
