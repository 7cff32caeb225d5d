"""Connections that break, and peers that answer wrongly, late or never.

In each case every record accepted has its outcome within the delivery timeout, and the producer
works again as soon as the peer does.
"""

from __future__ import annotations

import asyncio
import time

import pytest

from pyproducer import AsyncProducer, BrokerRejected, DeliveryError, DeliveryTimeout, ProducerError
from pyproducer.broker import Broker
from pyproducer.clock import SystemClock
from pyproducer.protocol.api import ApiKey
from pyproducer.protocol.messages.metadata import MetadataResponse
from pyproducer.protocol.messages.produce import ProduceResponse
from tests.helpers.leftovers import other_tasks
from tests.helpers.scripted_broker import Close, Raw, ScriptedBroker, Silence

#: Bounds that are small, so that a test sees their end.
QUICK = {
    "delivery_timeout_ms": 300,
    "request_timeout_ms": 100,
    "socket_connection_setup_timeout_ms": 1_000,
    "retry_backoff_ms": 10,
    "retry_backoff_max_ms": 50,
    "reconnect_backoff_ms": 10,
    "reconnect_backoff_max_ms": 50,
    "linger_ms": 0,
}

FAULTS = {
    "closes": lambda _: Close(),
    "silent": lambda _: Silence(),
    "huge length": lambda _: Raw(b"\x7f\xff\xff\xff" + b"x" * 1000),
    "negative length": lambda _: Raw(b"\x80\0\0\0"),
    "empty frame": lambda _: Raw(b"\0\0\0\0"),
    "half a frame": lambda _: Raw(b"\0\0\0\x40" + b"x" * 10),
    "wrong correlation": lambda _: Raw(b"\0\0\0\x08" + b"\x55" * 8),
    "garbage": lambda _: Raw(bytes(range(256)) * 4),
}
each_fault = pytest.mark.parametrize("fault", FAULTS.values(), ids=FAULTS.keys())


@each_fault
@pytest.mark.parametrize(
    "api", [ApiKey.PRODUCE, ApiKey.METADATA, ApiKey.INIT_PRODUCER_ID, ApiKey.API_VERSIONS]
)
async def test_fault_that_stays(api, fault):
    """
    Whichever answer is wrong, for good: records fail by the delivery timeout (and a second),
    with an error that says so; closing is quick, and nothing is left.
    """
    with ScriptedBroker() as broker:
        if api is ApiKey.INIT_PRODUCER_ID:
            # Asked for once, right after the start.
            broker.script[api] = fault
        async with AsyncProducer(broker.bootstrap_servers, **QUICK) as producer:
            broker.script[api] = fault
            broker.hang_up()
            start = time.monotonic()
            deliveries = [producer.enqueue_nowait("t", str(n)) for n in range(5)]
            sending = asyncio.create_task(producer.send("t", b"x"))
            async with asyncio.timeout(5):
                await asyncio.wait([sending])
            took = time.monotonic() - start
            errors = [sending.exception(), *(delivery.exception() for delivery in deliveries)]
            start = time.monotonic()
        assert time.monotonic() - start < 1.5

    assert took < 0.3 + 1
    assert {DeliveryTimeout} == {type(error) for error in errors}
    for error in errors:
        assert error.topic == "t"
        assert 0.25 < error.elapsed < 1.3
        # Only what went out may have arrived.
        assert error.maybe_written == (api is ApiKey.PRODUCE)
        assert (error.attempts > 0) == (api is ApiKey.PRODUCE)
    assert other_tasks() == []


@each_fault
@pytest.mark.parametrize(
    "api", [ApiKey.PRODUCE, ApiKey.METADATA, ApiKey.INIT_PRODUCER_ID, ApiKey.API_VERSIONS]
)
async def test_fault_that_passes(api, fault):
    """
    A fault that comes once or twice costs a retry: every record arrives, in order.
    """
    left = [2]

    def once(request):
        if left[0]:
            left[0] -= 1
            return fault(request)
        return broker.respond(request)

    with ScriptedBroker() as broker:
        if api is ApiKey.INIT_PRODUCER_ID:
            broker.script[api] = once
        options = {**QUICK, "delivery_timeout_ms": 20_000}
        async with AsyncProducer(broker.bootstrap_servers, **options) as producer:
            broker.script[api] = once
            broker.hang_up()
            async with asyncio.timeout(10):
                metas = await producer.send_many("t", [str(n) for n in range(20)])

    assert left == [0]
    assert [meta.offset for meta in metas] == sorted({meta.offset for meta in metas})


REFUSALS = {
    "not leader": (6, True),
    "unknown topic": (3, True),
    "not enough replicas": (19, True),
    "timed out": (7, True),
    "message too large": (10, False),
    "invalid record": (87, False),
    "authorization": (29, False),
    "policy": (44, False),
    "unknown code": (12345, False),
}


@pytest.mark.parametrize(("code", "again"), REFUSALS.values(), ids=REFUSALS.keys())
async def test_refused_batches(code, again):
    """
    A batch that is refused for good fails at once by BrokerRejected with the code; one that may
    be taken later is sent again until the delivery timeout, which names the last refusal.
    """
    with ScriptedBroker() as broker:
        broker.script[ApiKey.PRODUCE] = lambda r: broker.ack(r, error_code=code)
        async with AsyncProducer(broker.bootstrap_servers, **QUICK) as producer:
            start = time.monotonic()
            with pytest.raises(DeliveryTimeout if again else BrokerRejected) as caught:
                await producer.send("t", b"x")
            took = time.monotonic() - start

    error = caught.value
    assert isinstance(error, DeliveryError)
    assert ("t", 0) == (error.topic, error.partition)
    assert error.attempts > 1 if again else error.attempts == 1
    assert took < 1.3 if again else error.elapsed < 0.25
    if not again:
        assert error.code == code
    assert error.broker_error
    assert error.broker_error in str(error)


async def test_answer_that_leaves_the_partition_out():
    """
    An answer without a word on the batch is no acknowledgement: it is sent again.
    """
    with ScriptedBroker() as broker:
        answers = iter([ProduceResponse()])
        broker.script[ApiKey.PRODUCE] = lambda r: next(answers, None) or broker.ack(r)
        async with AsyncProducer(broker.bootstrap_servers, **QUICK) as producer:
            meta = await producer.send("t", b"x")

    assert meta.offset == 0
    assert len(broker.produced) == 2


async def test_metadata_without_brokers():
    """
    A cluster that names no broker leaves records waiting until the delivery timeout, not longer.
    """
    with ScriptedBroker(script={ApiKey.METADATA: lambda _: MetadataResponse()}) as broker:
        async with AsyncProducer(broker.bootstrap_servers, **QUICK) as producer:
            async with asyncio.timeout(3):
                with pytest.raises(DeliveryTimeout, match="topic 't'"):
                    await producer.send("t", b"x")


@pytest.mark.parametrize(
    ("host", "port"),
    [("", 1), ("no-such-host.invalid", 9092), ("127.0.0.1", 0), ("127.0.0.1", 99999),
     ("127.0.0.1", -5), ("a\0b", 9092), ("x" * 300, 9092), ("127.0.0.1", 1)],
)  # fmt: skip
async def test_leader_at_an_impossible_address(host, port):
    """
    A leader whose address is no address is a broker that cannot be reached: records fail in
    time, by the typed error that names it.
    """
    with ScriptedBroker() as broker:

        def misleading(request):
            response = broker.metadata(request)
            response.brokers[0].host = host
            response.brokers[0].port = port
            return response

        broker.script[ApiKey.METADATA] = misleading
        async with AsyncProducer(broker.bootstrap_servers, **QUICK) as producer:
            async with asyncio.timeout(5):
                with pytest.raises(DeliveryTimeout) as caught:
                    await producer.send("t", b"x")

    assert not caught.value.maybe_written


async def test_acks_0_on_a_connection_that_breaks():
    """
    Without acknowledgements a connection that breaks loses what was under way, in silence, and
    the producer goes on.
    """
    with ScriptedBroker() as broker:
        async with AsyncProducer(broker.bootstrap_servers, acks=0, **QUICK) as producer:
            for number in range(20):
                assert (await producer.send("t", str(number))).offset == -1
                if number % 5 == 0:
                    broker.hang_up()
            await producer.send("t", b"last")
            await asyncio.sleep(0.05)

    assert broker.produced


async def test_pipelined_requests_lost_together():
    """
    Several batches under way when the connection breaks are sent again in order, each with the
    numbers it had.
    """
    hold = False
    with ScriptedBroker() as broker:
        broker.script[ApiKey.PRODUCE] = lambda r: Silence() if hold else broker.ack(r)
        options = {**QUICK, "delivery_timeout_ms": 20_000, "request_timeout_ms": 10_000}
        async with AsyncProducer(
            broker.bootstrap_servers, batch_max_records=1, **options
        ) as producer:
            # The first batch of a producer goes alone.
            await producer.send("t", b"first")
            hold = True
            deliveries = [producer.enqueue_nowait("t", str(n)) for n in range(12)]
            async with asyncio.timeout(5):
                while len(broker.produced) < 6:
                    await asyncio.sleep(0.01)
            hold = False
            broker.hang_up()
            async with asyncio.timeout(10):
                await producer.flush()

    assert [delivery.result().offset for delivery in deliveries] == list(range(1, 13))


async def test_broker_restarts(tmp_path):
    """
    A broker that goes and comes back, several times, costs nothing but time: every record is
    in the log once, in order.
    """
    options = {**QUICK, "delivery_timeout_ms": 30_000, "request_timeout_ms": 5_000}
    port = 0
    producer = None
    sent = 0
    for _ in range(4):
        with Broker({"t": 1}, data_dir=tmp_path, port=port) as broker:
            port = broker.port
            if producer is None:
                producer = AsyncProducer(broker.bootstrap_servers, **options)
                await producer.start()
            for _ in range(50):
                await producer.enqueue("t", str(sent))
                sent += 1
            await asyncio.sleep(0.02)
        for _ in range(10):
            await producer.enqueue("t", str(sent))
            sent += 1
    with Broker({"t": 1}, data_dir=tmp_path, port=port) as broker:
        await producer.close()
        values = [record.value for record in broker.records("t")]

    assert values == [str(n).encode() for n in range(sent)]


async def test_cluster_that_moved():
    """
    Where all known brokers are gone, the bootstrap servers are asked again.
    """
    with ScriptedBroker() as first, ScriptedBroker() as second:
        servers = [first.bootstrap_servers, second.bootstrap_servers]
        options = {**QUICK, "delivery_timeout_ms": 20_000}
        async with AsyncProducer(servers, **options) as producer:
            await producer.send("t", b"x")
            alive, dead = (second, first) if first.produced else (first, second)
            for api in (ApiKey.PRODUCE, ApiKey.METADATA, ApiKey.API_VERSIONS):
                dead.script[api] = lambda _: Close()
            dead.hang_up()
            async with asyncio.timeout(10):
                await producer.send("t", b"y")

    assert alive.produced


async def test_defect_inside():
    """
    Should the producer itself fail, every record has its outcome at once, further calls are
    refused by a typed error, and closing works.
    """

    class Clock(SystemClock):
        broken = 0

        def monotonic(self):
            if self.broken:
                self.broken -= 1
                raise ZeroDivisionError("a defect")
            return super().monotonic()

    with ScriptedBroker(script={ApiKey.PRODUCE: lambda _: Silence()}) as broker:
        clock = Clock()
        async with AsyncProducer(broker.bootstrap_servers, clock=clock, linger_ms=0) as producer:
            first = asyncio.create_task(producer.send("t", b"x"))
            await asyncio.sleep(0.05)
            clock.broken = 1
            second = producer.enqueue_nowait("t", b"y")
            async with asyncio.timeout(2):
                with pytest.raises(DeliveryError, match="a defect"):
                    await first
                with pytest.raises(DeliveryError, match="a defect"):
                    await second
            with pytest.raises(ProducerError, match="internal error"):
                producer.enqueue_nowait("t", b"z")


async def test_peer_that_takes_connections_and_drops_them(caplog):
    """
    A peer that greets and then drops every connection is logged once, and tried ever more
    seldom, as one that refuses connections is.
    """
    with ScriptedBroker(script={ApiKey.PRODUCE: lambda _: Close()}) as broker:
        options = {
            **QUICK,
            "delivery_timeout_ms": 1500,
            "retry_backoff_max_ms": 10,
            "reconnect_backoff_max_ms": 10_000,
        }
        async with AsyncProducer(broker.bootstrap_servers, **options) as producer:
            with pytest.raises(DeliveryTimeout):
                await producer.send("t", b"x")

    assert len([one for one in caplog.records if one.name == "pyproducer.engine"]) <= 2
    assert len(broker.produced) < 12
