"""kafka-python: the pure Python client."""

from __future__ import annotations

import time
import warnings
from collections.abc import Sequence
from typing import Any

from tests.helpers.access import Access
from tests.helpers.peers import CONSUME_SECONDS
from tests.helpers.sample_records import ReadRecord, SampleRecord
from tests.helpers.topics import partition_count

with warnings.catch_warnings():
    # It reads its schemas by a function that Python has deprecated.
    warnings.simplefilter("ignore", DeprecationWarning)
    from kafka import KafkaConsumer, KafkaProducer, TopicPartition


class KafkaPython:
    """The oldest Python client, with a thread of its own for the network."""

    name = "kafka-python"
    sets_timestamps = True

    def can_send(self, record: SampleRecord) -> bool:
        # Its producer insists on bytes in headers, and on a key or a value.
        empty = record.key is None and record.value is None
        return not empty and all(value is not None for _, value in record.headers)

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
        producer = KafkaProducer(
            bootstrap_servers=bootstrap_servers,
            compression_type=None if codec == "none" else codec,
            acks=acks if acks == "all" else int(acks),
            enable_idempotence=acks == "all",
            linger_ms=20,
            batch_size=1_000_000,
            **(access.kafka_python() if access else {}),
        )
        try:
            futures = [
                producer.send(
                    topic,
                    value=record.value,
                    key=record.key,
                    partition=record.partition,
                    headers=list(record.headers),
                    timestamp_ms=record.timestamp_ms,
                )
                for record in records
            ]
            producer.flush(30)
            return [future.get(timeout=20).offset for future in futures]
        finally:
            producer.close(timeout=10)

    def consume(
        self,
        bootstrap_servers: str,
        topic: str,
        count: int,
        *,
        group: str | None = None,
        access: Access | None = None,
    ) -> list[ReadRecord]:
        consumer = KafkaConsumer(
            bootstrap_servers=bootstrap_servers,
            group_id=group,
            enable_auto_commit=False,
            auto_offset_reset="earliest",
            check_crcs=True,
            **(access.kafka_python() if access else {}),
        )
        try:
            if group is None:
                known = access.librdkafka() if access else None
                numbers = range(partition_count(bootstrap_servers, topic, known))
                consumer.assign([TopicPartition(topic, number) for number in numbers])
            else:
                consumer.subscribe([topic])
            read: list[ReadRecord] = []
            deadline = time.monotonic() + CONSUME_SECONDS
            while len(read) < count and time.monotonic() < deadline:
                read += _records(consumer.poll(timeout_ms=200, max_records=count - len(read)))
            if group is None:
                read += _records(consumer.poll(timeout_ms=200))
            else:
                consumer.commit()
        finally:
            consumer.close()
        return read


PEER = KafkaPython()


def _records(polled: dict[TopicPartition, list[Any]]) -> list[ReadRecord]:
    return [
        ReadRecord(one.partition, one.offset, one.key, one.value, tuple(one.headers), one.timestamp)
        for batch in polled.values()
        for one in batch
    ]
