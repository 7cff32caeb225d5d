"""The transactional sides of foreign clients behind one face."""

from __future__ import annotations

import time
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Protocol

import aiokafka
import aiokafka.errors
import confluent_kafka

from pyproducer.loop_thread import LoopThread

with warnings.catch_warnings():
    # It reads its schemas by a function that Python has deprecated.
    warnings.simplefilter("ignore", DeprecationWarning)
    import kafka
    import kafka.errors

TRANSACTIONAL_PEERS = ("confluent-kafka", "aiokafka", "kafka-python")
#: How long a reader waits for more.
QUIET_SECONDS = 0.7


class Fenced(Exception):
    """The client says that somebody else has its transactional id."""


class Transactional(Protocol):
    """A producer that has its transactional id."""

    def begin(self) -> None: ...
    def send(self, topic: str, value: bytes) -> None:
        """The record is in the broker's log."""

    def send_offset(self, group: str, topic: str, offset: int) -> None: ...
    def commit(self) -> None:
        """The transaction is committed.

        Raises:
            Fenced: it is not ours any more.
        """

    def abort(self) -> None: ...


class _Confluent:
    def __init__(self, servers: str, name: str) -> None:
        self._servers = servers
        self._producer = confluent_kafka.Producer(
            {"bootstrap.servers": servers, "transactional.id": name, "log_level": 0}
        )
        self._producer.init_transactions(20)

    def begin(self) -> None:
        self._producer.begin_transaction()

    def send(self, topic: str, value: bytes) -> None:
        self._producer.produce(topic, value, partition=0)
        assert self._producer.flush(20) == 0

    def send_offset(self, group: str, topic: str, offset: int) -> None:
        consumer = confluent_kafka.Consumer(
            {"bootstrap.servers": self._servers, "group.id": group, "log_level": 0}
        )
        try:
            self._producer.send_offsets_to_transaction(
                [confluent_kafka.TopicPartition(topic, 0, offset)],
                consumer.consumer_group_metadata(),
                20,
            )
        finally:
            consumer.close()

    def commit(self) -> None:
        try:
            self._producer.commit_transaction(20)
        except confluent_kafka.KafkaException as error:
            raise Fenced from error

    def abort(self) -> None:
        self._producer.abort_transaction(20)

    def close(self) -> None:
        pass


class _AioKafka:
    def __init__(self, servers: str, name: str) -> None:
        self._loop = LoopThread("aiokafka")
        self._loop.start()

        async def start() -> Any:
            producer = aiokafka.AIOKafkaProducer(bootstrap_servers=servers, transactional_id=name)
            await producer.start()
            return producer

        self._producer = self._loop.call(start)

    def begin(self) -> None:
        self._loop.call(self._producer.begin_transaction)

    def send(self, topic: str, value: bytes) -> None:
        self._loop.call(lambda: self._producer.send_and_wait(topic, value, partition=0))

    def send_offset(self, group: str, topic: str, offset: int) -> None:
        place = aiokafka.TopicPartition(topic, 0)
        self._loop.call(lambda: self._producer.send_offsets_to_transaction({place: offset}, group))

    def commit(self) -> None:
        try:
            self._loop.call(self._producer.commit_transaction)
        except aiokafka.errors.ProducerFenced as error:
            raise Fenced from error

    def abort(self) -> None:
        self._loop.call(self._producer.abort_transaction)

    def close(self) -> None:
        self._loop.call(self._producer.stop)
        self._loop.stop(10)


class _KafkaPython:
    def __init__(self, servers: str, name: str) -> None:
        self._producer = kafka.KafkaProducer(bootstrap_servers=servers, transactional_id=name)
        self._producer.init_transactions()

    def begin(self) -> None:
        self._producer.begin_transaction()

    def send(self, topic: str, value: bytes) -> None:
        self._producer.send(topic, value, partition=0).get(20)

    def send_offset(self, group: str, topic: str, offset: int) -> None:
        from kafka.structs import OffsetAndMetadata, TopicPartition

        offsets = {TopicPartition(topic, 0): OffsetAndMetadata(offset, "", -1)}
        self._producer.send_offsets_to_transaction(offsets, group)

    def commit(self) -> None:
        try:
            self._producer.commit_transaction()
        except kafka.errors.KafkaError as error:
            raise Fenced from error

    def abort(self) -> None:
        self._producer.abort_transaction()

    def close(self) -> None:
        self._producer.close(timeout=5)


_MADE = {"confluent-kafka": _Confluent, "aiokafka": _AioKafka, "kafka-python": _KafkaPython}


@contextmanager
def transactional(peer: str, servers: str, name: str) -> Iterator[Transactional]:
    """A producer of that library which holds the transactional id."""
    made = _MADE[peer](servers, name)
    try:
        yield made
    finally:
        made.close()


def read(peer: str, servers: str, topic: str, count: int, *, committed: bool) -> Sequence[bytes]:
    """Return what a consumer of that library reads: `count` values and any that follow at once."""
    level = "read_committed" if committed else "read_uncommitted"
    return _READERS[peer](servers, topic, count, level)


def _read_confluent(servers: str, topic: str, count: int, level: str) -> list[bytes]:
    consumer = confluent_kafka.Consumer(
        {
            "bootstrap.servers": servers,
            "group.id": "unused",
            "isolation.level": level,
            "auto.offset.reset": "earliest",
        }
    )
    consumer.assign([confluent_kafka.TopicPartition(topic, 0, 0)])
    try:
        return _gather(
            count, lambda: [one.value() for one in consumer.consume(100, timeout=QUIET_SECONDS)]
        )
    finally:
        consumer.close()


def _read_kafka_python(servers: str, topic: str, count: int, level: str) -> list[bytes]:
    consumer = kafka.KafkaConsumer(
        bootstrap_servers=servers, isolation_level=level, auto_offset_reset="earliest"
    )
    place = kafka.TopicPartition(topic, 0)
    consumer.assign([place])
    try:
        return _gather(
            count,
            lambda: [
                one.value
                for batch in consumer.poll(timeout_ms=QUIET_SECONDS * 1000).values()
                for one in batch
            ],
        )
    finally:
        consumer.close()


def _read_aiokafka(servers: str, topic: str, count: int, level: str) -> list[bytes]:
    loop = LoopThread("aiokafka")
    loop.start()

    async def start() -> Any:
        consumer = aiokafka.AIOKafkaConsumer(
            bootstrap_servers=servers, isolation_level=level, auto_offset_reset="earliest"
        )
        consumer.assign([aiokafka.TopicPartition(topic, 0)])
        await consumer.start()
        return consumer

    consumer = loop.call(start)
    try:
        return _gather(
            count,
            lambda: [
                one.value
                for batch in loop.call(
                    lambda: consumer.getmany(timeout_ms=int(QUIET_SECONDS * 1000))
                ).values()
                for one in batch
            ],
        )
    finally:
        loop.call(consumer.stop)
        loop.stop(10)


_READERS = {
    "confluent-kafka": _read_confluent,
    "aiokafka": _read_aiokafka,
    "kafka-python": _read_kafka_python,
}


def _gather(count: int, poll: Any) -> list[bytes]:
    found: list[bytes] = []
    deadline = time.monotonic() + 20
    while len(found) < count and time.monotonic() < deadline:
        found += poll()
    return found + poll()
