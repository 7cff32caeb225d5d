"""The broker as a user holds it: start it, ask it what it has, stop it."""

from __future__ import annotations

import asyncio
import atexit
import contextlib
import signal
import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Self, TypeVar, Unpack

from pyproducer.broker.broker_clock import BrokerClock, checked_span
from pyproducer.broker.durability import checked_durability
from pyproducer.broker.errors import Refused
from pyproducer.broker.expectations import Expected, difference
from pyproducer.broker.faults.faults import Faults
from pyproducer.broker.inspection import (
    BrokerRecord,
    read_all,
    records_of,
    wait_until_held,
)
from pyproducer.broker.journal import Journal
from pyproducer.broker.node import Node
from pyproducer.broker.properties_file import options_of_file
from pyproducer.broker.running import RunningBroker
from pyproducer.broker.security.broker_acls import BrokerAcls
from pyproducer.broker.settings import (
    BrokerOptions,
    BrokerSettings,
    checked_access,
    checked_acls,
    checked_config,
    checked_data_dir,
    checked_host,
    checked_port,
    checked_seconds,
    checked_topics,
    checked_transaction_version,
    reachable,
)
from pyproducer.broker.state import BrokerState
from pyproducer.broker.topics import TopicSpec
from pyproducer.clock import SystemClock
from pyproducer.errors import ConfigError, UsageError
from pyproducer.loop_thread import LoopThread

if TYPE_CHECKING:
    from types import TracebackType

    from pyproducer.broker.durability import ExpiryClock, FlushMode
    from pyproducer.broker.log.filesystem import FileSystem
    from pyproducer.clock import Clock
    from pyproducer.model import TopicPartition
    from pyproducer.protocol.acl import Acl

T = TypeVar("T")

#: Seconds that stopping may take; beyond, a file system that hangs is left behind.
_STOP_TIMEOUT = 30.0
#: Seconds between two looks of `wait_until`.
_PAUSE = 0.002


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
            in this broker is refused unless it says what the broker does anyway. Four
            defaults are not Kafka's: `auto.create.topics.enable` is false instead of true,
            `group.initial.rebalance.delay.ms` is 0 instead of 3000,
            `offsets.topic.num.partitions` and `transaction.state.log.num.partitions` are 5
            instead of 50. A file of them is for `from_properties`.
        auto_create_topics: Create a topic with `num.partitions` partitions when a client first
            asks for it; the same as `auto.create.topics.enable`.
        http_port: Port of the HTTP side (`/health`, `/topics`, `/metrics`, `/faults`...); 0 lets
            the system pick one, None is no HTTP side. Needs the extra `cli`.
        http_host: Address of the HTTP side.
        transaction_version: The finalized level of Kafka's feature `transaction.version`, told
            to clients: with 2 they use protocol 2 of transactions (KIP-890), with 0 or 1 the
            protocol before it.
        flush: When records are forced to disk. `always`: before they are acknowledged or read, in
            one round for all that wait. `interval`: every `log.flush.interval.ms`, 1000 unless
            set. `os`: when the operating system does, as in Kafka; what was acknowledged outlives
            the broker's death, but of the last seconds before a loss of power some may be gone.
            A topic's `flush.messages` and `flush.ms` hold in every mode.
        producer_expiry_clock: What `producer.id.expiration.ms` is counted from: a producer's last
            `append`, or its last `record`'s timestamp, as in Kafka, which forgets a producer of
            old data at once.
        strict_unknown_producer: Refuse the batches of a producer that is not known on a partition
            unless they begin with sequence 0 (UNKNOWN_PRODUCER_ID); Kafka accepts any.
        acls: Rules about who may do what that hold once it has started, beside those that the
            `data_dir` has. With any, or none in an empty list, clients may do what rules allow and
            nothing else (`authorizer.class.name`); None is a broker without rules.
        super_users: Who may do everything whatever the rules say, such as `User:admin`; the same as
            `super.users`.
        clock: Gives all time; None is the machine's clock. `tick` moves the broker ahead of it.
        fs: File system of `data_dir`; None is the machine's.
        journal: How many requests `broker.journal` remembers; 0 is none.
        slow_reader_timeout: Seconds after which a client that reads nothing of its answer is
            disconnected; None is after `connections.max.idle.ms`.

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
        transaction_version: int = 2,
        flush: FlushMode = "os",
        producer_expiry_clock: ExpiryClock = "append",
        strict_unknown_producer: bool = False,
        acls: Iterable[Acl] | None = None,
        super_users: Iterable[str] = (),
        clock: Clock | None = None,
        fs: FileSystem | None = None,
        journal: int = 1000,
        slow_reader_timeout: float | None = None,
    ) -> None:
        own_clock = BrokerClock(clock or SystemClock())
        rules = None if acls is None else checked_acls(acls)
        durability = checked_durability(
            flush, producer_expiry_clock, strict_unknown_producer=strict_unknown_producer
        )
        self._settings = BrokerSettings(
            topics=checked_topics(topics),
            config=checked_config(
                {} if config is None else config,
                auto_create_topics=auto_create_topics,
                durability=durability,
                access=checked_access(rules, super_users),
            ),
            acls=rules or (),
            durability=durability,
            data_dir=checked_data_dir(data_dir),
            host=checked_host("host", host),
            port=checked_port("port", port),
            advertised_host=checked_host("advertised_host", advertised_host or reachable(host)),
            http_host=checked_host("http_host", http_host),
            http_port=None if http_port is None else checked_port("http_port", http_port),
            transaction_version=checked_transaction_version(transaction_version),
            clock=own_clock,
            fs=fs,
            slow_reader_timeout=checked_seconds("slow_reader_timeout", slow_reader_timeout),
        )
        self._acls = BrokerAcls(self._call_with_node)
        self._faults = Faults()
        self._journal = Journal(journal, own_clock)
        self._thread: LoopThread | None = None
        self._running: RunningBroker | None = None
        self._lock = threading.Lock()

    @classmethod
    def from_properties(
        cls,
        path: str | Path,
        topics: Mapping[str, int] | Iterable[TopicSpec] = (),
        **options: Unpack[BrokerOptions],
    ) -> Self:
        """A broker as a file of Kafka's property names describes it, such as a server.properties.

        `listeners`, `advertised.listeners` and `log.dirs` become `host`, `port`,
        `advertised_host` and `data_dir`; what says that the node is a cluster of its own is
        taken as that; all else is `config`. With no `listeners` the defaults of `Broker` hold.

        Args:
            path: The file.
            topics: As for `Broker`.
            options: As for `Broker`; each is stronger than the file, and `config` is so for what
                it names.

        Raises:
            ConfigError: The file cannot be read, or settings in it, all of which are told with
                their lines, are unknown, not possible, or without effect here.
        """
        found = options_of_file(path)
        config = {**(found.get("config") or {}), **(options.get("config") or {})}
        merged: BrokerOptions = {**found, **options, "config": config}
        return cls(topics, **merged)

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
    def acls(self) -> BrokerAcls:
        """The rules about who may do what, to be looked at and changed from any thread."""
        return self._acls

    @property
    def journal(self) -> Journal:
        """The newest requests that it was asked, from any thread."""
        return self._journal

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

    def records(
        self, topic: str, partition: int | None = None, *, committed: bool = False
    ) -> list[BrokerRecord]:
        """What a consumer could read now, by partition and offset.

        Args:
            topic: Name of the topic.
            partition: One partition only; None is all.
            committed: Leave out records of transactions that are open or were aborted, as a
                consumer does with `isolation.level=read_committed`.

        Raises:
            UnknownTopic: There is no such topic or partition.
            UsageError: The broker is not running in the background.
        """
        background = self._background()
        parts = background.call(read_all(self._node(), topic, partition, committed=committed))
        return [record for index, batches in parts for record in records_of(index, batches)]

    def wait_for(
        self, topic: str, n: int = 1, timeout: float = 10.0, *, committed: bool = False
    ) -> list[BrokerRecord]:
        """Blocks until the topic holds at least `n` records; returns all of them.

        Args:
            topic: Name of the topic.
            n: How many records there must be.
            timeout: Seconds to wait.
            committed: As for `records`.

        Raises:
            TimeoutError: There are fewer; says how many.
            UnknownTopic: There is no such topic.
            UsageError: The broker is not running in the background.
        """
        background, node = self._background(), self._node()
        background.call(wait_until_held(node, topic, n, timeout, committed=committed))
        return self.records(topic, committed=committed)

    def assert_log(
        self,
        topic: str,
        partition: int,
        expected: Sequence[Expected],
        *,
        committed: bool = False,
    ) -> None:
        """The partition holds exactly these records, in this order.

        Args:
            topic: Name of the topic.
            partition: Number of the partition.
            expected: Of each record its value, (key, value), or all of it as a `BrokerRecord`.
                Texts stand for their UTF-8 bytes, None for null.
            committed: As for `records`.

        Raises:
            AssertionError: It holds something else; shows what is where.
            ConfigError: That is no record.
            UnknownTopic: There is no such topic or partition.
            UsageError: The broker is not running in the background.
        """
        __tracebackhide__ = True  # pytest shows the line of the test
        found = self.records(topic, partition, committed=committed)
        if text := difference(f"{topic}-{partition}", found, expected):
            raise AssertionError(text)

    def state(self) -> BrokerState:
        """What it is at this moment: time, topics, partitions, producers, groups, connections.

        Raises:
            UsageError: The broker is not running in the background.
        """
        return self._background().call(self._changed(None, 0.0))[0]

    def wait_until(
        self, predicate: Callable[[BrokerState], object], timeout: float = 10.0
    ) -> BrokerState:
        """Blocks until the predicate is true of the broker's state, and returns that state.

        It is asked on this thread, at once and whenever something has happened in the broker.

        Args:
            predicate: Is given the state.
            timeout: Seconds to wait, by real time.

        Raises:
            TimeoutError: It is still false; says what the broker is then.
            UsageError: The broker is not running in the background.
        """
        background = self._background()
        deadline = time.monotonic() + timeout
        count = None
        while True:
            state, count = background.call(self._changed(count, deadline - time.monotonic()))
            if predicate(state):
                return state
            if time.monotonic() >= deadline:
                raise TimeoutError(f"not so within {timeout} s; the broker has\n{state.summary()}")

    def committed_offsets(self, group: str) -> dict[TopicPartition, int]:
        """The next offset to read that a consumer group has committed for each partition.

        Offsets in a transaction count once it is committed.

        Args:
            group: Its id; one that never committed, or is not there, has none.

        Raises:
            UsageError: The broker is not running in the background.
        """
        return self._background().call(self._committed_offsets(group))

    def tick(
        self,
        delta: timedelta | None = None,
        /,
        *,
        days: float = 0,
        hours: float = 0,
        minutes: float = 0,
        seconds: float = 0,
        milliseconds: float = 0,
    ) -> None:
        """So much time has passed in the broker, and all that it brings is done: nobody waits.

        Retention, compaction, forgotten producers and offsets, transactions and sessions that
        time out, files of deleted topics: each comes at its time on the way, whatever the
        intervals at which the broker looks otherwise. Records written from now on have the later
        time. Clients live outside, where no time passes: their connections stay, as does what
        they wait for by their own clocks. The clock stays ahead over a stop and a start.

        It blocks for as long as the work takes. In a coroutine it may be called too, since the
        broker has a thread of its own; `atick` lets the loop go on meanwhile.

        Args:
            delta: How much; what the others say is added.
            days: As of a `timedelta`, like those that follow.
            hours: Likewise.
            minutes: Likewise.
            seconds: Likewise.
            milliseconds: Likewise.

        Raises:
            ConfigError: That is no span, or time would go back.
            UsageError: The broker is not running in the background.
        """
        parts = {"days": days, "hours": hours, "minutes": minutes}
        parts |= {"seconds": seconds, "milliseconds": milliseconds}
        span = checked_span(delta, parts)
        self._background().call(self._tick(span))

    async def atick(self, delta: timedelta | None = None, /, **parts: float) -> None:
        """As `tick`, with the same arguments, for coroutines; and the one form with `serve`.

        A broker that serves on this loop could not work while a call blocks it.

        Raises:
            ConfigError: That is no span, or time would go back.
            UsageError: The broker is not running.
        """
        if self._thread is not None:
            await asyncio.to_thread(self.tick, delta, **parts)
        else:
            self._node()
            await self._tick(checked_span(delta, parts))

    async def _changed(self, count: int | None, seconds: float) -> tuple[BrokerState, int]:
        """The state once more has happened than so much, or time is up; and how much has."""
        running, pulse = self._run(), self._node().pulse
        if count is not None:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(seconds):
                    await pulse.after(count)
            # Somebody who waits for one thing must not be asked about each of a million others.
            await asyncio.sleep(_PAUSE)
        return running.state(), pulse.count

    async def _tick(self, seconds: float) -> None:
        await self._run().housekeeping.pass_time(seconds)

    async def _open(self) -> None:
        self._running = await RunningBroker.open(self._settings, self._faults, self._journal)

    async def _close(self) -> None:
        running, self._running = self._running, None
        if running is not None:
            await running.close()

    def _run(self) -> RunningBroker:
        if self._running is None:
            raise UsageError("the broker is not running")
        return self._running

    def _node(self) -> Node:
        return self._run().node

    def _call_with_node(self, use: Callable[[Node], T]) -> T:
        """What `use` returns, which is called with the node on its loop."""

        async def called() -> T:
            return use(self._node())

        return self._background().call(called())

    def _background(self) -> LoopThread:
        if self._thread is None:
            raise UsageError(
                "the broker is not running in the background: use `with`, `async with` or start()"
            )
        return self._thread

    async def _committed_offsets(self, group: str) -> dict[TopicPartition, int]:
        return {place: one.offset for place, one in self._node().groups.offsets(group).items()}
