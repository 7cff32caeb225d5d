"""A connection proves who it is before its first request, and again between two of them."""

from __future__ import annotations

import pytest

from pyproducer.errors import (
    AuthenticationError,
    CredentialsRefused,
    InvalidToken,
    MechanismNotOffered,
    UnsupportedVersion,
    UsageError,
)
from pyproducer.protocol.api import ApiKey
from pyproducer.protocol.connection import ClientConnection
from pyproducer.protocol.error_codes import ErrorCode
from pyproducer.protocol.frame import FrameReader, decode_request, encode_response
from pyproducer.protocol.messages.api_versions import ApiVersion, ApiVersionsResponse
from pyproducer.protocol.messages.metadata import MetadataRequest, MetadataResponse
from pyproducer.protocol.messages.sasl_authenticate import SaslAuthenticateResponse
from pyproducer.protocol.messages.sasl_handshake import SaslHandshakeResponse
from pyproducer.protocol.sasl.oauthbearer import OAuthBearer
from pyproducer.protocol.sasl.plain import Plain
from pyproducer.protocol.sasl.scram import Scram

SERVED = {
    ApiKey.METADATA: (0, 12),
    ApiKey.API_VERSIONS: (0, 4),
    ApiKey.SASL_HANDSHAKE: (0, 1),
    ApiKey.SASL_AUTHENTICATE: (0, 2),
}
REFUSED = ErrorCode.SASL_AUTHENTICATION_FAILED


class Broker:
    """The other end, which answers one request after the other as it is told."""

    def __init__(self, mechanism, served=SERVED):
        self.connection = ClientConnection("me", mechanism=mechanism)
        self.reader = FrameReader()
        self.waiting = []
        self.connection.start()
        keys = [
            ApiVersion(api_key=key, min_version=a, max_version=b) for key, (a, b) in served.items()
        ]
        self.answer(ApiVersionsResponse(api_keys=keys))

    def take(self):
        """The requests that came, behind those that wait."""
        for part in self.connection.data_to_send():
            self.reader.feed(part)
        self.waiting += [decode_request(frame) for frame in self.reader.frames()]
        return [type(message).__name__.removesuffix("Request") for _, message in self.waiting]

    def answer(self, response):
        """Answer the oldest request."""
        self.take()
        header, message = self.waiting.pop(0)
        data = b"".join(encode_response(response, header.api_version, header.correlation_id))
        self.connection.receive_data(data)
        return message

    def offer(self, *mechanisms, code=ErrorCode.NONE):
        return self.answer(SaslHandshakeResponse(error_code=code, mechanisms=list(mechanisms)))

    def say(self, auth_bytes=b"", lifetime_ms=0):
        return self.answer(
            SaslAuthenticateResponse(auth_bytes=auth_bytes, session_lifetime_ms=lifetime_ms)
        ).auth_bytes

    def refuse(self, code=REFUSED, text="Authentication failed"):
        return self.answer(SaslAuthenticateResponse(error_code=code, error_message=text))


def authenticated(lifetime_ms=0):
    broker = Broker(Plain("me", "secret"))
    broker.offer("PLAIN")
    broker.say(lifetime_ms=lifetime_ms)
    assert broker.connection.ready
    return broker


def test_nothing_is_sent_before_the_broker_has_accepted_us():
    """
    One request at a time, and none of the user's, until the authentication is over.
    """
    broker = Broker(Plain("me", "secret"))

    assert ["SaslHandshake"] == broker.take()
    with pytest.raises(UsageError, match="wait until ready"):
        broker.connection.send(MetadataRequest(), "tag")
    assert "PLAIN" == broker.offer("PLAIN", "GSSAPI").mechanism
    assert not broker.connection.ready
    assert ["SaslAuthenticate"] == broker.take()
    assert b"\0me\0secret" == broker.say(lifetime_ms=90_000)
    assert broker.connection.ready
    assert 90.0 == broker.connection.session_lifetime
    assert [] == broker.connection.answers() == broker.take()


def test_steps_that_take_time_are_made_elsewhere():
    """
    A step of SCRAM is handed out, once, and goes on when its result is handed in.
    """
    broker = Broker(Scram("SCRAM-SHA-256", "user", "pencil"))
    broker.offer("SCRAM-SHA-256")

    assert [] == broker.take()
    step = broker.connection.take_step()
    assert broker.connection.take_step() is None
    broker.connection.step_taken(step())
    assert ["SaslAuthenticate"] == broker.take()


def test_a_step_that_fails_ends_the_connection():
    """
    Whatever a step raises is the connection's error, with its class where that is ours.
    """
    broker = Broker(Scram("SCRAM-SHA-256", "user", "pencil"))
    broker.offer("SCRAM-SHA-256")
    broker.connection.take_step()
    broker.connection.step_taken(OSError("no ticket"))

    assert isinstance(broker.connection.error, AuthenticationError)
    assert "OSError: no ticket" in str(broker.connection.error)


def test_a_mechanism_that_is_not_offered():
    """
    The error has what the listener does offer.
    """
    broker = Broker(Plain("me", "secret"))
    broker.offer("GSSAPI", "SCRAM-SHA-512", code=ErrorCode.UNSUPPORTED_SASL_MECHANISM)
    error = broker.connection.error

    assert isinstance(error, MechanismNotOffered)
    assert ("GSSAPI", "SCRAM-SHA-512") == error.offered
    assert "it offers GSSAPI, SCRAM-SHA-512" in str(error)


def test_a_listener_without_sasl():
    """
    A listener that has no SASL is told from one that has another mechanism.
    """
    broker = Broker(Plain("me", "secret"))
    broker.offer(code=ErrorCode.ILLEGAL_SASL_STATE)

    assert isinstance(broker.connection.error, MechanismNotOffered)
    assert "has no SASL" in str(broker.connection.error)


def test_refused_credentials():
    """
    The error has the broker's words, and not the password.
    """
    broker = Broker(Plain("me", "secret"))
    broker.offer("PLAIN")
    broker.refuse(text="Authentication failed: Invalid username or password")
    error = broker.connection.error

    assert isinstance(error, CredentialsRefused)
    assert "Invalid username or password" in str(error)
    assert "secret" not in str(error)
    assert "PLAIN" == error.mechanism


def test_a_refused_token_has_the_servers_reasons():
    """
    The JSON of the challenge is in the error that follows our answer to it.
    """
    broker = Broker(OAuthBearer("token", {}))
    broker.offer("OAUTHBEARER")
    broker.say(b'{"status":"invalid_token"}')
    assert b"\x01" == broker.refuse(text="denied").auth_bytes

    assert isinstance(broker.connection.error, InvalidToken)
    assert 'denied ({"status":"invalid_token"})' in str(broker.connection.error)


def test_other_refusals():
    """
    A broker that breaks off for another reason has not refused the credentials.
    """
    broker = Broker(Plain("me", "secret"))
    broker.offer("PLAIN")
    broker.refuse(ErrorCode.ILLEGAL_SASL_STATE, None)

    assert type(broker.connection.error) is AuthenticationError
    assert "ILLEGAL_SASL_STATE" in str(broker.connection.error)


def test_a_broker_that_hangs_up():
    """
    The end of the connection during the authentication is told as that.
    """
    broker = Broker(Plain("me", "secret"))
    broker.offer("PLAIN")
    broker.connection.receive_eof()

    assert isinstance(broker.connection.error, AuthenticationError)


def test_a_broker_that_is_too_old():
    """
    Without SaslAuthenticate the mechanism's messages would have no frame.
    """
    broker = Broker(Plain("me", "secret"), {key: SERVED[key] for key in list(SERVED)[:3]})

    assert isinstance(broker.connection.error, UnsupportedVersion)


def test_a_second_time_holds_what_is_sent_meanwhile():
    """
    Requests before it are answered before it, those that follow go out after it, in order.
    """
    broker = authenticated()
    connection = broker.connection
    connection.send(MetadataRequest(), "before")
    connection.authenticate(Plain("me", "changed"))
    connection.send(MetadataRequest(), "first")
    connection.send(MetadataRequest(), "second")

    assert ["Metadata", "SaslHandshake"] == broker.take()
    assert connection.holding
    assert ["before", "first", "second"] == connection.unanswered()
    broker.answer(MetadataResponse())
    assert ["before"] == [answer.tag for answer in connection.answers()]
    broker.offer("PLAIN")
    assert b"\0me\0changed" == broker.say(lifetime_ms=1000)
    assert not connection.holding
    assert 1.0 == connection.session_lifetime
    assert ["Metadata", "Metadata"] == broker.take()
    broker.answer(MetadataResponse())
    broker.answer(MetadataResponse())
    assert ["first", "second"] == [answer.tag for answer in connection.answers()]
    assert connection.error is None


def test_a_second_time_that_is_refused_ends_the_connection():
    """
    What was held is owed still, so that its owner can send it elsewhere.
    """
    broker = authenticated()
    broker.connection.authenticate(Plain("me", "wrong"))
    broker.connection.send(MetadataRequest(), "held")
    broker.offer("PLAIN")
    broker.refuse()

    assert isinstance(broker.connection.error, CredentialsRefused)
    assert ["held"] == broker.connection.unanswered()
    assert 1 == broker.connection.in_flight


def test_twice_at_a_time_is_once():
    """
    A second call while one is under way changes nothing.
    """
    broker = authenticated()
    broker.connection.authenticate(Plain("me", "one"))
    broker.connection.authenticate(Plain("me", "two"))
    broker.offer("PLAIN")

    assert b"\0me\0one" == broker.say()
    assert broker.connection.ready
