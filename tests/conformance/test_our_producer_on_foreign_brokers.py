"""Our producer writes to brokers that we did not write, and foreign consumers read it back."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Sequence
from typing import Protocol

import pytest

from pyproducer import AsyncProducer, RecordMetadata, SyncProducer
from tests.helpers.apache_kafka import ApacheKafka, dump_log_segments
from tests.helpers.log_files import segment_files
from tests.helpers.peers import ACKS, CODECS, peer
from tests.helpers.sample_records import (
    ReadRecord,
    SampleRecord,
    difference,
    offsets_in_order,
    sample_records,
)
from tests.helpers.scoreboard import Row, Scoreboard

PARTITIONS = 3

#: Each broker with the consumers that can talk to it: kafka-python finds no broker version that
#: fits what the mock cluster offers, and Debian's kcat is too old for Tansu.
READERS = {
    "apache_kafka": ("confluent-kafka", "aiokafka", "kafka-python", "kcat"),
    "tansu": ("confluent-kafka", "aiokafka", "kafka-python"),
    "mock_cluster": ("confluent-kafka", "aiokafka", "kcat"),
}
SHORT_NAMES = {"apache_kafka": "kafka", "tansu": "tansu", "mock_cluster": "mock"}
EACH_BROKER = [
    pytest.param(name, marks=pytest.mark.needs(short)) for name, short in SHORT_NAMES.items()
]


class ForeignBroker(Protocol):
    """What the three rigs have in common."""

    bootstrap_servers: str

    def create_topics(self, topics: dict[str, int]) -> None: ...


@pytest.fixture
def broker(request: pytest.FixtureRequest) -> ForeignBroker:
    """The running broker that a test's parameter names."""
    found: ForeignBroker = request.getfixturevalue(request.param)
    return found


async def send_all(
    broker: ForeignBroker, topic: str, records: Sequence[SampleRecord], codec: str, acks: str
) -> list[RecordMetadata]:
    """Queue everything, flush once, return the outcomes."""
    async with AsyncProducer(
        broker.bootstrap_servers, compression_type=codec, acks=acks, linger_ms=20
    ) as producer:
        deliveries = [
            await producer.enqueue(
                topic,
                record.value,
                key=record.key,
                headers=record.headers,
                partition=record.partition,
                timestamp_ms=record.timestamp_ms,
            )
            for record in records
        ]
        report = await producer.flush(timeout=30)
        assert (report.delivered, report.failed) == (len(records), 0)
        return [await delivery for delivery in deliveries]


def expected_metadata(
    broker: str, topic: str, records: Sequence[SampleRecord], acks: str
) -> list[tuple[str, int, int, int]]:
    """What the producer should have been told."""
    offsets = [-1] * len(records) if acks == "0" else offsets_in_order(records)
    timestamps = [record.timestamp_ms for record in records]
    if broker == "mock_cluster" and acks != "0":
        # It answers every batch with this log append time, and stores what was sent.
        timestamps = [1234] * len(records)
    return [
        (topic, record.partition, offset, timestamp)
        for record, offset, timestamp in zip(records, offsets, timestamps, strict=True)
    ]


def in_short(metadata: RecordMetadata) -> tuple[str, int, int, int]:
    return metadata.topic, metadata.partition, metadata.offset, metadata.timestamp_ms


def check_read_back(
    broker: ForeignBroker,
    scoreboard: Scoreboard,
    row: tuple[str, str, str, str],
    topic: str,
    records: Sequence[SampleRecord],
    readers: Sequence[str],
) -> None:
    """Have foreign consumers read the topic and compare."""
    writer, name, codec, acks = row
    for reader in readers:
        if reader not in scoreboard.readers:
            continue
        read: list[ReadRecord] = peer(reader).consume(broker.bootstrap_servers, topic, len(records))
        wrong = difference(records, read)
        scoreboard.add(Row(writer, name, reader, codec, acks, len(records), len(read), wrong))


@pytest.mark.parametrize("acks", ACKS)
@pytest.mark.parametrize("codec", CODECS)
@pytest.mark.parametrize("broker", EACH_BROKER, indirect=True)
async def test_every_codec_and_acks(
    broker: ForeignBroker,
    scoreboard: Scoreboard,
    request: pytest.FixtureRequest,
    codec: str,
    acks: str,
) -> None:
    """
    Foreign consumers read exactly what was sent, at the offsets the producer was told.
    """
    name = request.node.callspec.params["broker"]
    topic = f"async-{codec}-{acks}"
    await asyncio.to_thread(broker.create_topics, {topic: PARTITIONS})
    records = sample_records(topic, PARTITIONS)

    outcomes = await send_all(broker, topic, records, codec, acks)

    assert expected_metadata(name, topic, records, acks) == [in_short(one) for one in outcomes]
    # Every consumer reads what is replicated; the others differ only in when they were answered.
    readers = READERS[name] if acks == "all" else READERS[name][:1]
    row = ("AsyncProducer", name, codec, acks)
    await asyncio.to_thread(check_read_back, broker, scoreboard, row, topic, records, readers)


@pytest.mark.parametrize("acks", ACKS)
@pytest.mark.parametrize("broker", EACH_BROKER, indirect=True)
def test_blocking_producer(
    broker: ForeignBroker, scoreboard: Scoreboard, request: pytest.FixtureRequest, acks: str
) -> None:
    """
    What the blocking producer was told is what a foreign consumer reads.
    """
    name = request.node.callspec.params["broker"]
    topic = f"sync-{acks}"
    broker.create_topics({topic: PARTITIONS})
    records = sample_records(topic, PARTITIONS)

    with SyncProducer(broker.bootstrap_servers, compression_type="zstd", acks=acks) as producer:
        handle = producer.topic(topic)
        deliveries = [
            handle.enqueue(
                record.value,
                key=record.key,
                headers=record.headers,
                partition=record.partition,
                timestamp_ms=record.timestamp_ms,
            )
            for record in records[:-1]
        ]
        last = records[-1]
        awaited = handle.send(
            last.value, key=last.key, partition=last.partition, timestamp_ms=last.timestamp_ms
        )
        outcomes = [delivery.result(10) for delivery in deliveries]

    expected = expected_metadata(name, topic, records, acks)
    assert expected == [in_short(one) for one in [*outcomes, awaited]]
    row = ("SyncProducer", name, "zstd", acks)
    check_read_back(broker, scoreboard, row, topic, records, READERS[name][:1])


@pytest.mark.needs("kafka")
async def test_kafka_stored_the_codec_and_the_sequences(
    apache_kafka: ApacheKafka, scoreboard: Scoreboard
) -> None:
    """
    Kafka's own reader finds our batches valid, compressed as asked, with sequences and no gaps.
    """
    topics = {codec: f"stored-{codec}" for codec in CODECS}
    await asyncio.to_thread(apache_kafka.create_topics, dict.fromkeys(topics.values(), 1))
    stored: list[str] = []
    for codec, topic in topics.items():
        records = sample_records(topic, partitions=1)
        await send_all(apache_kafka, topic, records, codec, "all")

        files = segment_files(apache_kafka.data_dir, topic, ".log")
        text = await asyncio.to_thread(dump_log_segments, files, "--deep-iteration")

        batches = re.findall(
            r"baseSequence: (-?\d+) lastSequence: (-?\d+) producerId: (-?\d+) .*"
            r"compresscodec: (\w+) .*isvalid: (\w+)",
            text,
        )
        assert batches
        assert {(codec, "true")} == {(one[3], one[4]) for one in batches}
        assert {one[2] for one in batches} != {"-1"}
        following = 0
        for first, last, *_ in batches:
            assert int(first) == following
            following = int(last) + 1
        assert following == len(records)
        stored.append(f"{len(batches)} {codec}")
    scoreboard.note(f"Apache Kafka's own reader on batches of ours: {', '.join(stored)}; all valid")
