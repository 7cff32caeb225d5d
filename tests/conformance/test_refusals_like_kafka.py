"""What Apache Kafka refuses, our producer gets over in the same way as it does with our broker."""

from __future__ import annotations

import asyncio
import itertools
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from confluent_kafka import Consumer, KafkaError, KafkaException
from confluent_kafka import TopicPartition as Position
from confluent_kafka.admin import AdminClient

from pyproducer import AsyncProducer
from pyproducer.broker import Broker
from pyproducer.errors import BrokerRejected, UnknownTopic
from pyproducer.protocol.error_codes import ErrorCode
from pyproducer.records.builder import build_batch
from pyproducer.records.reader import Record
from tests.helpers.apache_kafka import ApacheKafka
from tests.helpers.history import Entry, History, Outcome, check
from tests.helpers.log_files import batches_on_disk
from tests.helpers.read_back import read_foreign
from tests.helpers.topics import create_topics
from tests.helpers.wire_client import WireClient

pytestmark = [pytest.mark.needs("kafka"), pytest.mark.parametrize("broker", ["kafka", "ours"])]

E = ErrorCode
NAMES = itertools.count()

OPTIONS: dict[str, Any] = {
    "delivery_timeout_ms": 20_000,
    "request_timeout_ms": 10_000,
    "linger_ms": 20,
    "retry_backoff_ms": 20,
    "retry_backoff_max_ms": 200,
}


class Place:
    """A cluster, and where it keeps its logs."""

    def __init__(self, servers: str, data_dir: Path) -> None:
        self.servers = servers
        self.data_dir = data_dir

    def topic(self, **config: str) -> str:
        """A new topic of one partition."""
        name = f"refusing-{next(NAMES)}"
        settings = {key.replace("_", "."): value for key, value in config.items()}
        create_topics(self.servers, {name: 1}, config=settings)
        return name


@pytest.fixture(scope="module")
def ours(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    """Our broker."""
    data_dir = tmp_path_factory.mktemp("broker")
    with Broker(data_dir=data_dir) as running:
        yield Place(running.bootstrap_servers, data_dir)


@pytest.fixture
def place(request: pytest.FixtureRequest, broker: str) -> Place:
    """The cluster that the test's parameter names."""
    if broker == "ours":
        found: Place = request.getfixturevalue("ours")
        return found
    kafka: ApacheKafka = request.getfixturevalue("apache_kafka")
    return Place(kafka.bootstrap_servers, kafka.data_dir)


def judge(place: Place, history: History, topic: str) -> None:
    """What the writers were told is what is there."""
    check(history, read_foreign(place.servers, [topic])).assert_clean()


async def write(
    history: History, producer: AsyncProducer, topic: str, sizes: list[int], **where: Any
) -> list[Entry]:
    """A record of each size, all settled."""
    entries = [
        history.enqueue_nowait(producer, "w", topic, size=size, **({"partition": 0} | where))
        for size in sizes
    ]
    await producer.flush()
    return entries


def outcomes(entries: list[Entry]) -> list[Outcome]:
    return [entry.outcome for entry in entries]


async def test_batch_that_the_topic_finds_too_large(place: Place):
    """
    MESSAGE_TOO_LARGE: the batch is split until it fits, and one record fails alone.
    """
    topic, history = place.topic(max_message_bytes="5000"), History()
    async with AsyncProducer(place.servers, **OPTIONS) as producer:
        await write(history, producer, topic, [100])
        entries = await write(history, producer, topic, [900] * 20 + [9000] + [900] * 20)
        later = await write(history, producer, topic, [100])
    assert outcomes(entries) == [Outcome.OK] * 20 + [Outcome.FAILED] + [Outcome.OK] * 20
    assert outcomes(later) == [Outcome.OK]
    error = entries[20].error
    assert isinstance(error, BrokerRejected)
    assert (error.code, error.retriable) == (E.MESSAGE_TOO_LARGE, False)
    judge(place, history, topic)


async def test_batch_larger_than_a_segment(place: Place):
    """
    RECORD_LIST_TOO_LARGE: the batch is split until a segment has room for it.
    """
    topic = place.topic(segment_bytes=str(1 << 20), max_message_bytes=str(8 << 20))
    history = History()
    sizes = {"batch_size": 6 << 20, "max_request_size": 7 << 20, "batch_max_records": None}
    async with AsyncProducer(place.servers, **(OPTIONS | sizes)) as producer:
        await write(history, producer, topic, [100])
        entries = await write(history, producer, topic, [100_000] * 40)
        splits = producer.metrics().splits
    assert set(outcomes(entries)) == {Outcome.OK}
    assert splits >= 3
    judge(place, history, topic)


async def test_records_that_the_topic_does_not_take(place: Place):
    """
    INVALID_RECORD: a compacted topic names the record without a key; its batch-mates may be sent
    again, and are no part of the log either.
    """
    topic, history = place.topic(cleanup_policy="compact"), History()
    async with AsyncProducer(place.servers, **OPTIONS) as producer:
        await write(history, producer, topic, [100], key="k")
        entries = [
            history.enqueue_nowait(producer, "w", topic, partition=0, key=key)
            for key in ("a", None, "b")
        ]
        await producer.flush()
        later = await write(history, producer, topic, [100], key="k")
    errors = [entry.error for entry in entries]
    assert all(isinstance(error, BrokerRejected) for error in errors)
    assert [error.code for error in errors] == [E.INVALID_RECORD] * 3
    assert [error.retriable for error in errors] == [True, False, True]
    assert outcomes(entries) == [Outcome.FAILED] * 3
    assert outcomes(later) == [Outcome.OK]
    judge(place, history, topic)


async def test_time_that_the_topic_does_not_take(place: Place):
    """
    INVALID_TIMESTAMP: the record from the past is named, and those behind it go on.
    """
    topic, history = place.topic(message_timestamp_before_max_ms="60000"), History()
    async with AsyncProducer(place.servers, **OPTIONS) as producer:
        entries = await write(history, producer, topic, [100], timestamp_ms=1)
        later = await write(history, producer, topic, [100])
    [error] = [entry.error for entry in entries]
    assert isinstance(error, BrokerRejected)
    assert (error.code, error.maybe_written) == (E.INVALID_TIMESTAMP, False)
    assert outcomes(later) == [Outcome.OK]
    judge(place, history, topic)


async def test_topic_of_the_brokers_own(place: Place):
    """
    INVALID_TOPIC_EXCEPTION: nobody writes to an internal topic.
    """
    topic, history = "__consumer_offsets", History()
    # The topic is made with the first group.
    await asyncio.to_thread(commit_something, place.servers, place.topic())
    async with AsyncProducer(place.servers, **OPTIONS) as producer:
        [entry] = await write(history, producer, topic, [100])
    assert isinstance(entry.error, BrokerRejected)
    assert entry.error.code == E.INVALID_TOPIC_EXCEPTION
    assert outcomes([entry]) == [Outcome.FAILED]


def commit_something(servers: str, topic: str) -> None:
    """Be a group with an offset."""
    consumer = Consumer({"bootstrap.servers": servers, "group.id": "some", "log_level": 0})
    try:
        consumer.commit(offsets=[Position(topic, 0, 0)], asynchronous=False)
    finally:
        consumer.close()


async def test_name_that_no_topic_may_have(place: Place):
    """
    A name that is illegal is refused by name, and at once.
    """
    async with AsyncProducer(place.servers, **OPTIONS) as producer:
        started = time.monotonic()
        with pytest.raises(UnknownTopic, match="no/such"):
            await producer.send("no/such", b"x")
        assert time.monotonic() - started < 10


async def test_somebody_with_our_id_and_a_later_epoch(place: Place):
    """
    INVALID_PRODUCER_EPOCH, then OUT_OF_ORDER_SEQUENCE_NUMBER: the partition goes on under an epoch
    beyond the stranger's, and loses nothing.
    """
    topic, history = place.topic(), History()
    async with AsyncProducer(place.servers, **OPTIONS) as producer:
        await write(history, producer, topic, [100] * 3)
        [first] = batches_on_disk(place.data_dir, topic)
        stranger = history.invoke("stranger", topic)
        with WireClient(place.servers) as client:
            answer = client.produce(
                topic,
                build_batch(
                    [Record(0, int(time.time() * 1000), 0, None, stranger.value, ())],
                    producer_id=first.header.producer_id,
                    producer_epoch=first.header.producer_epoch + 1,
                    base_sequence=0,
                ),
            )
        assert answer.error_code == 0
        history.ok(stranger, 0, answer.base_offset)
        for _ in range(5):
            entries = await write(history, producer, topic, [100] * 3)
            assert outcomes(entries) == [Outcome.OK] * 3
        bumps = producer.metrics().epoch_bumps
    assert bumps == 2
    judge(place, history, topic)


async def test_topic_deleted_under_the_producer(place: Place):
    """
    UNKNOWN_TOPIC_OR_PARTITION: records wait for the topic to come back, and start anew in it.
    """
    topic, history = place.topic(), History()
    admin = AdminClient({"bootstrap.servers": place.servers})
    async with AsyncProducer(place.servers, **OPTIONS) as producer:
        before = await write(history, producer, topic, [100] * 3)
        assert outcomes(before) == [Outcome.OK] * 3
        await asyncio.to_thread(lambda: admin.delete_topics([topic])[topic].result(20))
        later = [history.enqueue_nowait(producer, "w", topic, partition=0) for _ in range(3)]
        await asyncio.sleep(0.5)
        await asyncio.to_thread(create_again, place.servers, topic)
        await producer.flush()
    assert outcomes(later) == [Outcome.OK] * 3
    for entry in before:
        history.entries.remove(entry)
    judge(place, history, topic)


def create_again(servers: str, topic: str) -> None:
    """Make a topic whose namesake may not be quite gone yet."""
    deadline = time.monotonic() + 20
    while True:
        try:
            return create_topics(servers, {topic: 1})
        except KafkaException as error:
            gone = error.args[0].code() != KafkaError.TOPIC_ALREADY_EXISTS
            if gone or time.monotonic() > deadline:
                raise
            time.sleep(0.1)
