"""A user's test around the embedded broker."""

from __future__ import annotations

from typing import assert_type

from pyproducer import AsyncProducer
from pyproducer.broker import Broker, BrokerRecord, TopicSpec


def blocking_side() -> None:
    with Broker(topics={"orders": 6}) as broker:
        assert_type(broker.bootstrap_servers, str)
        for record in broker.records("orders", partition=0):
            assert_type(record, BrokerRecord)
            assert_type(record.offset, int)
            assert_type(record.value, bytes | None)


async def async_side() -> None:
    async with (
        Broker([TopicSpec("orders", 3)], host="127.0.0.1", port=0) as broker,
        AsyncProducer(broker.bootstrap_servers) as producer,
    ):
        await producer.send("orders", "hello")


blocking_side()
