"""The broker as a user holds it: start it, ask it what it has, stop it."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import tempfile
import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, Self

from pyproducer.broker.configs import BrokerConfig, check_broker_configs, check_topic_configs
from pyproducer.broker.errors import Refused
from pyproducer.broker.handlers.table import ROUTES
from pyproducer.broker.housekeeping import Housekeeping
from pyproducer.broker.log.filesystem import RealFileSystem
from pyproducer.broker.node import Node
from pyproducer.broker.partition import Partition, Watch
from pyproducer.broker.router import Router
from pyproducer.broker.server import Server
from pyproducer.broker.topics import INTERNAL_TOPICS, MAX_PARTITIONS, TopicSpec, check_name
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
            in this broker is refused unless it says what the broker does anyway.
        auto_create_topics: Create a topic with `num.partitions` partitions when a client first
            asks for it; the same as `auto.create.topics.enable`.
        http_port: Port of the HTTP side (`/health`, `/topics`, `/metrics`); 0 lets the system
            pick one, None is no HTTP side. Needs the extra `cli`.
        http_host: Address of the HTTP side.
        clock: Gives all time; None is the machine's clock.
        fs: File system of `data_dir`; None is the machine's.

    Raises:
        ConfigError: A topic or a configuration that is not possible.
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
        self._topics = _checked_topics(topics)
        self._config = _checked_config(config or {}, auto_create_topics=auto_create_topics)
        self._data_dir = None if data_dir is None else Path(data_dir)
        self._host = host
        self._port = port
        self._advertised_host = advertised_host or _reachable(host)
        self._http_port = http_port
        self._http_host = http_host
        self._clock = clock or SystemClock()
        self._fs = fs
        self._thread: LoopThread | None = None
        self._running: _Running | None = None
        self._lock = threading.Lock()

    @property
    def host(self) -> str:
        """The address told to clients."""
        return self._advertised_host

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
    def cluster_id(self) -> str:
        """The cluster's id, kept with the data.

        Raises:
            UsageError: It is not running.
        """
        return self._node().cluster_id

    def start(self) -> None:
        """It runs in a background thread and takes connections when this returns.

        Raises:
            OSError: The address or the data directory cannot be used.
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

    def stop(self) -> None:
        """It takes no connections any more and all it has is on disk; does nothing if stopped.

        A temporary folder is gone. Records that were acknowledged stay in a `data_dir`.
        """
        with self._lock:
            thread, self._thread = self._thread, None
            if thread is None:
                return
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
        """Runs on the current loop until cancelled or one of the signals arrives, then stops cleanly.

        Args:
            on_ready: Called once connections are taken.
            stop_signals: Signals that end it; only possible on the main thread.

        Raises:
            OSError: The address or the data directory cannot be used.
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
        [spec] = _checked_topics([TopicSpec(name, partitions, dict(configs or {}))])

        async def create() -> None:
            node = self._node()
            try:
                node.topics.check_new(spec.name)
            except Refused as refused:
                raise ConfigError(str(refused.message), option="topics") from None
            node.create_topics([spec])

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
        self._running = await _Running.open(self)

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

    async def _wait_for(self, topic: str, n: int, timeout: float) -> None:
        partitions = self._found(topic, None)

        def held() -> int:
            return sum(one.high_watermark - one.log_start_offset for one in partitions)

        try:
            async with asyncio.timeout(timeout):
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
                f"{topic} holds {held()} records after {timeout} s, not {n}"
            ) from None


class _Running:
    """What exists between start and stop, on the loop it was opened on."""

    def __init__(self, node: Node, folder: tempfile.TemporaryDirectory[str] | None) -> None:
        self.node = node
        self.http_port: int | None = None
        self._exit = contextlib.AsyncExitStack()
        if folder is not None:
            self._exit.callback(folder.cleanup)

    @classmethod
    async def open(cls, broker: Broker) -> _Running:
        folder = None
        data_dir, fs = broker._data_dir, broker._fs
        if data_dir is None:
            folder = tempfile.TemporaryDirectory(prefix="pyproducer-broker-")
            data_dir = Path(folder.name)
        if fs is None:
            fs = RealFileSystem(sync=folder is None)
        node = Node(
            data_dir,
            config=BrokerConfig(broker._config),
            clock=broker._clock,
            fs=fs,
            routes=ROUTES,
        )
        running = cls(node, folder)
        try:
            await running._start(broker)
        except BaseException:
            await running.close()
            raise
        return running

    async def _start(self, broker: Broker) -> None:
        node = self.node
        node.open()
        self._exit.callback(node.close)
        missing = [spec for spec in broker._topics if node.topics.get(spec.name) is None]
        for spec in missing:
            try:
                node.topics.check_new(spec.name)
            except Refused as refused:
                raise ConfigError(str(refused.message), option="topics") from None
        if missing:
            node.create_topics(missing)
        server = Server(node, Router(node))
        self._exit.push_async_callback(server.close)
        node.advertised_port = await server.start(broker._host, broker._port)
        node.advertised_host = broker._advertised_host
        if broker._http_port is not None:
            from pyproducer.broker.admin_http import AdminHttp

            http = AdminHttp(node)
            self._exit.push_async_callback(http.close)
            self.http_port = await http.start(broker._http_host, broker._http_port)
        housekeeping = Housekeeping(node.clock)
        node.add_chores(housekeeping)
        idle = node.config.int("connections.max.idle.ms") / 1000
        if idle >= 0:
            housekeeping.add(
                "closing idle connections",
                min(idle / 4, 60.0),
                lambda: _ignore(server.close_idle(node.clock.monotonic(), idle)),
            )
        chores = asyncio.create_task(housekeeping.run(), name="housekeeping")
        self._exit.push_async_callback(_end, chores)

    async def close(self) -> None:
        await self._exit.aclose()


async def _end(task: asyncio.Task[None]) -> None:
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await task


def _ignore(_: object) -> None:
    return None


def _reachable(host: str) -> str:
    return "localhost" if host in {"", "0.0.0.0", "::"} else host  # noqa: S104


def _decode(partition: int, data: bytes) -> list[BrokerRecord]:
    return [
        BrokerRecord(
            partition, record.offset, record.timestamp_ms, record.key, record.value, record.headers
        )
        for batch in iter_batches(data)
        if not batch.header.is_control
        for record in batch.records()
    ]


def _checked_topics(topics: Mapping[str, int] | Iterable[TopicSpec]) -> list[TopicSpec]:
    if isinstance(topics, Mapping):
        specs = [TopicSpec(name, count) for name, count in topics.items()]
    else:
        specs = list(topics)
    seen: set[str] = set()
    for spec in specs:
        if not isinstance(spec, TopicSpec):
            raise ConfigError(
                f"topics takes a mapping of names to partition counts, or TopicSpecs, not {spec!r}",
                option="topics",
            )
        try:
            check_name(spec.name)
            check_topic_configs(spec.configs)
        except Refused as refused:
            raise ConfigError(f"topic {spec.name!r}: {refused.message}", option="topics") from None
        if not 1 <= spec.partitions <= MAX_PARTITIONS:
            raise ConfigError(
                f"topic {spec.name!r} has 1 to {MAX_PARTITIONS} partitions, not {spec.partitions}",
                option="topics",
            )
        if spec.name in seen or spec.name in INTERNAL_TOPICS:
            raise ConfigError(
                f"topic {spec.name!r} is "
                + ("named twice" if spec.name in seen else "made by the broker itself"),
                option="topics",
            )
        seen.add(spec.name)
    return specs


def _checked_config(config: Mapping[str, object], *, auto_create_topics: bool) -> dict[str, str]:
    given = {
        name: str(value).lower() if isinstance(value, bool) else str(value)
        for name, value in config.items()
    }
    if auto_create_topics:
        given["auto.create.topics.enable"] = "true"
    try:
        check_broker_configs(given)
    except Refused as refused:
        raise ConfigError(str(refused.message), option="config") from None
    return given
