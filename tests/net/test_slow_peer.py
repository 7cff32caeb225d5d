"""A peer that takes what is written ever more slowly, and then nothing."""

from __future__ import annotations

import asyncio

from pyproducer import AsyncProducer
from pyproducer.broker import Broker
from tests.helpers.fault_proxy import FaultProxy


async def test_request_that_cannot_be_written_has_the_time_of_any_request():
    """
    Where the broker reads nothing, the request's time runs while it is still being written: its
    connection is given up, and the records go over a new one.
    """
    options = {
        "request_timeout_ms": 500,
        "delivery_timeout_ms": 20_000,
        "batch_size": 1_000_000,
        "linger_ms": 0,
    }
    with (
        Broker({"t": 1}) as broker,
        FaultProxy(broker.bootstrap_servers) as proxy,
    ):
        broker._node().advertise(proxy.port)
        async with AsyncProducer(proxy.address, **options) as producer:
            await producer.send("t", b"first")
            before = proxy.accepted
            proxy.hold("up")
            # More than the buffers of both sides and of the proxy take.
            deliveries = [producer.enqueue_nowait("t", b"x" * 900_000) for _ in range(12)]
            async with asyncio.timeout(15):
                while proxy.accepted == before:
                    await asyncio.sleep(0.02)
            proxy.reset()
            proxy.heal()
            async with asyncio.timeout(20):
                offsets = [(await one).offset for one in deliveries]

    assert offsets == list(range(1, 13))
