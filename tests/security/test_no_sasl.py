"""A client without SASL at a port that wants it is told so; and no other port is accused of it."""

from __future__ import annotations

import logging
import time

import pytest

from pyproducer import AsyncProducer, DeliveryTimeout, SaslExpected, SyncProducer
from pyproducer.broker import Broker, Listener
from tests.helpers.processes import free_ports

GUARDED = Listener(protocol="SASL_PLAINTEXT")
USERS = {"alice": "secret"}
QUESTIONS = ("Metadata", "InitProducerId")


@pytest.mark.parametrize(
    "options",
    [{}, {"acks": 1, "enable_idempotence": False}, {"transactional_id": "x"}, {"acks": 0}],
    ids=["plain", "acks=1", "transactional", "acks=0"],
)
async def test_start_tells_what_is_missing(options):
    """
    Whatever a producer would ask first, its start ends soon with an error of its own.
    """
    with Broker({"t": 1}, listeners=[GUARDED], users=USERS) as broker:
        producer = AsyncProducer(broker.bootstrap_servers, **options)
        begun = time.monotonic()
        with pytest.raises(SaslExpected) as caught:
            await producer.start()

        assert time.monotonic() - begun < 5
        assert broker.bootstrap_servers == caught.value.address
        for part in (broker.bootstrap_servers, "wants SASL", "security_protocol"):
            assert part in str(caught.value)
        # And again: a start that failed may be tried again, and fails again.
        with pytest.raises(SaslExpected):
            await producer.start()
        await producer.close()


async def test_a_port_that_comes_to_want_sasl(caplog):
    """
    The log and the error of a record name the likely cause once a running producer is shut out.
    """
    (port,) = free_ports(1)
    with Broker({"t": 1}, port=port) as broker:
        producer = AsyncProducer(
            broker.bootstrap_servers,
            delivery_timeout_ms=2000,
            request_timeout_ms=1000,
            linger_ms=0,
        )
        await producer.start()
        await producer.send("t", b"before")
    guarded = Listener(port=port, protocol="SASL_PLAINTEXT")
    with Broker({"t": 1}, listeners=[guarded], users=USERS):
        for topic in ("t", "unknown"):
            with pytest.raises(DeliveryTimeout, match="most likely this listener wants SASL"):
                await producer.send(topic, b"behind")
        await producer.close()

    assert [] != [one for one in caplog.records if "wants SASL" in one.getMessage()]


@pytest.mark.parametrize("times", [1, 2])
async def test_a_broker_that_hangs_up_now_and_then_is_not_accused(times, caplog):
    """
    A connection that ends at its first request is tried again: brokers that go down do that.
    """
    caplog.set_level(logging.ERROR, "pyproducer")
    with Broker({"t": 1}) as broker:
        # Who asks for one has asked for the other on the same connection.
        broker.faults.cut("Metadata", after_bytes=0, times=times)
        async with AsyncProducer(broker.bootstrap_servers) as producer:
            await producer.send("t", b"x")

    assert [] == caplog.records


async def test_a_broker_that_is_silent_is_not_accused():
    """
    A broker that answers its versions and then nothing for long does not fail the start.
    """
    with Broker({"t": 1}) as broker:
        for question in QUESTIONS:
            broker.faults.delay(question, 4.0, times=1)
        async with AsyncProducer(broker.bootstrap_servers) as producer:
            assert (await producer.send("t", b"x")).offset == 0


def test_another_server_of_the_list_will_do():
    """
    One address of two wants SASL: the producer goes by the other.
    """
    with (
        Broker({"t": 1}, listeners=[GUARDED], users=USERS) as guarded,
        Broker({"t": 1}) as open_,
    ):
        servers = f"{guarded.bootstrap_servers},{open_.bootstrap_servers}"
        with SyncProducer(servers) as producer:
            producer.send("t", b"x")
