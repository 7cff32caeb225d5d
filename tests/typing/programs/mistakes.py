"""Mistakes that a type checker must find: each marked line, and no other."""

from __future__ import annotations

from pyproducer import AsyncProducer, Delivery, ProducerConfig, SyncProducer


def int_to_bytes(value: int) -> bytes:
    return str(value).encode()


def two_arguments(delivery: Delivery, extra: int) -> None:
    print(delivery, extra)


unknown_option = AsyncProducer("localhost:9092", linger=5)  # wrong
wrong_option_type = AsyncProducer("localhost:9092", linger_ms="5")  # wrong
unknown_codec = AsyncProducer("localhost:9092", compression_type="brotli")  # wrong
wrong_acks = SyncProducer("localhost:9092", acks="some")  # wrong
unknown_in_config = ProducerConfig(lingerms=5)  # wrong
positional_config = SyncProducer("localhost:9092", ProducerConfig())  # wrong


async def program(producer: AsyncProducer, blocking: SyncProducer) -> None:
    numbers = producer.topic("numbers", key_serializer=int_to_bytes, value_serializer=int_to_bytes)
    await numbers.send(1, key=2)
    await numbers.send("one", key=2)  # wrong
    await numbers.send(1, key="two")  # wrong
    numbers.enqueue_nowait(1.5)  # wrong
    await producer.send("orders")  # wrong
    await producer.send("orders", b"x", partition="0")  # wrong
    await producer.send("orders", b"x", headers=[1])  # wrong
    producer.enqueue_nowait("orders", b"x", on_delivery=two_arguments)  # wrong
    await producer.send_many("orders", [b"x"], keys=b"not a column of keys", colour=1)  # wrong
    await blocking.send("orders", b"x")  # wrong
    print(blocking.send("orders", b"x").no_such_attribute)  # wrong
    producer.poll(0)  # wrong
