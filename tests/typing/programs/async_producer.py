"""A user's program around AsyncProducer: what both checkers must accept and know."""

from __future__ import annotations

import asyncio
from typing import assert_type

from pyproducer import (
    AsyncProducer,
    Delivery,
    DeliveryGroup,
    FlushReport,
    ProducerConfig,
    RecordMetadata,
    Topic,
    TopicPartition,
)
from serializers import JsonSerializer, StringSerializer


def report(delivery: Delivery) -> None:
    if delivery.exception() is None:
        print(delivery.topic, delivery.partition)


async def bytes_and_text() -> None:
    async with AsyncProducer("localhost:9092", compression_type="zstd", linger_ms=None) as producer:
        meta = await producer.send("orders", b"1", key="a", headers={"source": b"shop"})
        assert_type(meta, RecordMetadata)
        assert_type(meta.offset, int)
        delivery = await producer.enqueue(
            "orders", "text", key=None, headers=[("a", "b"), ("a", None)]
        )
        assert_type(delivery, Delivery)
        assert_type(await delivery, RecordMetadata)
        assert_type(producer.enqueue_nowait("orders", None, on_delivery=report), Delivery)
        group = await producer.enqueue_many("orders", [b"1", b"2"], keys=["a", None])
        assert_type(group, DeliveryGroup)
        assert_type(await producer.flush(timeout=10), FlushReport)
        place = TopicPartition("orders", 0)
        assert_type(place.partition, int)


async def handles() -> None:
    producer = AsyncProducer("localhost:9092", config=ProducerConfig(acks="all", linger_ms=20))
    await producer.start()
    try:
        orders = producer.topic(
            "orders", key_serializer=StringSerializer(), value_serializer=JsonSerializer()
        )
        meta = await orders.send({"id": 1}, key="1")
        assert_type(meta, RecordMetadata)
        await orders.enqueue({"id": 2}, partition=0, timestamp_ms=1_700_000_000_000)
    finally:
        await producer.close(timeout=5)


class Point:
    def __init__(self, x: int) -> None:
        self.x = x


def point_to_bytes(value: Point) -> bytes:
    return str(value.x).encode()


def int_to_bytes(value: int) -> bytes:
    return str(value).encode()


async def own_types() -> None:
    async with AsyncProducer("localhost:9092") as producer:
        points = producer.topic(
            "points", key_serializer=int_to_bytes, value_serializer=point_to_bytes
        )
        assert_type(points, Topic[int, Point])
        await points.send(Point(1), key=7)
        await points.send(None, key=7)
        points.enqueue_nowait(Point(2))


asyncio.run(bytes_and_text())
