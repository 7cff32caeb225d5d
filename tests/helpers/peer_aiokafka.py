"""aiokafka: the asyncio client."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, ConsumerRecord, TopicPartition

from tests.helpers.access import Access
from tests.helpers.peers import CONSUME_SECONDS
from tests.helpers.sample_records import ReadRecord, SampleRecord
from tests.helpers.topics import partition_count


class AioKafka:
    """The client of asyncio services. Each call runs a loop of its own."""

    name = "aiokafka"
    sets_timestamps = True

    def can_send(self, record: SampleRecord) -> bool:
        return record.key is not None or record.value is not None

    def produce(
        self,
        bootstrap_servers: str,
        topic: str,
        records: Sequence[SampleRecord],
        *,
        codec: str = "none",
        acks: str = "all",
        access: Access | None = None,
    ) -> list[int] | None:
        return asyncio.run(_produce(bootstrap_servers, topic, records, codec, acks, access))

    def consume(
        self,
        bootstrap_servers: str,
        topic: str,
        count: int,
        *,
        group: str | None = None,
        access: Access | None = None,
    ) -> list[ReadRecord]:
        return asyncio.run(_consume(bootstrap_servers, topic, count, group, access))


PEER = AioKafka()


async def _produce(
    bootstrap_servers: str,
    topic: str,
    records: Sequence[SampleRecord],
    codec: str,
    acks: str,
    access: Access | None,
) -> list[int]:
    producer = AIOKafkaProducer(
        bootstrap_servers=bootstrap_servers,
        compression_type=None if codec == "none" else codec,
        acks=acks if acks == "all" else int(acks),
        enable_idempotence=acks == "all",
        linger_ms=20,
        max_batch_size=1_000_000,
        **(access.aiokafka() if access else {}),
    )
    await producer.start()
    try:
        futures = [
            await producer.send(
                topic,
                value=record.value,
                key=record.key,
                partition=record.partition,
                headers=list(record.headers),
                timestamp_ms=record.timestamp_ms,
            )
            for record in records
        ]
        outcomes = await asyncio.gather(*futures)
    finally:
        await producer.stop()
    return [-1 if outcome is None else outcome.offset for outcome in outcomes]


async def _consume(
    bootstrap_servers: str, topic: str, count: int, group: str | None, access: Access | None
) -> list[ReadRecord]:
    consumer = AIOKafkaConsumer(
        bootstrap_servers=bootstrap_servers,
        group_id=group,
        enable_auto_commit=False,
        auto_offset_reset="earliest",
        check_crcs=True,
        **(access.aiokafka() if access else {}),
    )
    if group is None:
        known = access.librdkafka() if access else None
        count_of_partitions = partition_count(bootstrap_servers, topic, known)
        consumer.assign([TopicPartition(topic, number) for number in range(count_of_partitions)])
    else:
        consumer.subscribe([topic])
    await consumer.start()
    try:
        read: list[ReadRecord] = []
        deadline = time.monotonic() + CONSUME_SECONDS
        while len(read) < count and time.monotonic() < deadline:
            read += _records(await consumer.getmany(timeout_ms=200, max_records=count - len(read)))
        if group is None:
            read += _records(await consumer.getmany(timeout_ms=200))
        else:
            await consumer.commit()
    finally:
        await consumer.stop()
    return read


def _records(polled: dict[TopicPartition, list[ConsumerRecord]]) -> list[ReadRecord]:
    return [
        ReadRecord(one.partition, one.offset, one.key, one.value, tuple(one.headers), one.timestamp)
        for batch in polled.values()
        for one in batch
    ]
