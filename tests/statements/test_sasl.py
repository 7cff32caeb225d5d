"""Authentication: what a client may say before it is known, and for how long it is (C4)."""

from __future__ import annotations

import time

import pytest

from pyproducer.protocol.error_codes import ErrorCode
from pyproducer.protocol.messages.api_versions import ApiVersionsRequest
from pyproducer.protocol.messages.create_delegation_token import (
    CreatableRenewers,
    CreateDelegationTokenRequest,
)
from pyproducer.protocol.messages.describe_delegation_token import DescribeDelegationTokenRequest
from pyproducer.protocol.messages.expire_delegation_token import ExpireDelegationTokenRequest
from pyproducer.protocol.messages.metadata import MetadataRequest
from pyproducer.protocol.messages.renew_delegation_token import RenewDelegationTokenRequest
from pyproducer.protocol.messages.sasl_authenticate import SaslAuthenticateRequest
from pyproducer.protocol.messages.sasl_handshake import SaslHandshakeRequest
from pyproducer.protocol.schema import Message
from tests.helpers.sasl_servers import SaslServer
from tests.helpers.secure_client import plain
from tests.helpers.secured import BRIEF_MS, MECHANISMS, OTHER, USER, USERS

E = ErrorCode
TOKEN_REQUESTS = [
    CreateDelegationTokenRequest(max_lifetime_ms=-1),
    RenewDelegationTokenRequest(hmac=b"hmac", renew_period_ms=-1),
    ExpireDelegationTokenRequest(hmac=b"hmac", expiry_time_period_ms=-1),
    DescribeDelegationTokenRequest(owners=None),
]
METADATA = MetadataRequest(topics=[])
NAMED = ApiVersionsRequest(client_software_name="test", client_software_version="1")

PASSWORD, OTHER_PASSWORD = USERS[USER], USERS[OTHER]
SCRAM = [one for one in MECHANISMS if one.startswith("SCRAM")]


@pytest.fixture
def server(guarded: SaslServer) -> SaslServer:
    """A broker with SASL."""
    return guarded


def bearer(token: str) -> bytes:
    """A client's first message of OAUTHBEARER."""
    return f"n,,\x01auth=Bearer {token}\x01\x01".encode()


def test_c4_a_client_that_is_known_is_served(server: SaslServer):
    """
    C4: behind ApiVersions, a handshake and its tokens a client is served.
    """
    with server.connect() as client:
        assert client.ask(NAMED, 3).error_code == 0
        assert set(MECHANISMS) == set(client.handshake("PLAIN").mechanisms)
        answer = client.token(plain(USER, PASSWORD))

        assert (0, b"", 0) == (answer.error_code, answer.auth_bytes, answer.session_lifetime_ms)
        assert client.ask(METADATA, 9).brokers


@pytest.mark.parametrize("mechanism", SCRAM)
def test_c4_scram_proves_both_sides(server: SaslServer, mechanism: str):
    """
    C4: SCRAM lets in who knows the password, and shows that the broker does, too.
    """
    with server.connect() as client:
        assert client.scram(mechanism, USER, PASSWORD).error_code == 0
        assert client.ask(METADATA, 9).brokers


@pytest.mark.parametrize("asked", [False, True], ids=["at once", "behind ApiVersions"])
@pytest.mark.parametrize("message", [METADATA, SaslAuthenticateRequest(auth_bytes=b"")], ids=type)
def test_c4_nothing_else_is_legal_before(server: SaslServer, message, asked: bool):
    """
    C4: before a handshake anything but ApiVersions closes the connection, unanswered.
    """
    with server.connect() as client:
        if asked:
            client.ask(NAMED, 3)
        client.send(message, 1)

        assert client.is_closed()


def test_c4_another_request_in_place_of_a_token(server: SaslServer):
    """
    C4: a request that is no token closes the connection behind the handshake as well.
    """
    with server.connect() as client:
        client.handshake("PLAIN")
        client.send(METADATA, 9)
        answered = server.differs(
            ours=False,
            kafka=True,
            reason="what is not served is not answered either; Kafka sends ILLEGAL_SASL_STATE first",
        )
        if answered:
            client.receive_frame()

        assert client.is_closed()


def test_c4_api_versions_is_answered_once(server: SaslServer):
    """
    C4: a second ApiVersions before the handshake closes the connection.
    """
    with server.connect() as client:
        client.ask(NAMED, 3)
        client.send(NAMED, 3)

        assert client.is_closed()


@pytest.mark.parametrize("version", [0, 1])
def test_c4_unknown_mechanism(server: SaslServer, version: int):
    """
    C4: an unknown mechanism gets 33 with those there are, and the connection is closed.
    """
    with server.connect() as client:
        answer = client.handshake("NONSENSE", version)

        assert E.UNSUPPORTED_SASL_MECHANISM == answer.error_code
        assert set(MECHANISMS) == set(answer.mechanisms)
        assert client.is_closed()


def test_c4_bare_tokens_behind_a_handshake_of_version_0(server: SaslServer):
    """
    C4: behind version 0 tokens have a size in front and nothing else, both ways.
    """
    with server.connect() as client:
        client.handshake("PLAIN", 0)

        assert client.bare_token(plain(USER, PASSWORD)) == b""
        assert client.ask(METADATA, 9).brokers


@pytest.mark.parametrize("version", range(3))
@pytest.mark.parametrize("name", [USER, "nobody"])
def test_c4_wrong_password(server: SaslServer, name: str, version: int):
    """
    C4: wrong credentials get 58 in the answer to the token, before the connection is closed.
    """
    with server.connect() as client:
        client.handshake("PLAIN")
        answer = client.token(plain(name, "wrong"), version)

        assert E.SASL_AUTHENTICATION_FAILED == answer.error_code
        assert answer.error_message == "Authentication failed: Invalid username or password"
        assert client.is_closed()


def test_c4_wrong_password_behind_a_handshake_of_version_0(server: SaslServer):
    """
    C4: there the connection is closed without a word.
    """
    with server.connect() as client:
        client.handshake("PLAIN", 0)
        with pytest.raises(ConnectionError):
            client.bare_token(plain(USER, "wrong"))


@pytest.mark.parametrize("mechanism", SCRAM)
def test_c4_wrong_proof(server: SaslServer, mechanism: str):
    """
    C4: SCRAM, too, ends with 58.
    """
    with server.connect() as client:
        answer = client.scram(mechanism, USER, "wrong")

        assert E.SASL_AUTHENTICATION_FAILED == answer.error_code
        assert client.is_closed()


@pytest.mark.parametrize("mechanism", SCRAM)
def test_c4_unknown_user_of_scram(server: SaslServer, mechanism: str):
    """
    C4: who is not there is refused with 58.
    """
    with server.connect() as client:
        client.handshake(mechanism)
        first = client.token(b"n,,n=nobody,r=abcdefgh")
        code = server.differs(
            ours=E.NONE,
            kafka=E.SASL_AUTHENTICATION_FAILED,
            reason="an unknown user gets a salt as others do, and is refused with its proof: "
            "Kafka's answer tells who is there",
        )
        assert code == first.error_code
    with server.connect() as client:
        answer = client.scram(mechanism, "nobody", "wrong")

        assert E.SASL_AUTHENTICATION_FAILED == answer.error_code
        assert client.is_closed()


def test_c4_acting_as_another(server: SaslServer):
    """
    C4: the authorization id is empty or the user's name.
    """
    with server.connect() as client:
        assert client.plain(USER, PASSWORD, acting_as=USER).error_code == 0
    with server.connect() as client:
        refused = client.plain(USER, PASSWORD, acting_as=OTHER)

        assert E.SASL_AUTHENTICATION_FAILED == refused.error_code


def test_c4_token(server: SaslServer):
    """
    C4: a good token opens a session that ends with it.
    """
    with server.connect() as client:
        client.handshake("OAUTHBEARER")
        answer = client.token(bearer(server.tokens.token(USER, lifetime=600)))

        assert (0, b"") == (answer.error_code, answer.auth_bytes)
        assert 590_000 < answer.session_lifetime_ms <= 600_000
        assert client.ask(METADATA, 9).brokers


@pytest.mark.parametrize(
    "wrong",
    [
        {"lifetime": -600},
        {"audience": "others"},
        {"issuer": "https://others.test"},
        {"begins_in": 600},
    ],
    ids=lambda wrong: next(iter(wrong)),
)
def test_c4_bad_token(server: SaslServer, wrong: dict):
    """
    C4: a bad token is answered with a reason as JSON, and with 58 once the client has seen it.
    """
    with server.connect() as client:
        client.handshake("OAUTHBEARER")
        told = client.token(bearer(server.tokens.token(USER, **wrong)))
        assert (0, b'{"status":"invalid_token"}') == (told.error_code, told.auth_bytes)
        failed = client.token(b"\x01")

        assert E.SASL_AUTHENTICATION_FAILED == failed.error_code
        assert failed.error_message == '{"status":"invalid_token"}'
        assert client.is_closed()


def test_c4_sessions_have_a_lifetime(server: SaslServer):
    """
    C4: with connections.max.reauth.ms a client is told how long it is known, since version 1.
    """
    for version, lifetime in ((0, 0), (1, BRIEF_MS), (2, BRIEF_MS)):
        with server.connect_briefly() as client:
            client.handshake("PLAIN")

            assert lifetime == client.token(plain(USER, PASSWORD), version).session_lifetime_ms


def test_c4_expired_session(server: SaslServer):
    """
    C4: a request of an expired session closes the connection; one before that is served.
    """
    with server.connect_briefly() as client:
        client.plain(USER, PASSWORD)
        assert client.ask(METADATA, 9).brokers
        # Neither of them can be told to let time pass that a client would not see.
        time.sleep(BRIEF_MS / 1000 + 0.2)
        client.send(METADATA, 9)

        assert client.is_closed()


@pytest.mark.parametrize("mechanism", ["PLAIN", "SCRAM-SHA-256"])
def test_c4_session_goes_on_for_who_proves_it_again(server: SaslServer, mechanism: str):
    """
    C4: a client that authenticates again, in time or not, is served for another lifetime.
    """
    with server.connect_briefly() as client:
        for _ in range(2):
            again = (
                client.plain(USER, PASSWORD)
                if mechanism == "PLAIN"
                else client.scram(mechanism, USER, PASSWORD)
            )
            assert (0, BRIEF_MS) == (again.error_code, again.session_lifetime_ms)
            assert client.ask(METADATA, 9).brokers
            time.sleep(BRIEF_MS / 1000 + 0.2)


def test_c4_reauthentication_is_of_the_same_user(server: SaslServer):
    """
    C4: another user on the same connection is refused with 58, and the connection is closed.
    """
    with server.connect_briefly() as client:
        client.plain(USER, PASSWORD)
        time.sleep(1.1)
        refused = client.plain(OTHER, OTHER_PASSWORD)

        assert E.SASL_AUTHENTICATION_FAILED == refused.error_code
        assert client.is_closed()


def test_c4_reauthentication_is_by_the_same_mechanism(server: SaslServer):
    """
    C4: another mechanism on the same connection is refused at its first token.
    """
    with server.connect_briefly() as client:
        client.plain(USER, PASSWORD)
        time.sleep(1.1)
        assert client.handshake("SCRAM-SHA-256").error_code == 0
        client.send(SaslAuthenticateRequest(auth_bytes=b"n,,n=app,r=abcdefgh"), 2)
        answered = server.differs(
            ours=True,
            kafka=False,
            reason="the client hears why; Kafka closes without an answer",
        )
        if answered:
            assert E.SASL_AUTHENTICATION_FAILED == client.receive().error_code

        assert client.is_closed()


def test_c4_reauthentication_has_to_wait(server: SaslServer):
    """
    C4: a handshake within a second of the last re-authentication gets 34, and is served on.
    """
    with server.connect_briefly() as client:
        client.plain(USER, PASSWORD)
        assert client.plain(USER, PASSWORD).error_code == 0
        code = client.ask(SaslHandshakeRequest(mechanism="PLAIN"), 1).error_code

        assert E.ILLEGAL_SASL_STATE == code
        assert client.ask(METADATA, 9).brokers


def test_c4_token_without_a_handshake(server: SaslServer):
    """
    C4: a token that nobody asked a known client for gets 34, and the connection stays.
    """
    with server.connect() as client:
        client.plain(USER, PASSWORD)

        assert E.ILLEGAL_SASL_STATE == client.token(b"").error_code
        assert client.ask(METADATA, 9).brokers


@pytest.mark.parametrize("message", TOKEN_REQUESTS, ids=type)
def test_c4_delegation_tokens_are_switched_off(server: SaslServer, message: Message):
    """
    C4: without delegation.token.secret.key whoever has authenticated hears so (61), in every
    version, and gets no token.
    """
    with server.connect() as client:
        client.plain(USER, PASSWORD)
        for version in range(message.min_version, message.max_version + 1):
            answer = client.ask(message, version)

            assert E.DELEGATION_TOKEN_AUTH_DISABLED == answer.error_code
            for name in ("token_id", "hmac", "tokens"):
                assert not getattr(answer, name, None)


def test_c4_delegation_token_for_somebody_else(server: SaslServer):
    """
    C4: who may not make a token for another user hears that (65), and of renewers that are no users
    (67), before he hears that there are none.
    """
    other = CreateDelegationTokenRequest(owner_principal_type="User", owner_principal_name="x")
    group = CreatableRenewers(principal_type="Group", principal_name="x")
    renewed = CreateDelegationTokenRequest(renewers=[group], max_lifetime_ms=-1)
    with server.connect() as client:
        client.plain(OTHER, OTHER_PASSWORD)
        found = [client.ask(one, 3).error_code for one in (other, renewed)]

    assert [E.DELEGATION_TOKEN_AUTHORIZATION_FAILED, E.INVALID_PRINCIPAL_TYPE] == found


@pytest.mark.parametrize("message", TOKEN_REQUESTS, ids=type)
def test_c4_delegation_tokens_are_for_who_is_known(server: SaslServer, message: Message):
    """
    C4: where nobody authenticates, delegation tokens are refused for that (64).
    """
    with server.connect_openly() as client:
        answer = client.ask(message, message.max_version)

    assert E.DELEGATION_TOKEN_REQUEST_NOT_ALLOWED == answer.error_code
