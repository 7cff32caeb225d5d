"""C4: what a client of a listener with SASL may say, and when."""

from __future__ import annotations

import logging
import struct
from collections.abc import Callable

import pytest

from pyproducer.broker import Broker
from pyproducer.protocol.error_codes import ErrorCode
from pyproducer.protocol.frame import encode_request
from pyproducer.protocol.messages.api_versions import ApiVersionsRequest
from pyproducer.protocol.messages.metadata import MetadataRequest
from pyproducer.protocol.messages.sasl_authenticate import SaslAuthenticateRequest
from tests.helpers.partition_logs import batch
from tests.helpers.secure_client import SecureClient, plain
from tests.helpers.virtual_time import VirtualTime

E = ErrorCode
METADATA = MetadataRequest(topics=[])

Connect = Callable[[], SecureClient]

OFFERED = ["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"]


def test_client_that_says_who_it_is(broker: Broker, connect: Connect):
    """
    Behind ApiVersions, handshake and token a client is served, as the user it is.
    """
    client = connect()
    versions = ApiVersionsRequest(client_software_name="test", client_software_version="1")
    assert client.ask(versions, 3).error_code == 0
    assert OFFERED == client.handshake("PLAIN").mechanisms
    answer = client.token(plain("alice", "secret"))

    assert (0, b"", 0) == (answer.error_code, answer.auth_bytes, answer.session_lifetime_ms)
    assert client.ask(METADATA, 9).brokers
    [state] = broker.state().connections
    assert ("User:alice", "SASL_PLAINTEXT") == (state.principal, state.listener)
    entry = broker.journal.requests("Metadata")[0]
    assert ("User:alice", "SASL_PLAINTEXT") == (entry.principal, entry.listener)


@pytest.mark.parametrize("mechanism", ["SCRAM-SHA-256", "SCRAM-SHA-512"])
def test_scram(connect: Connect, mechanism: str):
    """
    A client proves by SCRAM that it knows the password, and the broker that it does.
    """
    client = connect()

    assert client.scram(mechanism, "alice", "secret").error_code == 0
    assert client.produce("t", batch()).error_code == 0


@pytest.mark.parametrize("steps", range(4))
def test_what_comes_before_a_client_is_known_closes(connect: Connect, steps: int):
    """
    Before a client is known, nothing but ApiVersions, a handshake and tokens is answered.
    """
    client = connect()
    if steps >= 1:
        client.ask(ApiVersionsRequest(), 0)
    if steps >= 2:
        client.handshake("SCRAM-SHA-256")
    if steps >= 3:
        client.token(b"n,,n=alice,r=abcdefgh")
    client.send(METADATA, 9)

    assert client.is_closed()


@pytest.mark.parametrize("key", [36, 51, 0, 999])
def test_whatever_else_is_said_first_closes(broker: Broker, connect: Connect, key: int):
    """
    No other API reaches a handler, not even with bytes that nobody can read.
    """
    client = connect()
    client.socket.sendall(struct.pack(">ihhihi", 14, key, 0, 1, -1, 0x7FFFFFFF))

    assert client.is_closed()
    assert [] == broker.journal.requests()


def test_mechanism_that_is_not_offered(connect: Connect):
    """
    An unknown mechanism is answered with 33 and those there are, and the connection is closed.
    """
    client = connect()
    answer = client.handshake("GSSAPI")

    assert (E.UNSUPPORTED_SASL_MECHANISM, OFFERED) == (answer.error_code, answer.mechanisms)
    assert client.is_closed()


def test_api_versions_may_be_asked_once(connect: Connect):
    """
    A second ApiVersions before a client is known closes; one that was refused does not count.
    """
    client = connect()
    client.socket.sendall(struct.pack(">ihhih", 10, 18, 99, 1, -1))
    assert client.receive_frame()[4:6] == E.UNSUPPORTED_VERSION.to_bytes(2, "big")
    assert client.ask(ApiVersionsRequest(), 0).error_code == 0
    client.send(ApiVersionsRequest(), 0)

    assert client.is_closed()


@pytest.mark.parametrize("version", range(3))
def test_wrong_password_and_unknown_user_are_told_alike(connect: Connect, version: int):
    """
    Error 58 comes before the connection is closed, and does not tell what was wrong.
    """
    answers = []
    for name in ("alice", "nobody"):
        client = connect()
        client.handshake("PLAIN")
        answers.append(client.token(plain(name, "wrong"), version))
        assert client.is_closed()

    assert [E.SASL_AUTHENTICATION_FAILED] * 2 == [one.error_code for one in answers]
    assert len({one.error_message for one in answers}) == 1
    assert {b""} == {one.auth_bytes for one in answers}


@pytest.mark.parametrize("mechanism", ["SCRAM-SHA-256", "SCRAM-SHA-512"])
def test_unknown_users_of_scram_go_the_whole_way(connect: Connect, mechanism: str):
    """
    Who is not there gets salt and iterations as others do, the same ones each time.
    """
    salts = []
    for name in ("nobody", "nobody", "alice"):
        client = connect()
        client.handshake(mechanism)
        first = client.token(f"n,,n={name},r=abcdefgh".encode())
        salts.append(dict(part.split("=", 1) for part in first.auth_bytes.decode().split(",")))
    answers = [connect().scram(mechanism, name, "wrong") for name in ("alice", "nobody")]

    assert salts[0]["s"] == salts[1]["s"] != salts[2]["s"]
    assert len(salts[0]["s"]) == len(salts[2]["s"])
    assert {"4096"} == {one["i"] for one in salts}
    assert [E.SASL_AUTHENTICATION_FAILED] * 2 == [one.error_code for one in answers]
    assert len({one.error_message for one in answers}) == 1


@pytest.mark.parametrize(
    "token", [b"", b"alice", b"\0alice\0", b"\0\0secret", b"\xff\0a\0b", b"\0" * 9]
)
def test_broken_tokens_of_plain(connect: Connect, token: bytes):
    """
    Whatever is no token gets error 58, and the connection is closed.
    """
    client = connect()
    client.handshake("PLAIN")

    assert E.SASL_AUTHENTICATION_FAILED == client.token(token).error_code
    assert client.is_closed()


@pytest.mark.parametrize(
    "token", [b"", b"n,,", b"p=tls-unique,,n=a,r=b", b"\xff", b"n,a=bob,n=alice,r=x"]
)
def test_broken_tokens_of_scram(connect: Connect, token: bytes):
    """
    Whatever is no first message gets error 58, and the connection is closed.
    """
    client = connect()
    client.handshake("SCRAM-SHA-256")

    assert E.SASL_AUTHENTICATION_FAILED == client.token(token).error_code
    assert client.is_closed()


def test_nobody_acts_as_another(connect: Connect):
    """
    The authorization id is the user, or is not given.
    """
    assert connect().plain("alice", "secret", acting_as="alice").error_code == 0

    refused = connect().plain("alice", "secret", acting_as="bob")
    assert E.SASL_AUTHENTICATION_FAILED == refused.error_code


def test_handshake_of_version_0(broker: Broker, connect: Connect):
    """
    Behind it tokens come bare, as old clients send them, and so do the broker's.
    """
    client = connect()
    assert client.handshake("PLAIN", 0).error_code == 0

    assert client.bare_token(plain("alice", "secret")) == b""
    assert client.ask(METADATA, 9).brokers
    assert [one.principal for one in broker.state().connections] == ["User:alice"]


def test_wrong_password_behind_a_handshake_of_version_0(connect: Connect):
    """
    There is no error code for it: the connection is closed.
    """
    client = connect()
    client.handshake("PLAIN", 0)

    with pytest.raises(ConnectionError):
        client.bare_token(plain("alice", "wrong"))


def test_large_requests_have_to_wait(broker: Broker, connect: Connect):
    """
    Who is not known may send sasl.server.max.receive.size and no more; then it is as elsewhere.
    """
    client = connect()
    client.socket.sendall(struct.pack(">i", 524289))
    assert client.is_closed()

    known = connect()
    known.plain("alice", "secret")
    assert known.produce("t", batch(value=b"x" * 600_000)).error_code == 0


def test_token_that_nobody_asked_for(connect: Connect):
    """
    Once a client is known, a token without a handshake gets 34, and the connection stays.
    """
    client = connect()
    client.plain("alice", "secret")

    assert E.ILLEGAL_SASL_STATE == client.token(b"").error_code
    assert client.ask(METADATA, 9).brokers


def test_failures_are_held_back():
    """
    The answer to a wrong password waits for connection.failed.authentication.delay.ms.
    """
    clock = VirtualTime()
    config = {"connection.failed.authentication.delay.ms": "60000"}
    with (
        Broker(security="SASL_PLAINTEXT", users={"a": "b"}, config=config, clock=clock) as broker,
        SecureClient(broker.bootstrap_servers) as client,
    ):
        client.handshake("PLAIN")
        client.send(SaslAuthenticateRequest(auth_bytes=plain("a", "wrong")), 2)
        broker.wait_until(lambda _: broker._node().metrics.authentications_failed == 1)
        assert client.is_silent()
        broker.tick(seconds=61)

        assert E.SASL_AUTHENTICATION_FAILED == client.receive().error_code
        assert client.is_closed()


def test_who_came_in_and_who_did_not_is_logged(
    broker: Broker, connect: Connect, caplog: pytest.LogCaptureFixture
):
    """
    The log says at INFO who it was and who not, and has no password in it, nor has the journal.
    """
    broker.journal.bodies = True
    with caplog.at_level(logging.DEBUG, "pyproducer"):
        connect().plain("alice", "secret")
        connect().plain("alice", "wr0ng-one")
        client = connect()
        client.scram("SCRAM-SHA-256", "bob", "hidden")
        client.ask(METADATA, 9)
        connect().handshake("GSSAPI")
        broker.wait_until(lambda _: "GSSAPI" in caplog.text)
    lines = [one.getMessage() for one in caplog.records if one.levelno == logging.INFO]
    journal = "".join(f"{one} {one.request} {one.response}" for one in broker.journal)

    assert ["Authenticated", "Not authenticated", "Authenticated", "Not authenticated"] == [
        line.partition(" is ")[2].partition(" from ")[0]
        for line in lines
        if line.startswith("Principal")
    ]
    for secret in ("secret", "wr0ng-one", "hidden,"):
        assert secret not in caplog.text
        assert secret not in journal
    assert "secret" not in repr(broker.users) + str(broker.state().as_dict())


def test_counts(broker: Broker, connect: Connect):
    """
    Who came in and who did not is counted.
    """
    connect().plain("alice", "secret")
    connect().plain("alice", "wrong")
    broker.wait_until(lambda state: len(state.connections) == 1)
    metrics = broker._node().metrics

    assert (1, 1) == (metrics.authentications, metrics.authentications_failed)


def test_pipelined_request_behind_the_token(connect: Connect):
    """
    What a client sends behind its token without waiting is answered as the user's.
    """
    client = connect()
    client.handshake("PLAIN")
    token = SaslAuthenticateRequest(auth_bytes=plain("alice", "secret"))
    frames = [*encode_request(token, 2, 1, "x"), *encode_request(METADATA, 9, 2, "x")]
    client.socket.sendall(b"".join(frames))

    assert client.receive_frame()[:4] == (1).to_bytes(4, "big")
    assert client.receive_frame()[:4] == (2).to_bytes(4, "big")
