"""The broker as a user holds it: start it, ask it what it has, stop it."""

from __future__ import annotations

import asyncio
import atexit
import signal
import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Self, Unpack

from pyproducer.broker.broker_clock import BrokerClock
from pyproducer.broker.durability import checked_durability
from pyproducer.broker.errors import Refused
from pyproducer.broker.faults.faults import Faults
from pyproducer.broker.http_settings import checked_http
from pyproducer.broker.journal import Journal
from pyproducer.broker.properties_file import options_of_file, with_place
from pyproducer.broker.running import RunningBroker
from pyproducer.broker.security.authority import ClientCertificate, TemporaryAuthority
from pyproducer.broker.security.broker_acls import BrokerAcls
from pyproducer.broker.security.listener_settings import chosen_listeners
from pyproducer.broker.security.users import Users
from pyproducer.broker.settings import (
    AUTHENTICATION_TIMEOUT,
    BrokerOptions,
    BrokerSettings,
    checked_access,
    checked_acls,
    checked_authentication_timeout,
    checked_config,
    checked_data_dir,
    checked_host,
    checked_port,
    checked_slow_reader_timeout,
    checked_topics,
    checked_transaction_version,
)
from pyproducer.broker.topics import TopicSpec
from pyproducer.broker.view import BrokerView
from pyproducer.clock import SystemClock
from pyproducer.errors import ConfigError, UsageError
from pyproducer.loop_thread import LoopThread

if TYPE_CHECKING:
    from types import TracebackType

    from pyproducer.broker.durability import ExpiryClock, FlushMode
    from pyproducer.broker.log.filesystem import FileSystem
    from pyproducer.broker.security.listener import Listener
    from pyproducer.clock import Clock
    from pyproducer.protocol.acl import Acl

#: Seconds that stopping may take; beyond, a file system that hangs is left behind.
_STOP_TIMEOUT = 30.0


class Broker(BrokerView):
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
        listeners: Where it listens, if at several places or with settings for one of them: each
            a `Listener`. In place of host, port and security.
        security: What is spoken at host and port: `PLAINTEXT`, `SSL`, `SASL_PLAINTEXT` or
            `SASL_SSL`; None is `PLAINTEXT`. For TLS it shows the certificate that
            `ssl.keystore.location` in config names; without one it makes itself one, signed by an
            authority of its own (`ca_file`), which clients are asked for a certificate of too
            (`client_certificate`). That needs the extra `certificates`.
        users: Names with passwords, for the SASL mechanisms `PLAIN`, `SCRAM-SHA-256` and
            `SCRAM-SHA-512`; `broker.users` changes them.
        config: Kafka's broker configurations by their property names. One that has no effect
            in this broker is refused unless it says what the broker does anyway. Five
            defaults are not Kafka's: `auto.create.topics.enable` is false instead of true,
            `group.initial.rebalance.delay.ms` is 0 instead of 3000,
            `offsets.topic.num.partitions` and `transaction.state.log.num.partitions` are 5
            instead of 50, and `sasl.enabled.mechanisms` are the three with passwords instead of
            `GSSAPI`. A file of them is for `from_properties`.
        auto_create_topics: Create a topic with `num.partitions` partitions when a client first
            asks for it; the same as `auto.create.topics.enable`.
        http_port: Port of the HTTP side (`/health`, `/topics`, `/metrics`, `/faults`...); 0 lets
            the system pick one, None is no HTTP side. Needs the extra `cli`.
        http_host: Address of the HTTP side; one that other machines reach takes a token.
        http_token: What requests to it bring as `Authorization: Bearer TOKEN`; None is none.
        http_certificate: For HTTPS: path of a certificate chain, or the chain itself, in PEM.
        http_key: The private key of its first certificate, likewise; None is in the same file.
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
        authentication_timeout: Seconds in which a client of a SASL listener has to prove who it
            is; None is as long as it likes.

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
        listeners: Iterable[Listener] | None = None,
        security: str | None = None,
        users: Mapping[str, str] = MappingProxyType({}),
        config: Mapping[str, str] | None = None,
        auto_create_topics: bool = False,
        http_port: int | None = None,
        http_host: str = "127.0.0.1",
        http_token: str | None = None,
        http_certificate: str | Path | None = None,
        http_key: str | Path | None = None,
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
        authentication_timeout: float | None = AUTHENTICATION_TIMEOUT,
    ) -> None:
        own_clock = BrokerClock(clock or SystemClock())
        rules = None if acls is None else checked_acls(acls)
        durability = checked_durability(
            flush, producer_expiry_clock, strict_unknown_producer=strict_unknown_producer
        )
        given = {} if config is None else config
        chosen = chosen_listeners(
            listeners=listeners,
            security=security,
            host=checked_host("host", host),
            port=checked_port("port", port),
            advertised_host=(
                None
                if advertised_host is None
                else checked_host("advertised_host", advertised_host)
            ),
            config=given,
        )
        self._users = Users(users)
        settings = checked_config(
            given,
            chosen,
            auto_create_topics=auto_create_topics,
            durability=durability,
            clock=own_clock.outside,
            users=len(self._users) > 0,
            access=checked_access(rules, super_users),
        )
        self._authority: TemporaryAuthority | None = None
        self._settings = BrokerSettings(
            topics=checked_topics(topics),
            config=settings,
            acls=rules or (),
            durability=durability,
            data_dir=checked_data_dir(data_dir),
            listeners=chosen,
            http=checked_http(http_port, http_host, http_token, http_certificate, http_key),
            transaction_version=checked_transaction_version(transaction_version),
            clock=own_clock,
            fs=fs,
            slow_reader_timeout=checked_slow_reader_timeout(slow_reader_timeout, settings),
            authentication_timeout=checked_authentication_timeout(authentication_timeout, chosen),
        )
        self._acls = BrokerAcls(self._call_with_node)
        self._faults = Faults()
        self._journal = Journal(journal, own_clock)
        self._thread: LoopThread | None = None
        self._running: RunningBroker | None = None
        self._lock = threading.Lock()
        self._making = threading.Lock()

    @classmethod
    def from_properties(
        cls,
        path: str | Path,
        topics: Mapping[str, int] | Iterable[TopicSpec] = (),
        **options: Unpack[BrokerOptions],
    ) -> Self:
        """A broker as a file of Kafka's property names describes it, such as a server.properties.

        `listeners`, `advertised.listeners` and `listener.security.protocol.map` become
        `listeners`, and `log.dirs` becomes `data_dir`; what says that the node is a cluster of
        its own is taken as that; all else is `config`. With no `listeners` the defaults of
        `Broker` hold.

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
        return cls(topics, **with_place(found, options))

    @property
    def host(self) -> str:
        """The address told to clients of the first listener."""
        return self._settings.listeners[0].told_host

    @property
    def port(self) -> int:
        """The port told to clients of the first listener.

        Raises:
            UsageError: It is not running.
        """
        return self._node().endpoints[self._settings.listeners[0].name].port

    @property
    def bootstrap_servers(self) -> str:
        """`host:port` of the first listener, as clients want it.

        Raises:
            UsageError: It is not running.
        """
        return self.bootstrap_servers_of(self._settings.listeners[0].name)

    @property
    def listeners(self) -> list[str]:
        """The names of its listeners, in their order."""
        return [one.name for one in self._settings.listeners]

    def bootstrap_servers_of(self, listener: str) -> str:
        """`host:port` of a listener, as clients want it.

        Args:
            listener: Its name; that of its protocol if it was given none.

        Raises:
            ConfigError: There is no such listener.
            UsageError: It is not running.
        """
        endpoints = self._node().endpoints
        if listener not in endpoints:
            raise ConfigError(
                f"there is no listener {listener!r}, but {', '.join(endpoints)}", option="listener"
            )
        host, port = endpoints[listener]
        return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"

    @property
    def users(self) -> Users:
        """Who may come in with a password, from any thread, running or not."""
        return self._users

    @property
    def ca_file(self) -> str:
        """File with the certificate of the authority that it makes certificates with.

        Clients have to trust it where the broker shows a certificate of its own making. It is the
        same over a stop and a start, and gone with this object.

        Raises:
            ConfigError: The extra `certificates` is missing.
        """
        return str(self._own_authority().ca_file)

    @property
    def makes_certificates(self) -> bool:
        """Whether one of its listeners shows a certificate of its own making; once it has run."""
        return self._authority is not None

    def client_certificate(self, common_name: str) -> ClientCertificate:
        """A certificate for a client, whom the broker knows by it as `User:CN=common_name`.

        `ssl.principal.mapping.rules` may say otherwise. Always the same one for a name. Where
        `ssl.truststore.location` names whom to trust, `ca_file` belongs there too.

        Raises:
            ConfigError: The extra `certificates` is missing, or that is no name.
        """
        return self._own_authority().client(common_name)

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
                thread.call(self._open)
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
                thread.call(self._close, _STOP_TIMEOUT)
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

        self._background().call(create)

    async def _open(self) -> None:
        self._running = await RunningBroker.open(
            self._settings, self._faults, self._journal, self._users, self._own_authority
        )

    async def _close(self) -> None:
        running, self._running = self._running, None
        if running is not None:
            await running.close()

    def _own_authority(self) -> TemporaryAuthority:
        # Asked for by who holds the broker and, at the start, by its own thread.
        with self._making:
            if self._authority is None:
                self._authority = TemporaryAuthority()
            return self._authority
