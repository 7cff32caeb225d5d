"""Brokers that are replaced while a producer runs, over real sockets."""

from __future__ import annotations

import asyncio

import pytest

from pyproducer import AsyncProducer
from pyproducer.broker import Broker
from pyproducer.protocol.api import ApiKey
from pyproducer.protocol.messages.metadata import MetadataResponse
from tests.helpers.network import Names, black_hole, silent_listener
from tests.helpers.processes import free_ports
from tests.helpers.scripted_broker import ScriptedBroker

QUICK = {"linger_ms": 0, "socket_connection_setup_timeout_ms": 2000}


async def settled(producer: AsyncProducer, deliveries: list) -> None:
    """Wait for the outcomes, and close."""
    async with asyncio.timeout(30):
        for delivery in deliveries:
            await delivery
        await producer.close()


async def test_all_brokers_replaced_behind_the_bootstrap_list(tmp_path):
    """
    A broker that ends, and another with its data at the other address of the bootstrap list: what
    was queued meanwhile is delivered there, once and in order, without a restart.
    """
    first, second = free_ports(2)
    servers = f"127.0.0.1:{first},127.0.0.1:{second}"
    with Broker({"t": 1}, data_dir=tmp_path, port=first):
        producer = AsyncProducer(servers, **QUICK)
        await producer.start()
        await producer.send("t", b"0")
    deliveries = [producer.enqueue_nowait("t", str(number)) for number in range(1, 20)]
    await asyncio.sleep(0.2)
    with Broker({"t": 1}, data_dir=tmp_path, port=second) as broker:
        await settled(producer, deliveries)
        values = [record.value for record in broker.records("t")]

    assert values == [str(number).encode() for number in range(20)]


@pytest.mark.parametrize("left", [black_hole, silent_listener])
async def test_host_that_is_gone_without_a_word(tmp_path, monkeypatch, left):
    """
    Where the old address swallows everything, the bootstrap name leads to the new one.
    """
    names = Names(monkeypatch)
    names["kafka"] = ["127.0.0.2"]
    with Broker({"t": 1}, data_dir=tmp_path, host="127.0.0.2") as broker:
        port = broker.port
        producer = AsyncProducer(f"kafka:{port}", **QUICK)
        await producer.start()
        await producer.send("t", b"0")
    deliveries = [producer.enqueue_nowait("t", str(number)) for number in range(1, 20)]
    with (
        left("127.0.0.2", port),
        Broker({"t": 1}, data_dir=tmp_path, host="127.0.0.3", port=port) as broker,
    ):
        names["kafka"] = ["127.0.0.3"]
        await settled(producer, deliveries)
        values = [record.value for record in broker.records("t")]

    assert values == [str(number).encode() for number in range(20)]


async def test_broker_that_sends_us_away():
    """
    A broker that answers REBOOTSTRAP_REQUIRED is left for the next bootstrap server.
    """
    with ScriptedBroker() as first, ScriptedBroker() as second:
        servers = [first.bootstrap_servers, second.bootstrap_servers]
        async with AsyncProducer(servers, **QUICK) as producer:
            await producer.send("t", b"x")
            assert not second.produced
            first.script[ApiKey.METADATA] = lambda _: MetadataResponse(error_code=129)
            first.script[ApiKey.PRODUCE] = lambda r: first.ack(r, error_code=6)
            async with asyncio.timeout(20):
                await producer.send("t", b"y")

    assert second.produced


async def test_unused_connections_are_closed_and_opened_anew():
    """
    After connections_max_idle_ms without a request no connection is left, and the next record
    makes one.
    """
    with ScriptedBroker() as broker:
        servers = broker.bootstrap_servers
        async with AsyncProducer(servers, connections_max_idle_ms=100, **QUICK) as producer:
            await producer.send("t", b"x")
            before = broker.connections
            async with asyncio.timeout(10):
                while broker._writers:
                    await asyncio.sleep(0.01)
            await producer.send("t", b"y")
            metrics = producer.metrics()

    assert broker.connections > before
    assert 0 == metrics.records_failed
