"""Users: Kafka's APIs about them, `broker.users`, and what is kept where."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path

import pytest

from pyproducer.broker import Broker, Listener
from pyproducer.errors import ConfigError
from pyproducer.protocol.error_codes import ErrorCode
from pyproducer.protocol.messages.alter_user_scram_credentials import (
    AlterUserScramCredentialsRequest,
    ScramCredentialDeletion,
    ScramCredentialUpsertion,
)
from pyproducer.protocol.messages.describe_user_scram_credentials import (
    DescribeUserScramCredentialsRequest,
    UserName,
)
from pyproducer.protocol.messages.metadata import MetadataRequest
from tests.helpers.secure_client import SecureClient

E = ErrorCode
SHA256, SHA512 = 1, 2
OPEN_AND_SASL = [Listener(), Listener(protocol="SASL_PLAINTEXT")]
SALT = b"salt of sixteen."

Connect = Callable[[], SecureClient]


def upsertion(
    name: str,
    password: str = "secret",
    *,
    mechanism: int = SHA256,
    iterations: int = 4096,
    salt: bytes = SALT,
) -> ScramCredentialUpsertion:
    """A new password, as an admin client sends it."""
    digest = "sha512" if mechanism == SHA512 else "sha256"
    return ScramCredentialUpsertion(
        name=name,
        mechanism=mechanism,
        iterations=iterations,
        salt=salt,
        salted_password=hashlib.pbkdf2_hmac(digest, password.encode(), salt, max(iterations, 1)),
    )


def deletion(name: str, mechanism: int = SHA256) -> ScramCredentialDeletion:
    return ScramCredentialDeletion(name=name, mechanism=mechanism)


def alter(client: SecureClient, *changes: object) -> dict[str, int]:
    """The error codes that the changes got, by user."""
    request = AlterUserScramCredentialsRequest(
        deletions=[one for one in changes if isinstance(one, ScramCredentialDeletion)],
        upsertions=[one for one in changes if isinstance(one, ScramCredentialUpsertion)],
    )
    return {one.user: one.error_code for one in client.ask(request, 0).results}


def describe(client: SecureClient, *names: str) -> dict[str, tuple[int, list[tuple[int, int]]]]:
    """Of each user the error code, and mechanisms with iterations."""
    wanted = [UserName(name=name) for name in names] or None
    answer = client.ask(DescribeUserScramCredentialsRequest(users=wanted), 0)
    assert answer.error_code == 0
    return {
        one.user: (one.error_code, [(i.mechanism, i.iterations) for i in one.credential_infos])
        for one in answer.results
    }


def can_come_in(broker: Broker, mechanism: str, name: str, password: str) -> bool:
    """Whether the broker lets them in at its listener with SASL."""
    with SecureClient(broker.bootstrap_servers_of("SASL_PLAINTEXT")) as client:
        if mechanism == "PLAIN":
            return client.plain(name, password).error_code == 0
        return client.scram(mechanism, name, password).error_code == 0


def test_users_life(tmp_path: Path):
    """
    A user that is made may come in, also after a restart, until it is removed.
    """
    with Broker(listeners=OPEN_AND_SASL, data_dir=tmp_path) as broker:
        with SecureClient(broker.bootstrap_servers) as client:
            assert alter(client, upsertion("carol", iterations=5000)) == {"carol": 0}
            assert alter(client, upsertion("carol", mechanism=SHA512)) == {"carol": 0}
            assert describe(client) == {"carol": (0, [(SHA256, 5000), (SHA512, 4096)])}
        for mechanism in ("SCRAM-SHA-256", "SCRAM-SHA-512"):
            assert can_come_in(broker, mechanism, "carol", "secret")
            assert not can_come_in(broker, mechanism, "carol", "wrong")
        # Nobody has told its password.
        assert not can_come_in(broker, "PLAIN", "carol", "secret")
        broker.stop()
        kept = (tmp_path / "pyproducer-metadata.json").read_text()
        assert "carol" in kept
        assert "secret" not in kept
        broker.start()
        assert can_come_in(broker, "SCRAM-SHA-256", "carol", "secret")
        with SecureClient(broker.bootstrap_servers) as client:
            assert alter(client, deletion("carol")) == {"carol": 0}
            assert describe(client, "carol") == {"carol": (0, [(SHA512, 4096)])}
        assert not can_come_in(broker, "SCRAM-SHA-256", "carol", "secret")
        assert can_come_in(broker, "SCRAM-SHA-512", "carol", "secret")


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ([deletion("x")], E.RESOURCE_NOT_FOUND),
        ([upsertion("x", iterations=4095)], E.UNACCEPTABLE_CREDENTIAL),
        ([upsertion("x", iterations=16385)], E.UNACCEPTABLE_CREDENTIAL),
        ([upsertion("x", salt=b"short")], E.UNACCEPTABLE_CREDENTIAL),
        ([upsertion("")], E.UNACCEPTABLE_CREDENTIAL),
        ([upsertion("x", mechanism=0)], E.UNSUPPORTED_SASL_MECHANISM),
        ([deletion("x", mechanism=3)], E.UNSUPPORTED_SASL_MECHANISM),
        ([upsertion("x"), upsertion("x", mechanism=SHA512)], E.DUPLICATE_RESOURCE),
        ([deletion("x"), upsertion("x")], E.DUPLICATE_RESOURCE),
    ],
)
def test_refused_changes_leave_the_others(changes: list, code: ErrorCode):
    """
    What cannot be done has Kafka's code, once for a user, and others are changed all the same.
    """
    with Broker() as broker, SecureClient(broker.bootstrap_servers) as client:
        [name] = {one.name for one in changes}

        assert alter(client, *changes, upsertion("good")) == {name: code, "good": 0}
        assert list(describe(client)) == ["good"]


def test_describing_users():
    """
    A user that is not there, or named twice, has its own error.
    """
    with Broker() as broker, SecureClient(broker.bootstrap_servers) as client:
        alter(client, upsertion("a"))

        assert describe(client, "a", "b", "b", "c") == {
            "a": (0, [(SHA256, 4096)]),
            "b": (E.DUPLICATE_RESOURCE, []),
            "c": (E.RESOURCE_NOT_FOUND, []),
        }


@pytest.mark.parametrize("mechanism", ["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"])
def test_users_of_who_holds_the_broker(mechanism: str):
    """
    `broker.users` changes who may come in, before, while and after it runs.
    """
    broker = Broker(listeners=OPEN_AND_SASL, users={"a": "1", "b": "2"})
    broker.users.set("a", "11")
    broker.users.remove("b")
    with broker:
        assert can_come_in(broker, mechanism, "a", "11")
        assert not can_come_in(broker, mechanism, "a", "1")
        assert not can_come_in(broker, mechanism, "b", "2")
        broker.users.set("c", "3")
        broker.users.remove("a")
        assert ["c"] == list(broker.users)
        assert "c" in broker.users
        assert can_come_in(broker, mechanism, "c", "3")
        assert not can_come_in(broker, mechanism, "a", "11")
    with broker:
        assert can_come_in(broker, mechanism, "c", "3")


def test_open_connections_stay():
    """
    A password that has changed is asked for at the next authentication.
    """
    with (
        Broker(security="SASL_PLAINTEXT", users={"a": "1"}) as broker,
        SecureClient(broker.bootstrap_servers) as client,
    ):
        client.plain("a", "1")
        broker.users.set("a", "2")

        assert client.ask(MetadataRequest(topics=[]), 9).brokers


def test_users_of_one_listener():
    """
    Users of PLAIN in a listener's sasl.jaas.config are that listener's alone.
    """
    jaas = (
        "org.apache.kafka.common.security.plain.PlainLoginModule required\n"
        'username="admin" password="x" user_admin="x" user_dan="a \\"quoted\\" one" ;'
    )
    config = {"plain.sasl.jaas.config": jaas}
    listeners = [
        Listener(name="SASL_PLAINTEXT", protocol="SASL_PLAINTEXT", config=config),
        Listener(name="OTHER", protocol="SASL_PLAINTEXT"),
    ]
    with Broker(listeners=listeners, users={"a": "1"}) as broker:
        assert can_come_in(broker, "PLAIN", "dan", 'a "quoted" one')
        assert can_come_in(broker, "PLAIN", "admin", "x")
        assert can_come_in(broker, "PLAIN", "a", "1")
        with SecureClient(broker.bootstrap_servers_of("OTHER")) as client:
            assert client.plain("admin", "x").error_code == E.SASL_AUTHENTICATION_FAILED


@pytest.mark.parametrize(
    ("users", "why"),
    [
        ({"": "x"}, "no name of a user"),
        ({"a": ""}, "the password of user 'a' is no text, or empty"),
        ({"a": 5}, "the password of user 'a'"),
        (["a"], "maps names to passwords"),
    ],
)
def test_what_are_no_users(users: object, why: str):
    """
    What is no name, or no password, is refused when the broker is made.
    """
    with pytest.raises(ConfigError, match=why):
        Broker(security="SASL_PLAINTEXT", users=users)


def test_users_that_nobody_asks_for_a_password():
    """
    Users without a listener with SASL would do nothing, and are refused.
    """
    with pytest.raises(ConfigError, match="security='SASL_PLAINTEXT'"):
        Broker(users={"a": "1"})
