"""Subscribed consumers of foreign clients behind one face, each stepped by the test."""

from __future__ import annotations

import gc
import logging
import threading
import time
import warnings
from collections.abc import Callable, Iterable
from typing import Any, ClassVar, Protocol

import aiokafka
import confluent_kafka

from pyproducer.loop_thread import LoopThread

with warnings.catch_warnings():
    # It reads its schemas by a function that Python has deprecated.
    warnings.simplefilter("ignore", DeprecationWarning)
    import kafka

# Records of refused connections would keep their sockets alive until long after the test.
for _name in ("kafka", "aiokafka"):
    logging.getLogger(_name).setLevel(logging.CRITICAL)

STEP_SECONDS = 0.05
SESSION_MS = 10_000
HEARTBEAT_MS = 200


class GroupConsumer(Protocol):
    """One member of a group.

    Attributes:
        seen: (partition, offset) of every record it has got, in order.
    """

    name: ClassVar[str]
    seen: list[tuple[int, int]]

    def step(self) -> None:
        """Lets the client work for a moment and notes the records that it gives."""

    def partitions(self) -> set[int]:
        """The partitions that it is assigned now."""

    def commit(self) -> None:
        """Commits behind what it has got; raises whatever the client does."""

    def close(self) -> None:
        """Leaves the group without committing."""


class Confluent:
    """confluent-kafka, thus librdkafka."""

    name = "confluent-kafka"

    def __init__(self, servers: str, group: str, topic: str, instance: str | None = None) -> None:
        self.seen: list[tuple[int, int]] = []
        config = {
            "bootstrap.servers": servers,
            "group.id": group,
            "auto.offset.reset": "earliest",
            "enable.auto.commit": False,
            "session.timeout.ms": SESSION_MS,
            "heartbeat.interval.ms": HEARTBEAT_MS,
            "reconnect.backoff.max.ms": 500,
            "topic.metadata.refresh.interval.ms": 1000,
            # Lost connections are part of these tests.
            "log_level": 0,
        }
        if instance is not None:
            config["group.instance.id"] = instance
        self._consumer = confluent_kafka.Consumer(config)
        self._consumer.subscribe([topic])

    def step(self) -> None:
        message = self._consumer.poll(STEP_SECONDS)
        while message is not None:
            if message.error() is None:
                self.seen.append((message.partition(), message.offset()))
            message = self._consumer.poll(0)

    def partitions(self) -> set[int]:
        return {place.partition for place in self._consumer.assignment()}

    def member_id(self) -> str:
        """The id that the coordinator gave it."""
        return self._consumer.memberid()

    def commit(self) -> None:
        self._consumer.commit(asynchronous=False)

    def close(self) -> None:
        self._consumer.close()


class KafkaPython:
    """kafka-python, polled by a thread of its own.

    Its `poll` loses the answer to a join that arrives after the poll's timeout, and then stays
    without partitions, so polls have to be long and the members of a group must not take turns.
    """

    name = "kafka-python"

    def __init__(self, servers: str, group: str, topic: str) -> None:
        self.seen: list[tuple[int, int]] = []
        self._consumer = kafka.KafkaConsumer(
            topic,
            bootstrap_servers=servers,
            group_id=group,
            auto_offset_reset="earliest",
            enable_auto_commit=False,
            session_timeout_ms=SESSION_MS,
            heartbeat_interval_ms=HEARTBEAT_MS,
            metadata_max_age_ms=1000,
            reconnect_backoff_max_ms=500,
        )
        self._closing = False
        # The client is not thread-safe: whoever holds this may use it.
        self._mine = threading.Lock()
        self._thread = threading.Thread(target=self._poll, name=self.name)
        self._thread.start()

    def _poll(self) -> None:
        while not self._closing:
            with self._mine:
                for records in self._consumer.poll(timeout_ms=1000).values():
                    self.seen += [(record.partition, record.offset) for record in records]
            time.sleep(STEP_SECONDS / 5)

    def step(self) -> None:
        time.sleep(STEP_SECONDS)

    def partitions(self) -> set[int]:
        return {place.partition for place in self._consumer.assignment()}

    def commit(self) -> None:
        with self._mine:
            self._consumer.commit()

    def close(self) -> None:
        self._closing = True
        self._thread.join()
        self._consumer.close(autocommit=False)
        collect_sockets()


class AioKafka:
    """aiokafka, on a loop of its own."""

    name = "aiokafka"

    def __init__(self, servers: str, group: str, topic: str) -> None:
        self.seen: list[tuple[int, int]] = []
        self._thread = LoopThread("aiokafka")
        self._thread.start()
        self._consumer: aiokafka.AIOKafkaConsumer = self._thread.call(
            lambda: self._open(servers, group, topic)
        )

    async def _open(self, servers: str, group: str, topic: str) -> Any:
        consumer = aiokafka.AIOKafkaConsumer(
            topic,
            bootstrap_servers=servers,
            group_id=group,
            auto_offset_reset="earliest",
            enable_auto_commit=False,
            session_timeout_ms=SESSION_MS,
            heartbeat_interval_ms=HEARTBEAT_MS,
            metadata_max_age_ms=1000,
        )
        await consumer.start()
        return consumer

    async def _step(self) -> None:
        found = await self._consumer.getmany(timeout_ms=int(STEP_SECONDS * 1000))
        for records in found.values():
            self.seen += [(record.partition, record.offset) for record in records]

    def step(self) -> None:
        self._thread.call(self._step)

    def partitions(self) -> set[int]:
        return {place.partition for place in self._consumer.assignment()}

    def commit(self) -> None:
        self._thread.call(self._consumer.commit)

    def close(self) -> None:
        self._thread.call(self._consumer.stop)
        self._thread.stop(10)
        collect_sockets()


CLIENTS: tuple[Callable[[str, str, str], GroupConsumer], ...] = (Confluent, KafkaPython, AioKafka)


def collect_sockets() -> None:
    """Collect what Python clients forget to close when a connection is refused."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)
        gc.collect()


def step_until(
    condition: Callable[[], bool], *consumers: GroupConsumer, timeout: float = 20.0
) -> None:
    """Step the consumers in turn until the condition holds.

    Raises:
        TimeoutError: it never did; says what each consumer has.
    """
    deadline = time.monotonic() + timeout
    while not condition():
        if time.monotonic() > deadline:
            raise TimeoutError("; ".join(_describe(consumers)))
        for consumer in consumers:
            consumer.step()


def _describe(consumers: Iterable[GroupConsumer]) -> Iterable[str]:
    for consumer in consumers:
        yield f"{consumer.name} has partitions {consumer.partitions()}, {len(consumer.seen)} records"
