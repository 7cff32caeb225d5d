"""Our broker and Apache Kafka as things that a test of a statement can treat alike."""

from __future__ import annotations

import itertools
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TypeVar

from pyproducer.protocol.messages.list_offsets import (
    ListOffsetsPartition,
    ListOffsetsRequest,
    ListOffsetsTopic,
)
from pyproducer.records.builder import build_batch
from pyproducer.records.record import Record
from tests.helpers.apache_kafka import ApacheKafka
from tests.helpers.broker_process import BrokerProcess
from tests.helpers.processes import free_ports
from tests.helpers.topics import create_topics, wait_for_leaders
from tests.helpers.wire_client import WireClient

T = TypeVar("T")

OURS = "ours"
KAFKA = "kafka"

#: Most seconds that a test may let pass on Kafka, whose clock is the machine's.
LONGEST_WAIT = 20.0

#: Kafka waits half a minute before it looks at its logs for the first time; ours does not.
KAFKA_LOOKS_SOON = {"log.initial.task.delay.ms": "100"}

_NAMES = itertools.count()


def new_name() -> str:
    """A name that no topic has."""
    return f"statement-{next(_NAMES)}"


class Server(ABC):
    """One broker with its own storage, for the ``with`` block.

    Args:
        shared: Other tests use it too, so it is not to be stopped, nor its clock moved.

    Attributes:
        kind: ``ours`` or ``kafka``.
        bootstrap_servers: Where it listens; the same after a restart.
        data_dir: The folder of partition folders.
    """

    kind: str
    bootstrap_servers: str
    data_dir: Path

    def __init__(self, *, shared: bool = False) -> None:
        self.shared = shared
        self._topics: dict[str, int] = {}

    @property
    def ours(self) -> bool:
        """True for our broker."""
        return self.kind == OURS

    @abstractmethod
    def __enter__(self) -> Self: ...

    @abstractmethod
    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None: ...

    def topic(self, partitions: int = 1, /, **configs: str | int) -> str:
        """A new topic, ready to be written; ``retention_ms=1`` is its ``retention.ms``."""
        name = new_name()
        settings = {key.replace("_", "."): str(value) for key, value in configs.items()}
        create_topics(self.bootstrap_servers, {name: partitions}, config=settings)
        self._topics[name] = partitions
        self._wait_until_led({name: partitions})
        return name

    def folder(self, topic: str, partition: int = 0) -> Path:
        """Where a partition's files lie."""
        return self.data_dir / f"{topic}-{partition}"

    def connect(self, client_id: str | None = "wire", *, source: str | None = None) -> WireClient:
        """A new connection, to be used as a context manager; from this address if one is given."""
        return WireClient(self.bootstrap_servers, client_id=client_id, source=source)

    def differs(self, *, ours: T, kafka: T, reason: str) -> T:
        """What to expect of this server, where ours is another than Kafka's on purpose.

        Args:
            ours: What our broker does.
            kafka: What Kafka does.
            reason: Why ours is not the same; goes into the table of the documentation.
        """
        assert ours != kafka, "this is no difference"
        assert reason
        return ours if self.ours else kafka

    def batch(
        self, *values: bytes | None, key: bytes | None = b"k", ago_ms: int = 0, **fields: Any
    ) -> bytes:
        """A batch of records with these values, all of one key and of one time by this server.

        Args:
            values: One for each record.
            key: Key of all records.
            ago_ms: Age of the records; below 0 they are of the future.
            fields: As `build_batch` takes them.
        """
        time_ms = self.now_ms - ago_ms
        return build_batch((Record(0, time_ms, key=key, value=one) for one in values), **fields)

    @property
    def now_ms(self) -> int:
        """Milliseconds since the epoch by the server's clock, for timestamps of records."""
        return time.time_ns() // 1_000_000

    def pass_time(self, seconds: float) -> None:
        """That much time is over for the server: ours jumps ahead, Kafka is waited for."""
        self._alone()
        self._pass(seconds)

    def stop(self) -> None:
        """It has ended cleanly; `start` brings it back with what it has on disk."""
        self._alone()
        self._stop()

    def kill(self) -> None:
        """It is gone at once (SIGKILL); `start` brings it back with what it has on disk."""
        self._alone()
        self._kill()

    def start(self) -> None:
        """It runs again, and leads all partitions of its topics."""
        self._start()
        self._wait_until_led(self._topics)

    def restart(self) -> None:
        """It has ended cleanly and runs again."""
        self.stop()
        self.start()

    def forget(self, topic: str) -> None:
        """The topic is gone: nobody waits for its leaders any more."""
        self._topics.pop(topic, None)

    def _wait_until_led(self, topics: Mapping[str, int]) -> None:
        """Return when every partition can be written."""
        wait_for_leaders(self.bootstrap_servers, topics)
        # Kafka tells of a leader a moment before the leader knows that it is one.
        asked = [
            ListOffsetsTopic(
                name=name,
                partitions=[
                    ListOffsetsPartition(partition_index=index, timestamp=-1)
                    for index in range(count)
                ],
            )
            for name, count in topics.items()
        ]
        request = ListOffsetsRequest(topics=asked)
        with self.connect() as client:
            eventually(
                lambda: all(
                    part.error_code == 0
                    for topic in client.ask(request, 4).topics
                    for part in topic.partitions
                )
            )

    def _alone(self) -> None:
        assert not self.shared, "other tests use this server too: take one from `servers.own()`"

    @abstractmethod
    def _pass(self, seconds: float) -> None: ...

    @abstractmethod
    def _start(self) -> None: ...

    @abstractmethod
    def _stop(self) -> None: ...

    @abstractmethod
    def _kill(self) -> None: ...


class OurServer(Server):
    """Our broker in a process of its own.

    Args:
        data_dir: An empty folder.
        properties: Kafka's broker properties.
        shared: See `Server`.
    """

    kind = OURS

    def __init__(
        self, data_dir: Path, properties: Mapping[str, str] | None = None, *, shared: bool = False
    ) -> None:
        super().__init__(shared=shared)
        self.data_dir = data_dir
        [port] = free_ports(1)
        self._process = BrokerProcess({}, data_dir=data_dir, port=port, config=properties)
        self._running = False
        self._passed = 0.0

    @property
    def now_ms(self) -> int:
        return super().now_ms + int(self._passed * 1000)

    def __enter__(self) -> Self:
        self._start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._running:
            self._running = False
            self._process.__exit__(kind, error, trace)

    def _pass(self, seconds: float) -> None:
        self._process.pass_time(seconds)
        self._passed += seconds

    def _start(self) -> None:
        self._process.__enter__()
        self._running = True
        self.bootstrap_servers = self._process.bootstrap_servers
        if self._passed:
            self._process.pass_time(self._passed)

    def _stop(self) -> None:
        self.__exit__(None, None, None)

    def _kill(self) -> None:
        self._running = False
        self._process.kill()


class KafkaServer(Server):
    """Apache Kafka, broker and controller in one process.

    Args:
        properties: Settings added to those that tests need.
        shared: See `Server`.
    """

    kind = KAFKA

    def __init__(
        self, properties: Mapping[str, str] | None = None, *, shared: bool = False
    ) -> None:
        super().__init__(shared=shared)
        self._kafka = ApacheKafka(properties)
        self.bootstrap_servers = self._kafka.bootstrap_servers
        self.data_dir = self._kafka.data_dir

    def __enter__(self) -> Self:
        self._kafka.__enter__()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._kafka.__exit__(kind, error, trace)

    def _pass(self, seconds: float) -> None:
        assert seconds <= LONGEST_WAIT, "Kafka's clock cannot be moved: use shorter settings"
        time.sleep(seconds)

    def _start(self) -> None:
        self._kafka.start()

    def _stop(self) -> None:
        self._kafka.stop()

    def _kill(self) -> None:
        self._kafka.kill()


def eventually(found: Callable[[], T], *, timeout: float = 20.0) -> T:
    """Return what ``found`` returns as soon as that is true.

    Raises:
        AssertionError: it was not in time; says what it was last.
    """
    deadline = time.monotonic() + timeout
    while not (last := found()):
        if time.monotonic() > deadline:
            raise AssertionError(f"still {last!r} after {timeout} s")
        time.sleep(0.02)
    return last
