"""A table of what people get wrong: each has an error of its own, soon, that says what to do."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from cryptography.hazmat.primitives.asymmetric.rsa import generate_private_key

from pyproducer import (
    AsyncProducer,
    CertificateNotYetValid,
    ClientCertificateRefused,
    CredentialsRefused,
    ExpiredCertificate,
    InvalidToken,
    MechanismNotOffered,
    ProducerError,
    ProviderFailed,
    SaslExpected,
    SyncProducer,
    TlsExpected,
    TlsNotOffered,
    UntrustedCertificate,
    WrongHostName,
)
from pyproducer.security import Token
from tests.helpers.access import Access
from tests.helpers.authority import Authority
from tests.helpers.command_line import run_cli
from tests.helpers.secured import USER, Secured, access

#: What is promised: an answer within so many seconds.
SECONDS = 5.0
SECRET = "a-password-nobody-has"


class Case(NamedTuple):
    """One mistake.

    Attributes:
        make: gives the access that has it; ``elsewhere`` is an authority that nobody trusts.
        error: what `start` raises.
        told: what its text has beside the broker's address: the cause, and what to do.
    """

    make: Callable[[Secured, Authority], Access]
    error: type[ProducerError]
    told: tuple[str, ...]


def change(way: Access, **changes: Any) -> Access:
    return dataclasses.replace(way, **changes)


def with_token(**claims: Any) -> Callable[[Secured, Authority], Access]:
    """The right way in, but for the claims of the token."""

    def make(broker: Secured, _: Authority) -> Access:
        return change(
            access(broker, "SASL", "OAUTHBEARER"),
            token=lambda: broker.tokens.token(USER, **claims),
        )

    return make


def with_password(mechanism: str, **changes: str) -> Callable[[Secured, Authority], Access]:
    return lambda broker, _: change(access(broker, "SASL", mechanism), **changes)


CASES = {
    "wrong authority": Case(
        lambda broker, other: change(access(broker, "TLS"), authority=other.certificate),
        UntrustedCertificate,
        ("ssl_ca",),
    ),
    "expired certificate": Case(
        lambda broker, _: access(broker, "EXPIRED"), ExpiredCertificate, ("expired", "renew")
    ),
    "certificate of tomorrow": Case(
        lambda broker, _: access(broker, "EARLY"), CertificateNotYetValid, ("not yet", "clock")
    ),
    "another host's certificate": Case(
        lambda broker, _: access(broker, "ELSEWHERE"), WrongHostName, ("127.0.0.1", "name")
    ),
    "plain to a port with TLS": Case(
        lambda broker, _: change(access(broker, "TLS"), protocol="PLAINTEXT", authority=None),
        TlsExpected,
        ("TLS", "security_protocol"),
    ),
    "SASL without TLS to a port with both": Case(
        lambda broker, _: change(
            access(broker, "SASL", "PLAIN"), protocol="SASL_PLAINTEXT", authority=None
        ),
        TlsExpected,
        ("TLS", "security_protocol"),
    ),
    "TLS to a plain port": Case(
        lambda broker, _: change(access(broker, "TLS"), address=broker.address("OPEN")),
        TlsNotOffered,
        ("TLS", "security_protocol"),
    ),
    "SASL and TLS to a port without TLS": Case(
        lambda broker, _: change(access(broker, "SASL", "PLAIN"), address=broker.address("CLEAR")),
        TlsNotOffered,
        ("TLS", "security_protocol"),
    ),
    "no client certificate": Case(
        lambda broker, _: change(access(broker, "MTLS"), shown=None),
        ClientCertificateRefused,
        ("ssl_certificate",),
    ),
    "untrusted client certificate": Case(
        lambda broker, other: change(access(broker, "MTLS"), shown=other.client(USER)),
        ClientCertificateRefused,
        ("certificate",),
    ),
    **{
        f"wrong password for {mechanism}": Case(
            with_password(mechanism, password=SECRET),
            CredentialsRefused,
            (mechanism, "password"),
        )
        for mechanism in ("PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512")
    },
    **{
        f"unknown user for {mechanism}": Case(
            with_password(mechanism, username="nobody"),
            CredentialsRefused,
            (mechanism, "name"),
        )
        for mechanism in ("PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512")
    },
    "mechanism that is not offered": Case(
        lambda broker, _: change(access(broker, "SASL", "PLAIN"), address=broker.address("ONE")),
        MechanismNotOffered,
        ("'PLAIN'", "SCRAM-SHA-512"),
    ),
    "SASL where there is none": Case(
        lambda broker, _: change(access(broker, "SASL", "PLAIN"), address=broker.address("TLS")),
        MechanismNotOffered,
        ("no SASL", "security_protocol"),
    ),
    "plain to a port with SASL": Case(
        lambda broker, _: change(access(broker, "CLEAR"), protocol="PLAINTEXT"),
        SaslExpected,
        ("wants SASL", "sasl_mechanism", "closed the connection"),
    ),
    "TLS alone to a port with SASL": Case(
        lambda broker, _: change(access(broker, "SASL"), protocol="SSL"),
        SaslExpected,
        ("wants SASL", "sasl_mechanism", "closed the connection"),
    ),
    "expired token": Case(with_token(lifetime=-120), InvalidToken, ("expire", "clock")),
    "token for somebody else": Case(
        with_token(audience="another cluster"), InvalidToken, ("token", "audience")
    ),
    "token of another issuer": Case(
        with_token(issuer="https://elsewhere.test"), InvalidToken, ("token", "issuer")
    ),
    "token that somebody else signed": Case(
        with_token(key=generate_private_key(public_exponent=65537, key_size=2048)),
        InvalidToken,
        ("token",),
    ),
}


@pytest.fixture(scope="session")
def other_authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    """An authority that neither the brokers nor their users trust."""
    return Authority(tmp_path_factory.mktemp("other"), "other")


def check(case: Case, way: Access, error: ProducerError, seconds: float) -> None:
    """The error is what the table says."""
    text = str(error)
    assert case.error is type(error), text
    assert seconds < SECONDS
    for part in (way.address, *case.told):
        assert part in text
    assert SECRET not in text + repr(error)
    assert "\n" not in text


@pytest.mark.parametrize("name", CASES)
async def test_producer_of_asyncio(secured: Secured, other_authority: Authority, name: str) -> None:
    """
    The producer does not start, and says why.
    """
    case = CASES[name]
    way = case.make(secured, other_authority)
    producer = AsyncProducer(way.address, **way.ours())

    begun = time.monotonic()
    with pytest.raises(ProducerError) as caught:
        await producer.start()

    check(case, way, caught.value, time.monotonic() - begun)
    await producer.close()


@pytest.mark.parametrize("name", CASES)
def test_blocking_producer(secured: Secured, other_authority: Authority, name: str) -> None:
    """
    So does the blocking one.
    """
    case = CASES[name]
    way = case.make(secured, other_authority)

    begun = time.monotonic()
    with pytest.raises(ProducerError) as caught, SyncProducer(way.address, **way.ours()):
        pass

    check(case, way, caught.value, time.monotonic() - begun)


@pytest.mark.parametrize(("listener", "protocol"), [("CLEAR", "PLAINTEXT"), ("SASL", "SSL")])
@pytest.mark.parametrize(
    "command", [("topics", "list"), ("produce", "no-matter"), ("acls", "list")]
)
def test_command_without_sasl(
    secured: Secured, tmp_path: Path, listener: str, protocol: str, command: tuple[str, ...]
) -> None:
    """
    A command to a port that wants SASL says so, and gives up within seconds.
    """
    way = change(access(secured, listener), protocol=protocol)
    settings = tmp_path / "client.properties"
    lines = [f"{name}={value}" for name, value in way.librdkafka().items()]
    settings.write_text("\n".join(lines), encoding="utf-8")

    begun = time.monotonic()
    done = run_cli(
        *command,
        "--config",
        settings,
        "--dialect",
        "librdkafka",
        servers=way.address,
        stdin="a record\n",
    )

    assert time.monotonic() - begun < SECONDS + 5
    assert 3 == done.returncode
    for part in (way.address, "wants SASL", "sasl_mechanism"):
        assert part in done.stderr
    assert "Traceback" not in done.stderr


async def test_token_that_only_the_broker_knows_is_over(secured: Secured) -> None:
    """
    A token that its provider holds for good is refused by the broker's own words.
    """
    way = access(secured, "SASL", "OAUTHBEARER")
    value = secured.tokens.token(USER, lifetime=-120)
    options = {**way.ours(), "sasl_token_provider": lambda: Token(value, lifetime=60)}

    begun = time.monotonic()
    with pytest.raises(InvalidToken) as caught:
        await AsyncProducer(way.address, **options).start()

    assert time.monotonic() - begun < SECONDS
    for part in (way.address, "the broker refuses the token", "lifetime"):
        assert part in str(caught.value)
    assert value not in str(caught.value)


async def test_provider_that_fails(secured: Secured) -> None:
    """
    What a provider raises is the cause of the error.
    """
    way = access(secured, "SASL", "OAUTHBEARER")
    trouble = OSError("the safe is locked")

    async def provider() -> Token:
        raise trouble

    options = {**way.ours(), "sasl_token_provider": provider}
    begun = time.monotonic()
    with pytest.raises(ProviderFailed, match="the safe is locked") as caught:
        await AsyncProducer(way.address, **options).start()

    assert time.monotonic() - begun < SECONDS
    assert trouble is caught.value.__cause__


def test_every_error_of_the_two_families_is_in_the_table() -> None:
    """
    No class that tells a mistake of these kinds is without one that makes it.
    """
    from pyproducer import errors

    made = {case.error for case in CASES.values()} | {InvalidToken, ProviderFailed}
    families = (errors.TlsError, errors.AuthenticationError)
    known = {
        one
        for one in vars(errors).values()
        if isinstance(one, type) and issubclass(one, families) and one not in families
    }
    assert known == made
