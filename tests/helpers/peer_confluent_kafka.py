"""confluent-kafka: librdkafka behind Python."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

from confluent_kafka import Consumer, KafkaError, Message, Producer, TopicPartition

from tests.helpers.access import Access
from tests.helpers.peers import CONSUME_SECONDS
from tests.helpers.sample_records import ReadRecord, SampleRecord
from tests.helpers.topics import partition_count


class ConfluentKafka:
    """The client most Python services use for throughput."""

    name = "confluent-kafka"
    sets_timestamps = True

    def can_send(self, record: SampleRecord) -> bool:
        return True

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
        producer = Producer(
            {
                "bootstrap.servers": bootstrap_servers,
                "compression.type": codec,
                "acks": acks,
                "enable.idempotence": acks == "all",
                "linger.ms": 20,
                "message.timeout.ms": 20_000,
                **(access.librdkafka() if access else {}),
            }
        )
        offsets = [-1] * len(records)
        failures: list[KafkaError] = []

        def report(index: int, error: KafkaError | None, message: Message) -> None:
            if error is not None:
                failures.append(error)
            elif acks != "0":
                offsets[index] = message.offset()

        for index, record in enumerate(records):
            producer.produce(
                topic,
                value=record.value,
                key=record.key,
                partition=record.partition,
                headers=list(record.headers),
                timestamp=record.timestamp_ms,
                on_delivery=lambda error, message, index=index: report(index, error, message),
            )
        assert producer.flush(30) == 0
        assert failures == []
        return offsets

    def consume(
        self,
        bootstrap_servers: str,
        topic: str,
        count: int,
        *,
        group: str | None = None,
        access: Access | None = None,
    ) -> list[ReadRecord]:
        known = access.librdkafka() if access else {}
        consumer = Consumer(
            {
                "bootstrap.servers": bootstrap_servers,
                "group.id": group or "unused",
                "enable.auto.commit": False,
                "auto.offset.reset": "earliest",
                "check.crcs": True,
                **known,
            }
        )
        try:
            if group is None:
                numbers = range(partition_count(bootstrap_servers, topic, known))
                consumer.assign([TopicPartition(topic, number, 0) for number in numbers])
            else:
                consumer.subscribe([topic])
            read: list[ReadRecord] = []
            deadline = time.monotonic() + CONSUME_SECONDS
            while len(read) < count and time.monotonic() < deadline:
                read += _records(consumer.consume(count - len(read), timeout=0.2))
            if group is None:
                read += _records(consumer.consume(1000, timeout=0.2))
            else:
                consumer.commit(asynchronous=False)
        finally:
            consumer.close()
        return read


PEER = ConfluentKafka()


def _records(messages: Sequence[Message]) -> list[ReadRecord]:
    return [_record(message) for message in messages]


def _record(message: Any) -> ReadRecord:
    assert message.error() is None, message.error()
    return ReadRecord(
        message.partition(),
        message.offset(),
        message.key(),
        message.value(),
        tuple(message.headers() or ()),
        message.timestamp()[1],
    )
