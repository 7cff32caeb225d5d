"""Connections over TLS: records arrive, and each way in which it fails is told by its class."""

from __future__ import annotations

import asyncio
import logging
import shutil
import ssl
import time

import pytest

from pyproducer import AsyncProducer, SyncProducer
from pyproducer.broker import Broker
from pyproducer.errors import (
    CertificateNotYetValid,
    ClientCertificateRefused,
    ConnectionFailed,
    DeliveryTimeout,
    ExpiredCertificate,
    TlsError,
    TlsNotOffered,
    UntrustedCertificate,
    WrongHostName,
)
from tests.helpers.tls_front import FRONT, TlsFront
from tests.helpers.tls_gate import TlsGate
from tests.security.conftest import HOSTS


def values(broker, topic="t"):
    return sorted(record.value for record in broker.records(topic))


async def until(condition):
    async with asyncio.timeout(60):
        while not condition():
            await asyncio.sleep(0.01)


@pytest.mark.parametrize("compression_type", ["none", "zstd"])
async def test_records_arrive_over_tls(broker, front, authority, compression_type):
    """
    Small and large records of several partitions arrive whole.
    """
    sent = [b"%d:" % number + b"x" * size for number, size in enumerate([0, 100, 70_000, 900_000])]
    async with AsyncProducer(
        front.address,
        security_protocol="SSL",
        ssl_ca=authority.certificate,
        compression_type=compression_type,
    ) as producer:
        await producer.send_many("t", sent, partitions=[0, 1, 2, 0])

    assert sorted(sent) == values(broker)
    assert front.accepted


def test_blocking_producers_too(broker, front, authority):
    """
    The blocking producer takes the same options, certificates as text among them.
    """
    with SyncProducer(
        front.address, security_protocol="SSL", ssl_ca=authority.certificate.read_text()
    ) as producer:
        producer.send_many("t", [b"%d" % number for number in range(1000)])

    assert 1000 == len(values(broker))


async def test_a_context_of_ones_own(broker, front, authority):
    """
    A context is used as it is.
    """
    context = ssl.create_default_context(cafile=authority.certificate)
    async with AsyncProducer(
        front.address, security_protocol="SSL", ssl_context=context
    ) as producer:
        await producer.send("t", b"x")

    assert [b"x"] == values(broker)


async def test_nothing_is_lost_without_acknowledgements(broker, front, authority):
    """
    With acks=0 what was sent before the close is written before the connection ends.
    """
    sent = [b"%04d" % number + b"x" * 10_000 for number in range(300)]
    async with AsyncProducer(
        front.address, security_protocol="SSL", ssl_ca=authority.certificate, acks=0
    ) as producer:
        await producer.send_many("t", sent)

    await until(lambda: len(broker.records("t")) == len(sent))
    assert sent == values(broker)


async def test_client_certificates(broker, port, authority):
    """
    A broker that wants a certificate is shown ours.
    """
    context = authority.server_context(authority.server("mutual", HOSTS))
    context.load_verify_locations(authority.certificate)
    context.verify_mode = ssl.CERT_REQUIRED
    client = authority.client("alice")
    with TlsFront(port, context) as front:
        async with AsyncProducer(
            front.address,
            security_protocol="SSL",
            ssl_ca=authority.certificate,
            ssl_certificate=client.certificate,
            ssl_key=client.key,
        ) as producer:
            await producer.send("t", b"x")

    assert [b"x"] == values(broker)


def demanding(authority, *, newest=None):
    """What a server uses that wants certificates of this authority."""
    context = authority.server_context(authority.server("demanding", HOSTS))
    context.load_verify_locations(authority.certificate)
    context.verify_mode = ssl.CERT_REQUIRED
    if newest is not None:
        context.maximum_version = newest
    return context


async def refused(address, **options):
    """The error of a start, which comes soon, and leaves nothing open."""
    producer = AsyncProducer(address, security_protocol="SSL", **options)
    began = time.monotonic()
    with pytest.raises(TlsError) as caught:
        await producer.start()
    # Far from max_block_ms, which is a minute.
    assert time.monotonic() - began < 30
    await producer.close()
    assert address in str(caught.value)
    assert caught.value.address == address
    return caught.value


@pytest.mark.parametrize(
    ("kind", "cls", "advice"),
    [
        ("expired", ExpiredCertificate, "renew it there"),
        ("early", CertificateNotYetValid, "look at the clocks"),
        ("elsewhere", WrongHostName, f"is not for '{FRONT}'"),
        ("untrusted", UntrustedCertificate, "as ssl_ca"),
    ],
)
async def test_bad_certificates(broker, port, authority, stranger, kind, cls, advice):
    """
    What is wrong with a broker's certificate has a class, and its text the next step.
    """
    identity = {
        "expired": lambda: authority.expired(hosts=HOSTS),
        "early": lambda: authority.not_yet_valid(hosts=HOSTS),
        "elsewhere": lambda: authority.server("elsewhere", ("elsewhere.test",)),
        "untrusted": lambda: stranger.server("untrusted", HOSTS),
    }[kind]()
    with TlsFront(port, authority.server_context(identity)) as front:
        error = await refused(front.address, ssl_ca=authority.certificate)

    assert type(error) is cls
    assert advice in str(error)
    assert isinstance(error, ConnectionFailed)


async def test_a_name_that_is_not_checked(broker, port, authority):
    """
    With ssl_check_hostname=False any certificate of the authority will do.
    """
    identity = authority.server("nowhere", ("nowhere.test",))
    with TlsFront(port, authority.server_context(identity)) as front:
        async with AsyncProducer(
            front.address,
            security_protocol="SSL",
            ssl_ca=authority.certificate,
            ssl_check_hostname=False,
        ) as producer:
            await producer.send("t", b"x")

    assert [b"x"] == values(broker)


@pytest.mark.parametrize("newest", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
async def test_a_client_certificate_that_is_lacking_or_refused(authority, stranger, newest):
    """
    A broker that wants a certificate refuses one without, and one by another authority.
    """
    with TlsGate(demanding(authority, newest=newest)) as front:
        lacking = await refused(front.address, ssl_ca=authority.certificate)
        wrong = stranger.client("mallory")
        other = await refused(
            front.address,
            ssl_ca=authority.certificate,
            ssl_certificate=wrong.certificate,
            ssl_key=wrong.key,
        )

    assert type(lacking) is type(other) is ClientCertificateRefused
    assert "give ssl_certificate" in str(lacking)
    assert "refuses our certificate" in str(other)


async def test_tls_to_a_plain_port(authority):
    """
    A port that is no TLS port is told from one with a bad certificate.
    """
    with Broker({"t": 1}) as plain:
        error = await refused(plain.bootstrap_servers, ssl_ca=authority.certificate)

    assert type(error) is TlsNotOffered


async def test_no_tls_to_a_tls_port(front):
    """
    A plain connection to a port of TLS fails at once, and the text says what may be the matter.
    """
    producer = AsyncProducer(front.address)
    with pytest.raises(ConnectionFailed, match=r"expects? TLS"):
        await producer.start()
    await producer.close()


async def test_one_bad_broker_among_good_ones(broker, port, front, authority, caplog):
    """
    One bootstrap server with a wrong certificate does not keep a producer from the others.
    """
    with Broker({"t": 1}, advertised_host=FRONT) as other:
        number = int(other.bootstrap_servers.rpartition(":")[2])
        with TlsFront(number, authority.server_context(authority.expired(hosts=HOSTS))) as bad:
            async with AsyncProducer(
                [bad.address, front.address],
                security_protocol="SSL",
                ssl_ca=authority.certificate,
            ) as producer:
                await producer.send("t", b"x")

    assert [b"x"] == values(broker)
    assert 1 == sum("is not valid any more" in one.getMessage() for one in caplog.records)


async def test_certificates_change_while_records_flow(broker, front, authority, stranger, tmp_path):
    """
    Another authority's file is used for new connections at once, and no record is lost by it.
    """
    ca = tmp_path / "ca.pem"
    shutil.copy(authority.certificate, ca)
    async with AsyncProducer(
        front.address, security_protocol="SSL", ssl_ca=ca, reconnect_backoff_ms=10
    ) as producer:
        deliveries = []

        async def write(first, last):
            for number in range(first, last):
                deliveries.append(await producer.enqueue("t", b"%06d" % number))

        await write(0, 20_000)
        (tmp_path / "new").write_bytes(stranger.certificate.read_bytes())
        (tmp_path / "new").replace(ca)
        front.show(stranger.server_context(stranger.server("renewed", HOSTS)))
        await write(20_000, 40_000)
        await producer.flush()

    assert [None] * 40_000 == [one.exception() for one in deliveries]
    assert [b"%06d" % number for number in range(40_000)] == values(broker)


async def test_a_file_that_is_half_written(broker, front, authority, tmp_path, caplog):
    """
    A broken file is warned of once, and what it replaced goes on being used.
    """
    caplog.set_level(logging.INFO, "pyproducer")
    ca = tmp_path / "ca.pem"
    shutil.copy(authority.certificate, ca)
    async with AsyncProducer(
        front.address, security_protocol="SSL", ssl_ca=ca, reconnect_backoff_ms=10
    ) as producer:
        await producer.send("t", b"1")
        ca.write_bytes(authority.certificate.read_bytes()[:300])
        for value in (b"2", b"3"):
            accepted = front.accepted
            front.cut()
            await producer.send("t", value)
            assert front.accepted > accepted

    assert [b"1", b"2", b"3"] == values(broker)
    warned = [
        one.getMessage() for one in caplog.records if "goes on being used" in one.getMessage()
    ]
    assert 1 == len(warned)
    assert f"ssl_ca: '{ca}'" in warned[0]


async def test_what_a_record_waited_for(broker, front, authority, stranger, caplog):
    """
    Records wait where security fails later on; their timeout names the reason, the log does once.
    """
    async with AsyncProducer(
        front.address,
        security_protocol="SSL",
        ssl_ca=authority.certificate,
        delivery_timeout_ms=2_000,
        request_timeout_ms=1_000,
        linger_ms=0,
    ) as producer:
        await producer.send("one", b"1")
        front.show(stranger.server_context(stranger.server("other", HOSTS)))
        with pytest.raises(DeliveryTimeout, match=r"is not to be trusted.*as ssl_ca"):
            await producer.send("one", b"2")

    told = [one for one in caplog.records if "is not to be trusted" in one.getMessage()]
    assert 1 == len([one for one in told if one.name == "pyproducer.engine"])
    assert [b"1"] == values(broker, "one")
