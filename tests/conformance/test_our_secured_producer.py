"""Our producer at an Apache Kafka that lets nobody in unasked."""

from __future__ import annotations

import asyncio
import logging

import pytest

from pyproducer import AsyncProducer, SyncProducer
from pyproducer.errors import (
    AuthorizationError,
    BrokerRejected,
    CertificateNotYetValid,
    ClientCertificateRefused,
    ClusterAuthorizationFailed,
    CredentialsRefused,
    DeliveryTimeout,
    ExpiredCertificate,
    GroupAuthorizationFailed,
    InvalidToken,
    MechanismNotOffered,
    ProviderFailed,
    TlsExpected,
    TlsNotOffered,
    TopicAuthorizationFailed,
    TransactionalIdAuthorizationFailed,
    UntrustedCertificate,
    WrongHostName,
)
from pyproducer.security import Token
from tests.helpers.authority import Authority
from tests.helpers.cluster_admin import Allowed, allow
from tests.helpers.secure_kafka import (
    BRIEF_MS,
    MECHANISMS,
    OTHER,
    OTHER_PASSWORD,
    PASSWORD,
    USER,
    SecureKafka,
    principals,
)

TOPIC = "secured"
pytestmark = pytest.mark.needs("kafka")


def options(kafka: SecureKafka, listener: str, mechanism: str | None = None, **more):
    """What a producer is given for the right way in."""
    way = kafka.access(listener, mechanism)
    found = {"bootstrap_servers": way.address, "security_protocol": way.protocol}
    if way.protocol.endswith("SSL"):
        found["ssl_ca"] = way.authority
    if way.shown:
        found |= {"ssl_certificate": way.shown.certificate, "ssl_key": way.shown.key}
    if mechanism:
        found["sasl_mechanism"] = mechanism
    if way.token:
        found["sasl_token_provider"] = lambda: Token(way.token(), lifetime=kafka.tokens.lifetime)
    elif mechanism:
        found |= {"sasl_username": way.username, "sasl_password": way.password}
    return found | more


@pytest.fixture(scope="module")
def kafka(secure_kafka: SecureKafka) -> SecureKafka:
    secure_kafka.create_topics({TOPIC: 1})
    return secure_kafka


@pytest.mark.parametrize(
    ("listener", "mechanism"),
    [
        ("TLS", None),
        ("MTLS", None),
        ("CLEAR", "PLAIN"),
        *[("SASL", mechanism) for mechanism in MECHANISMS],
    ],
)
async def test_every_way_in(kafka, listener, mechanism):
    """
    Records arrive by each listener and mechanism.
    """
    async with AsyncProducer(**options(kafka, listener, mechanism)) as producer:
        sent = await producer.send_many(TOPIC, [b"%d" % number for number in range(100)])

    offsets = [one.offset for one in sent]
    assert list(range(offsets[0], offsets[0] + 100)) == offsets


def test_blocking_too(kafka):
    """
    The blocking producer proves who it is in the same way.
    """
    with SyncProducer(**options(kafka, "SASL", "SCRAM-SHA-512")) as producer:
        assert producer.send(TOPIC, b"x").offset >= 0


@pytest.mark.parametrize("mechanism", MECHANISMS)
async def test_sessions_are_renewed(kafka, mechanism, caplog):
    """
    Through several sessions, idle and busy, nothing is lost and nothing is logged as trouble.
    """
    caplog.set_level(logging.INFO, "pyproducer")
    async with AsyncProducer(**options(kafka, "BRIEF", mechanism, linger_ms=0)) as producer:
        first = (await producer.send(TOPIC, b"first")).offset
        await asyncio.sleep(3 * BRIEF_MS / 1000)
        deliveries = [
            await producer.send(TOPIC, b"%d" % number)
            for number in range(50)
            if await asyncio.sleep(BRIEF_MS / 1000 / 20) is None
        ]

    assert list(range(first + 1, first + 51)) == [one.offset for one in deliveries]
    told = [one.getMessage() for one in caplog.records if one.name.startswith("pyproducer")]
    assert [] == told


async def refusal(kafka, listener, mechanism=None, **more):
    """What a start is refused with."""
    producer = AsyncProducer(**options(kafka, listener, mechanism, **more))
    async with asyncio.timeout(20):
        with pytest.raises(Exception) as caught:
            await producer.start()
    await producer.close()
    assert kafka.address(listener) in str(caught.value)
    return caught.value


async def test_what_is_wrong_with_certificates(kafka, tmp_path):
    """
    Each thing that can be wrong with a certificate has a class of its own.
    """
    stranger = Authority(tmp_path, "stranger")
    mallory = stranger.client("mallory")
    found = {
        "untrusted": await refusal(kafka, "TLS", ssl_ca=stranger.certificate),
        "expired": await refusal(kafka, "EXPIRED"),
        "early": await refusal(kafka, "EARLY"),
        "elsewhere": await refusal(kafka, "ELSEWHERE"),
        "lacking": await refusal(kafka, "MTLS", ssl_certificate=None, ssl_key=None),
        "refused": await refusal(
            kafka, "MTLS", ssl_certificate=mallory.certificate, ssl_key=mallory.key
        ),
        "plain port": await refusal(
            kafka, "OPEN", security_protocol="SSL", ssl_ca=stranger.certificate
        ),
        "tls port": await refusal(kafka, "TLS", security_protocol="PLAINTEXT", ssl_ca=None),
    }

    assert {
        "untrusted": UntrustedCertificate,
        "expired": ExpiredCertificate,
        "early": CertificateNotYetValid,
        "elsewhere": WrongHostName,
        "lacking": ClientCertificateRefused,
        "refused": ClientCertificateRefused,
        "plain port": TlsNotOffered,
        "tls port": TlsExpected,
    } == {name: type(error) for name, error in found.items()}


@pytest.mark.parametrize("mechanism", ["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"])
async def test_a_wrong_password(kafka, mechanism):
    """
    A wrong password is refused at once, by name, and is in no text.
    """
    error = await refusal(kafka, "SASL", mechanism, sasl_password="not-" + PASSWORD)

    assert type(error) is CredentialsRefused
    assert PASSWORD not in str(error)
    assert mechanism == error.mechanism


async def test_what_is_wrong_with_tokens(kafka):
    """
    An expired or foreign token is told from a provider that fails.
    """
    tokens = kafka.tokens

    def fails():
        raise OSError("the identity provider is down")

    expired = await refusal(
        kafka,
        "SASL",
        "OAUTHBEARER",
        sasl_token_provider=lambda: Token(tokens.token(USER, lifetime=-600), lifetime=60),
    )
    foreign = await refusal(
        kafka,
        "SASL",
        "OAUTHBEARER",
        sasl_token_provider=lambda: Token(tokens.token(USER, audience="another"), lifetime=60),
    )
    failed = await refusal(kafka, "SASL", "OAUTHBEARER", sasl_token_provider=fails)

    assert type(expired) is type(foreign) is InvalidToken
    assert type(failed) is ProviderFailed
    assert "the identity provider is down" in str(failed)
    assert isinstance(failed.__cause__, OSError)


async def test_a_mechanism_that_is_not_there(kafka):
    """
    A listener without SASL is told from refused credentials.
    """
    error = await refusal(
        kafka,
        "OPEN",
        "PLAIN",
        security_protocol="SASL_PLAINTEXT",
        sasl_username=USER,
        sasl_password=PASSWORD,
    )

    assert type(error) is MechanismNotOffered


async def test_a_listener_that_wants_to_know_who_we_are(kafka):
    """
    Without SASL at a listener that wants it, a record's timeout says what may be the matter.
    """
    async with AsyncProducer(
        **options(kafka, "SASL", security_protocol="SSL"),
        delivery_timeout_ms=3_000,
        request_timeout_ms=1_000,
    ) as producer:
        with pytest.raises(DeliveryTimeout, match="security_protocol with SASL"):
            await producer.send(TOPIC, b"x")


async def test_rights_that_are_lacking(kafka):
    """
    What a client may not do is told by the resource's own class, and by the usual one.
    """
    narrow = {"sasl_username": OTHER, "sasl_password": OTHER_PASSWORD}
    for principal in principals(OTHER):
        allow(
            kafka.bootstrap_servers,
            principal,
            [
                Allowed("TOPIC", "allowed", "ALL"),
                Allowed("TRANSACTIONAL_ID", "allowed", "ALL"),
            ],
        )
    kafka.create_topics({"allowed": 1})
    async with AsyncProducer(**options(kafka, "SASL", "PLAIN", **narrow)) as producer:
        await producer.send("allowed", b"x")
        with pytest.raises(TopicAuthorizationFailed) as topic:
            await producer.send(TOPIC, b"x")
    with pytest.raises(TransactionalIdAuthorizationFailed) as transactions:
        await AsyncProducer(
            **options(kafka, "SASL", "PLAIN", **narrow, transactional_id="forbidden")
        ).start()
    async with AsyncProducer(
        **options(kafka, "SASL", "PLAIN", **narrow, transactional_id="allowed")
    ) as producer:
        with pytest.raises(GroupAuthorizationFailed) as group:
            async with producer.transaction() as tx:
                await producer.send("allowed", b"y")
                await tx.send_offsets({("allowed", 0): 1}, "forbidden")

    for caught, resource in [(topic, TOPIC), (transactions, "forbidden"), (group, "forbidden")]:
        assert isinstance(caught.value, AuthorizationError)
        assert resource == caught.value.resource
        assert resource in str(caught.value)
    assert isinstance(topic.value, BrokerRejected)
    assert "TOPIC_AUTHORIZATION_FAILED" == topic.value.broker_error


async def test_a_producer_that_may_do_nothing(kafka):
    """
    Without any right to write there is no producer id: the cluster's refusal stops the producer.
    """
    kafka.tokens.clients.setdefault("nobody", "x")
    provider = lambda: Token(kafka.tokens.token("nobody"), lifetime=600)  # noqa: E731
    async with AsyncProducer(
        **options(kafka, "SASL", "OAUTHBEARER", sasl_token_provider=provider)
    ) as producer:
        with pytest.raises(ClusterAuthorizationFailed) as caught:
            await producer.send(TOPIC, b"x")

    assert "cluster" == caught.value.resource


async def test_a_password_that_changes(kafka):
    """
    A callable password is asked at each authentication; records wait while it is the wrong one.
    """
    password = "not-" + PASSWORD
    given = []

    def current():
        given.append(password)
        return password

    password = PASSWORD
    async with AsyncProducer(
        **options(kafka, "BRIEF", "PLAIN", sasl_password=current, linger_ms=0)
    ) as producer:
        offsets = [(await producer.send(TOPIC, b"1")).offset]
        password = "not-" + PASSWORD
        await asyncio.sleep(2 * BRIEF_MS / 1000)
        waiting = await producer.enqueue(TOPIC, b"2")
        await asyncio.sleep(0.5)
        assert not waiting.done()
        password = PASSWORD
        offsets.append((await waiting).offset)

    assert [offsets[0], offsets[0] + 1] == offsets
    assert "not-" + PASSWORD in given
