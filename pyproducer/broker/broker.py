"""The broker as a user holds it: start it, ask it what it has, stop it."""

from __future__ import annotations

import asyncio
import atexit
import signal
import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, Self

from pyproducer.broker.errors import Refused
from pyproducer.broker.faults.faults import Faults
from pyproducer.broker.node import Node
from pyproducer.broker.partition import Partition, Watch
from pyproducer.broker.running import RunningBroker
from pyproducer.broker.settings import (
    BrokerSettings,
    checked_config,
    checked_data_dir,
    checked_host,
    checked_port,
    checked_topics,
    reachable,
)
from pyproducer.broker.topics import TopicSpec
from pyproducer.clock import SystemClock
from pyproducer.errors import ConfigError, UnknownTopic, UsageError
from pyproducer.loop_thread import LoopThread
from pyproducer.records.reader import iter_batches

if TYPE_CHECKING:
    from types import TracebackType

    from pyproducer.broker.log.filesystem import FileSystem
    from pyproducer.clock import Clock

_READ_SIZE = 4 << 20
#: Seconds that stopping may take; beyond, a file system that hangs is left behind.
_STOP_TIMEOUT = 30.0


class BrokerRecord(NamedTuple):
    """A record that the broker holds."""

    partition: int
    offset: int
    timestamp_ms: int
    key: bytes | None
    value: bytes | None
    headers: tuple[tuple[str, bytes | None], ...]


class Broker:
    """A Kafka broker of one node, in this process, for any Kafka client.

    `with Broker() as broker` and `async with Broker() as broker` run it in a background thread.
    `serve` runs it on the current event loop instead.

    Args:
        topics: Topics that exist once it has started: names with partition counts, or
            `TopicSpec`s. With a `data_dir` that has them already they stay as they are.
        data_dir: Where logs and metadata are kept. None is a temporary folder, not forced to
            disk and removed at the end.
        host: Address to listen at.
        port: Port to listen at; 0 lets the system pick one.
        advertised_host: Address told to clients; None is `host`, or "localhost" if that means
            every address.
        config: Kafka's broker configurations by their property names. One that has no effect
            in this broker is refused unless it says what the broker does anyway. Two defaults
            are not Kafka's: `group.initial.rebalance.delay.ms` is 0 instead of 3000, and
            `offsets.topic.num.partitions` 5 instead of 50.
        auto_create_topics: Create a topic with `num.partitions` partitions when a client first
            asks for it; the same as `auto.create.topics.enable`.
        http_port: Port of the HTTP side (`/health`, `/topics`, `/metrics`, `/faults`); 0 lets
            the system pick one, None is no HTTP side. Needs the extra `cli`.
        http_host: Address of the HTTP side.
        clock: Gives all time; None is the machine's clock.
        fs: File system of `data_dir`; None is the machine's.

    Raises:
        ConfigError: An argument that is not possible.
    """

    def __init__(
        self,
        topics: Mapping[str, int] | Iterable[TopicSpec] = (),
        *,
        data_dir: str | Path | None = None,
        host: str = "127.0.0.1",
        port: int = 0,
        advertised_host: str | None = None,
        config: Mapping[str, str] | None = None,
        auto_create_topics: bool = False,
        http_port: int | None = None,
        http_host: str = "127.0.0.1",
        clock: Clock | None = None,
        fs: FileSystem | None = None,
    ) -> None:
        self._settings = BrokerSettings(
            topics=checked_topics(topics),
            config=checked_config(
                {} if config is None else config, auto_create_topics=auto_create_topics
            ),
            data_dir=checked_data_dir(data_dir),
            host=checked_host("host", host),
            port=checked_port("port", port),
            advertised_host=checked_host("advertised_host", advertised_host or reachable(host)),
            http_host=checked_host("http_host", http_host),
            http_port=None if http_port is None else checked_port("http_port", http_port),
            clock=clock or SystemClock(),
            fs=fs,
        )
        self._faults = Faults()
        self._thread: LoopThread | None = None
        self._running: RunningBroker | None = None
        self._lock = threading.Lock()

    @property
    def host(self) -> str:
        """The address told to clients."""
        return self._settings.advertised_host

    @property
    def port(self) -> int:
        """The port it listens at.

        Raises:
            UsageError: It is not running.
        """
        return self._node().advertised_port

    @property
    def bootstrap_servers(self) -> str:
        """`host:port`, as clients want it.

        Raises:
            UsageError: It is not running.
        """
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{host}:{self.port}"

    @property
    def http_port(self) -> int | None:
        """The port of the HTTP side, or None if there is none."""
        return None if self._running is None else self._running.http_port

    @property
    def faults(self) -> Faults:
        """What can be made to go wrong in it, from any thread."""
        return self._faults

    @property
    def cluster_id(self) -> str:
        """The cluster's id, kept with the data.

        Raises:
            UsageError: It is not running.
        """
        return self._node().cluster_id

    def start(self) -> None:
        """It runs in a background thread and takes connections when this returns.

        Raises:
            OSError: The address cannot be used, or the disk failed.
            ConfigError: The data directory cannot be made or written to.
            DataDirectoryError: Another broker uses the data directory.
            UsageError: It is running already.
        """
        with self._lock:
            if self._thread is not None or self._running is not None:
                raise UsageError("the broker is running already")
            thread = LoopThread("pyproducer-broker")
            thread.start()
            try:
                thread.call(self._open())
            except BaseException:
                thread.stop(_STOP_TIMEOUT)
                raise
            self._thread = thread
        # One that is left open ends with the program, before its temporary folder does.
        atexit.register(self.stop)

    def stop(self) -> None:
        """It takes no connections any more and all it has is on disk; does nothing if stopped.

        A temporary folder is gone. Records that were acknowledged stay in a `data_dir`.
        """
        with self._lock:
            thread, self._thread = self._thread, None
            if thread is None:
                return
            atexit.unregister(self.stop)
            if thread.forked:
                # The folder, the sockets and the files are the parent's.
                self._running = None
                thread.stop()
                return
            try:
                thread.call(self._close(), _STOP_TIMEOUT)
            finally:
                thread.stop(_STOP_TIMEOUT)

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.stop()

    async def __aenter__(self) -> Self:
        await asyncio.to_thread(self.start)
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await asyncio.to_thread(self.stop)

    async def serve(
        self,
        *,
        on_ready: Callable[[Broker], None] | None = None,
        stop_signals: Sequence[signal.Signals] = (),
    ) -> None:
        """Runs on the current loop until cancelled or a stop signal arrives; stops cleanly.

        Args:
            on_ready: Called once connections are taken.
            stop_signals: Signals that end it; only possible on the main thread.

        Raises:
            OSError: The address cannot be used, or the disk failed.
            ConfigError: The data directory cannot be made or written to.
            DataDirectoryError: Another broker uses the data directory.
            UsageError: It is running already.
        """
        if self._running is not None:
            raise UsageError("the broker is running already")
        loop = asyncio.get_running_loop()
        ended = asyncio.Event()
        for number in stop_signals:
            loop.add_signal_handler(number, ended.set)
        try:
            await self._open()
            try:
                if on_ready is not None:
                    on_ready(self)
                await ended.wait()
            finally:
                await self._close()
        finally:
            for number in stop_signals:
                loop.remove_signal_handler(number)

    def create_topic(
        self, name: str, partitions: int = 1, *, configs: Mapping[str, str] | None = None
    ) -> None:
        """The topic exists.

        Raises:
            ConfigError: The name, the count or a configuration is not possible, or the topic
                exists already.
            UsageError: The broker is not running in the background.
        """
        [spec] = checked_topics([TopicSpec(name, partitions, dict(configs or {}))])

        async def create() -> None:
            node = self._node()
            try:
                node.topics.check_new(spec.name)
                node.create_topics([spec])
            except Refused as refused:
                raise ConfigError(str(refused.message), option="topics") from refused

        self._background().call(create())

    def records(self, topic: str, partition: int | None = None) -> list[BrokerRecord]:
        """What a consumer could read now, by partition and offset.

        Args:
            topic: Name of the topic.
            partition: One partition only; None is all.

        Raises:
            UnknownTopic: There is no such topic or partition.
            UsageError: The broker is not running in the background.
        """
        chunks = self._background().call(self._read(topic, partition))
        return [record for index, data in chunks for record in _decode(index, data)]

    def wait_for(self, topic: str, n: int = 1, timeout: float = 10.0) -> list[BrokerRecord]:
        """Blocks until the topic holds at least `n` records; returns all of them.

        Args:
            topic: Name of the topic.
            n: How many records there must be.
            timeout: Seconds to wait.

        Raises:
            TimeoutError: There are fewer; says how many.
            UnknownTopic: There is no such topic.
            UsageError: The broker is not running in the background.
        """
        self._background().call(self._wait_for(topic, n, timeout))
        return self.records(topic)

    async def _open(self) -> None:
        self._running = await RunningBroker.open(self._settings, self._faults)

    async def _close(self) -> None:
        running, self._running = self._running, None
        if running is not None:
            await running.close()

    def _node(self) -> Node:
        if self._running is None:
            raise UsageError("the broker is not running")
        return self._running.node

    def _background(self) -> LoopThread:
        if self._thread is None:
            raise UsageError(
                "the broker is not running in the background: use `with`, `async with` or start()"
            )
        return self._thread

    def _found(self, topic: str, partition: int | None) -> list[Partition]:
        found = self._node().partitions(topic)
        if partition is not None:
            found = [one for one in found if one.index == partition]
        if not found:
            what = topic if partition is None else f"{topic}-{partition}"
            raise UnknownTopic(f"the broker has no {what}", topic=topic, partition=partition)
        return found

    async def _read(self, topic: str, partition: int | None) -> list[tuple[int, bytes]]:
        chunks: list[tuple[int, bytes]] = []
        for one in self._found(topic, partition):
            offset = one.log_start_offset
            while data := one.log.read(offset, _READ_SIZE):
                chunks.append((one.index, data))
                offset = max(batch.header.next_offset for batch in iter_batches(data))
                # Clients are served between two reads.
                await asyncio.sleep(0)
        return chunks

    async def _wait_for(self, topic: str, n: int, seconds: float) -> None:
        partitions = self._found(topic, None)

        def held() -> int:
            return sum(one.high_watermark - one.log_start_offset for one in partitions)

        try:
            async with asyncio.timeout(seconds):
                while held() < n:
                    watch = Watch()
                    for one in partitions:
                        one.watches.add(watch)
                    try:
                        await watch.wait()
                    finally:
                        for one in partitions:
                            one.watches.discard(watch)
        except TimeoutError:
            raise TimeoutError(
                f"{topic} holds {held()} records after {seconds} s, not {n}"
            ) from None


def _decode(partition: int, data: bytes) -> list[BrokerRecord]:
    return [
        BrokerRecord(
            partition, record.offset, record.timestamp_ms, record.key, record.value, record.headers
        )
        for batch in iter_batches(data)
        if not batch.header.is_control
        for record in batch.records()
    ]
