"""The broker behind its sockets: topics, logs, settings. What every handler is given.

Everything here runs on the broker's one loop thread. A change of topics or settings is first in the
metadata file, which is the moment it counts; logs are made and removed to match it, at the next
start if the broker dies in between.
"""

from __future__ import annotations

import logging
import resource
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple
from uuid import UUID, uuid4

from pyproducer.broker.broker_clock import BrokerClock
from pyproducer.broker.configs import (
    BrokerConfig,
    Resolved,
    parse,
    topic_specs,
)
from pyproducer.broker.durability import Durability
from pyproducer.broker.errors import Refused
from pyproducer.broker.faults.injector import Injector
from pyproducer.broker.fetch_sessions.cache import FetchSessionCache
from pyproducer.broker.group_commit import GroupCommit
from pyproducer.broker.journal import Journal
from pyproducer.broker.log.cleaner.settings import CleanerSettings
from pyproducer.broker.log.config import NO_LIMIT, LogConfig
from pyproducer.broker.log.manager import LogManager, TopicLogs
from pyproducer.broker.metadata_file import MetadataFile
from pyproducer.broker.metrics import BrokerMetrics
from pyproducer.broker.partition import Partition
from pyproducer.broker.producer_ids import ProducerIds
from pyproducer.broker.pulse import Pulse
from pyproducer.broker.quotas.quotas import Quotas
from pyproducer.broker.security.acl_book import AclBook
from pyproducer.broker.security.audit import TOLD_EVERY, Audit
from pyproducer.broker.security.authorizer import Authorizer, open_authorizer
from pyproducer.broker.security.users import UserStore
from pyproducer.broker.topics import Topic, TopicRegistry, TopicSpec
from pyproducer.model import TopicPartition
from pyproducer.protocol.error_codes import ErrorCode
from pyproducer.protocol.messages.api_versions import ApiVersion

if TYPE_CHECKING:
    from pyproducer.broker.context import ConnectionInfo
    from pyproducer.broker.groups.coordinator import GroupCoordinator
    from pyproducer.broker.handlers.route import Route
    from pyproducer.broker.housekeeping import Housekeeping
    from pyproducer.broker.log.filesystem import FileSystem
    from pyproducer.broker.timers import Timers
    from pyproducer.broker.transactions.coordinator import TransactionCoordinator
    from pyproducer.broker.transactions.markers import Markers

log = logging.getLogger(__name__)

DEFAULT_NODE_ID = 1
_BROKER_CONFIGS = "broker_configs"
_STARTS = "starts"
#: Seconds between looks for logs whose flush is due.
_FLUSH_SECONDS = 0.5
#: Open files that logs leave to connections and everything else.
_FILES_RESERVED = 256


class Endpoint(NamedTuple):
    """An address that clients are told."""

    host: str
    port: int


#: What a broker that does not listen tells.
_NOWHERE = Endpoint("", -1)


class Node:
    """One broker's state.

    Args:
        data_dir: Directory of everything that is kept; made if missing.
        config: The broker's settings; already checked.
        clock: All time comes from it.
        fs: All files are reached through it.
        routes: The APIs that are served.
        new_uuid: Makes topic ids and the cluster's id.
        faults: What tests have set; None is never any.
        journal: Where answered requests are noted; None is nowhere.
        transaction_version: Level of the feature `transaction.version`.
        durability: When records are forced to disk, and what is remembered of producers.

    Attributes:
        node_id: This broker's number.
        config: The broker's settings.
        clock: The clock.
        metrics: Counters.
        routes: The APIs that are served.
        faults: What tests have set.
        journal: The newest requests.
        pulse: Tells that something has happened.
        commit: Forces to disk what was appended.
        features: Finalized level of each feature that clients act on, by name.
        endpoints: Where clients are told that it is, by the listener they came in at; set once it
            listens.
        users: Who may come in; known after `open`.
        config_checks: Called with the settings that are to hold; raise ConfigError.
        topics: Which topics there are; known after `open`.
        acls: The rules about who may do what; known after `open`.
        authorizer: Judges by them; None if everybody may do everything.
        audit: The audit log.
        producer_ids: Ids for idempotent producers; known after `open`.
        quotas: What clients may do in a time, and have done; known after `open`.
        timers: Calls at moments of the clock; set once the node has a loop.
        fetch_sessions: What readers read, kept from one Fetch to the next.
        groups: Consumer groups; set by `open_groups`, which needs an open node.
        transactions: Transactional ids; set by `open_transactions`, which needs the groups.
        markers: Ends transactions on partitions; set likewise.
        on_topic_deleted: Called with the name of each topic that is gone.
    """

    topics: TopicRegistry
    acls: AclBook
    users: UserStore
    producer_ids: ProducerIds
    quotas: Quotas
    timers: Timers
    groups: GroupCoordinator
    transactions: TransactionCoordinator
    markers: Markers

    def __init__(
        self,
        data_dir: Path,
        *,
        config: BrokerConfig,
        clock: BrokerClock,
        fs: FileSystem,
        routes: Sequence[Route],
        new_uuid: Callable[[], UUID] = uuid4,
        faults: Injector | None = None,
        journal: Journal | None = None,
        transaction_version: int = 2,
        durability: Durability | None = None,
    ) -> None:
        self.config = config
        self._durability = durability or Durability()
        self.commit = GroupCommit(always=self._durability.flush == "always")
        self.features = {"transaction.version": transaction_version}
        self.faults = faults or Injector()
        self.journal = Journal(0, clock) if journal is None else journal
        self.pulse = Pulse()
        self.authorizer: Authorizer | None = None
        self.audit = Audit(clock.outside.monotonic)
        self.clock = clock
        self.metrics = BrokerMetrics()
        self.routes = routes
        self.node_id = _node_id(config)
        self.endpoints: dict[str, Endpoint] = {}
        self.config_checks: list[Callable[[BrokerConfig], None]] = []
        self.on_topic_deleted: list[Callable[[str], None]] = []
        self.fetch_sessions = FetchSessionCache(
            config.int("max.incremental.fetch.session.cache.slots"),
            clock=clock,
            # Of a random id's last 31 bits all are random.
            new_id=lambda: new_uuid().int & 0x7FFFFFFF or 1,
        )
        self._data_dir = data_dir
        self._fs = fs
        self._new_uuid = new_uuid
        self._logs = LogManager(
            data_dir, clock=clock, fs=fs, node_id=self.node_id, new_uuid=new_uuid
        )
        self._metadata: MetadataFile
        self._partitions: dict[tuple[str, int], Partition] = {}
        self._leader_epoch = 0
        self._checkpointed: object = None

    @property
    def cluster_id(self) -> str:
        """The id of the cluster, of which this broker is all."""
        return self._logs.directory.cluster_id

    @property
    def data_dir(self) -> str:
        """Where everything is kept."""
        return str(self._data_dir)

    def endpoint(self, connection: ConnectionInfo) -> Endpoint:
        """Where the client of this connection finds it."""
        return self.endpoints.get(connection.listener) or _NOWHERE

    def advertise(self, port: int) -> None:
        """Clients of the first listener are told this port, where something stands in between."""
        first = next(iter(self.endpoints))
        self.endpoints[first] = self.endpoints[first]._replace(port=port)

    @property
    def rack(self) -> str | None:
        """The rack told to clients, if one is set."""
        return self.config.get("broker.rack")

    def open(self) -> None:
        """Everything kept is there again, recovered if the last stop was a crash.

        Raises:
            DataDirectoryError: The directory is in use, or another broker's.
            ValueError: Its metadata file is not ours.
            OSError: The disk failed.
        """
        self._logs.open()
        try:
            self._metadata = MetadataFile(self._fs, self._data_dir)
            self._take_up(self._metadata)
            self.authorizer = open_authorizer(self.config, self.acls)
            self._metadata.update(**{_STARTS: self._leader_epoch + 1})
            kinds = {topic.name: self._topic_logs(topic) for topic in self.topics}
            self._logs.load(
                kinds,
                delete_delay_ms=self.config.int("log.segment.delete.delay.ms"),
            )
            if self.commit.always:
                # What a killed broker left may be with the system only, and is read from now on.
                self._logs.flush()
            for topic in self.topics:
                self._lead(topic, kinds[topic.name])
        except BaseException:
            self._logs.close()
            raise

    def _take_up(self, metadata: MetadataFile) -> None:
        """What was kept is there again.

        Raises:
            ValueError: It cannot be what a broker kept.
        """
        try:
            saved = metadata.get(_BROKER_CONFIGS, {})
            self.config.all_brokers = dict(saved.get("all", {}))
            self.config.this_broker = dict(saved.get("this", {}))
            self._configure_cleaner()
            self.producer_ids = ProducerIds(metadata)
            self.quotas = Quotas(metadata, self.clock, self.config)
            self.users = UserStore(metadata)
            self.topics = TopicRegistry(metadata, self._new_uuid)
            self.acls = AclBook(metadata)
            # Every start is an election: clients of the last one learn that it is over.
            self._leader_epoch = int(metadata.get(_STARTS, 0))
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            raise ValueError(
                f"{metadata.path} is not a broker's metadata: {type(error).__name__}: {error}"
            ) from error

    def close(self) -> bool:
        """Everything is on disk and no file is open; says if the next start needs no recovery."""
        self.audit.tell_left_out()
        for partition in self._partitions.values():
            partition.retire()
        self._partitions.clear()
        return self._logs.close()

    def api_ranges(self) -> list[ApiVersion]:
        """The APIs and versions as ApiVersions tells them."""
        return [
            ApiVersion(
                api_key=route.api_key,
                min_version=(
                    route.min_version if route.advertised_min is None else route.advertised_min
                ),
                max_version=route.max_version,
            )
            for route in self.routes
        ]

    def partition(self, topic: str, index: int) -> Partition | None:
        """The partition, or None if there is none of that name and number.

        Raises:
            Refused: KAFKA_STORAGE_ERROR: its files cannot be used.
        """
        found = self._partitions.get((topic, index))
        if found is None and (offline := self._logs.offline.get(TopicPartition(topic, index))):
            raise Refused(ErrorCode.KAFKA_STORAGE_ERROR, f"{topic}-{index} is offline: {offline}")
        return found

    def led_partition(self, topic: str, index: int) -> Partition | None:
        """The partition as a client may read and write it; None if there is none.

        Raises:
            Refused: KAFKA_STORAGE_ERROR as for `partition` and where the disk failed since, or
                NOT_LEADER_OR_FOLLOWER.
        """
        found = self.partition(topic, index)
        if found is not None:
            found.log.require_sound()
            if self.faults.leaderless:
                self.faults.check_leader(topic, index)
        return found

    def elect(self, partition: Partition) -> None:
        """The partition has this broker as its leader anew: clients of the last one learn of it."""
        epoch = max(self._leader_epoch, partition.leader_epoch) + 1
        self._leader_epoch = partition.leader_epoch = epoch
        try:
            # The next start is the next election.
            self._metadata.update(**{_STARTS: epoch + 1})
        except OSError as error:
            log.warning("leader epoch %d is not kept over a restart: %s", epoch, error)

    def partitions(self, topic: str) -> list[Partition]:
        """The partitions of a topic that can be used, in order; none for an unknown topic."""
        known = self.topics.get(topic)
        if known is None:
            return []
        found = (self._partitions.get((topic, index)) for index in range(known.partitions))
        return [partition for partition in found if partition is not None]

    def offline_partitions(self) -> list[str]:
        """The partitions whose files cannot be used, as `topic-number`."""
        broken = {str(tp) for tp, one in self._logs.logs.items() if one.failure is not None}
        return sorted(broken | {str(tp) for tp in self._logs.offline})

    def topic_configs(self, overrides: Mapping[str, str]) -> list[Resolved]:
        """Every topic configuration in effect, given a topic's own ones."""
        return [self.config.resolve_topic(name, overrides) for name in topic_specs()]

    def create_topics(self, specs: Iterable[TopicSpec]) -> list[Topic]:
        """The topics exist with all their partitions, or none of them does.

        Names and settings are not checked here.

        Raises:
            OSError: They could not be written.
            Refused: POLICY_VIOLATION: this process may not open that many files, or
                KAFKA_STORAGE_ERROR: a log could not be made.
        """
        wanted = list(specs)
        self._check_files(sum(spec.partitions for spec in wanted))
        made = self.topics.create(wanted)
        try:
            for topic in made:
                self._lead(topic)
        except (OSError, Refused):
            self.delete_topics([topic.name for topic in made])
            raise
        return made

    def delete_topics(self, names: Iterable[str]) -> None:
        """The topics are gone, and so are their records.

        Raises:
            OSError: Nothing was deleted.
        """
        for topic in self.topics.delete(names):
            for index in range(topic.partitions):
                partition = self._partitions.pop((topic.name, index), None)
                if partition is not None:
                    partition.retire()
                try:
                    self._logs.delete(TopicPartition(topic.name, index))
                except (Refused, OSError) as error:
                    # The topic is gone all the same: the next start sets these files aside.
                    log.warning("files of %s-%d are left on disk: %s", topic.name, index, error)
            self.metrics.topics.pop(topic.name, None)
            for listener in self.on_topic_deleted:
                listener(topic.name)

    def grow_topic(self, name: str, partitions: int) -> None:
        """The topic has that many partitions.

        Raises:
            OSError: It has as many as before.
            Refused: POLICY_VIOLATION or KAFKA_STORAGE_ERROR, and so likewise.
        """
        before = self.topics[name].partitions
        self._check_files(partitions - before)
        topic = self.topics.grow(name, partitions)
        try:
            self._lead(topic)
        except (OSError, Refused):
            self.topics.grow(name, before)
            for index in range(before, partitions):
                if self._partitions.pop((name, index), None) is not None:
                    self._logs.delete(TopicPartition(name, index))
            raise

    def configure_topic(self, name: str, configs: Mapping[str, str]) -> None:
        """The topic's own configurations are these, and its logs obey them at once.

        Raises:
            OSError: Nothing has changed.
        """
        self._apply(self.topics.configure(name, configs))

    def configure_broker(self, configs: Mapping[str, str], *, all_brokers: bool) -> None:
        """What is set while running, on all brokers or this one, is this; logs obey at once.

        Raises:
            OSError: Nothing has changed.
        """
        everyone = dict(configs) if all_brokers else self.config.all_brokers
        this = self.config.this_broker if all_brokers else dict(configs)
        self._metadata.update(**{_BROKER_CONFIGS: {"all": everyone, "this": this}})
        self.config.all_brokers, self.config.this_broker = everyone, this
        self._configure_cleaner()
        for topic in self.topics:
            self._apply(topic)

    def add_chores(self, housekeeping: Housekeeping) -> None:
        """Enters what the logs need done from time to time."""
        config = self.config
        housekeeping.add("counting for the audit log", TOLD_EVERY, self.audit.tell_left_out)
        housekeeping.add(
            "checkpointing offsets",
            config.int("replica.high.watermark.checkpoint.interval.ms") / 1000,
            self._checkpoint,
        )
        housekeeping.add("flushing logs", _FLUSH_SECONDS, self._flush_due)
        housekeeping.add("removing deleted files", 1.0, self._logs.remove_deleted)
        housekeeping.add(
            "applying retention",
            config.int("log.retention.check.interval.ms") / 1000,
            self._logs.apply_retention,
        )
        housekeeping.add(
            "expiring producers",
            config.int("producer.id.expiration.check.interval.ms") / 1000,
            self._logs.expire_producers,
        )

        cleaner = self._logs.cleaner
        housekeeping.add(
            "compacting logs",
            lambda: cleaner.settings.backoff_ms / 1000,
            cleaner.clean_elsewhere,
            beside=True,
        )

    def stop_cleaning(self) -> None:
        """No log is compacted any more; one that is ends soon."""
        self._logs.cleaner.stop()

    def checkpoint(self) -> None:
        """Start offsets, high watermarks and recovery points are on disk.

        Raises:
            OSError: They are not.
        """
        self._checkpointed = None
        self._checkpoint()

    def _checkpoint(self) -> None:
        state = {
            tp: (one.log_start_offset, one.high_watermark, one.recovery_point)
            for tp, one in self._logs.logs.items()
        }
        # Three files forced to disk are worth a look at whether anything changed.
        if state != self._checkpointed:
            self._logs.checkpoint()
            self._checkpointed = state

    async def _flush_due(self) -> None:
        for partition in self._partitions.values():
            if partition.log.online and partition.log.flush_due:
                self.commit.wrote(partition)
        await self.commit.wait()

    def _check_files(self, more: int) -> None:
        """Returns if so many more partitions leave enough files for connections."""
        # A broker that has used up its files with logs can accept nobody to tell them.
        limit = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
        if limit == resource.RLIM_INFINITY:
            return
        room = limit - min(_FILES_RESERVED, limit // 2) - len(self._partitions)
        if more > room:
            raise Refused(
                ErrorCode.POLICY_VIOLATION,
                f"{more} more partitions need {more} open files, and this process may open "
                f"{max(room, 0)} more for logs; raise its limit (ulimit -n {limit})",
            )

    def _lead(self, topic: Topic, kind: TopicLogs | None = None) -> None:
        """Every partition of the topic that has none yet gets its log and takes requests."""
        # Worked out once for them all: it looks at every configuration that a topic has.
        kind = kind or self._topic_logs(topic)
        for index in range(topic.partitions):
            tp = TopicPartition(topic.name, index)
            if (topic.name, index) in self._partitions or tp in self._logs.offline:
                continue
            found = self._logs.logs.get(tp)
            if found is None:
                found = self._logs.create(tp, kind)
            else:
                # The checkpoint is older than the log; the only replica has nobody to wait for.
                found.high_watermark = found.log_end_offset
            self._partitions[topic.name, index] = Partition(
                topic.name,
                index,
                found,
                max(self._leader_epoch, found.leader_epoch),
                self.metrics.topic(topic.name),
                self.commit,
            )
        self._await_flushes(kind.config)

    def _await_flushes(self, config: LogConfig) -> None:
        if config.flush_messages < NO_LIMIT:
            self.commit.awaited = True

    def _apply(self, topic: Topic) -> None:
        config = self._log_config(topic)
        for partition in self.partitions(topic.name):
            partition.log.config = config
        self._await_flushes(config)

    def _configure_cleaner(self) -> None:
        config = self.config
        self._logs.cleaner.settings = CleanerSettings(
            enable=config.flag("log.cleaner.enable"),
            backoff_ms=config.int("log.cleaner.backoff.ms"),
            dedupe_buffer_size=config.int("log.cleaner.dedupe.buffer.size"),
            io_buffer_size=config.int("log.cleaner.io.buffer.size"),
        )

    def _topic_logs(self, topic: Topic) -> TopicLogs:
        return TopicLogs(topic.id, self._log_config(topic))

    def _log_config(self, topic: Topic) -> LogConfig:
        typed: dict[str, object] = {}
        for name, spec in topic_specs().items():
            value = self.config.resolve_topic(name, topic.configs).value
            if value is not None:
                typed[name] = parse(spec.type, value)
        typed["producer.id.expiration.ms"] = self.config.int("producer.id.expiration.ms")
        return replace(
            LogConfig.from_kafka(typed),
            producer_expiry_clock=self._durability.producer_expiry_clock,
            strict_unknown_producer=self._durability.strict_unknown_producer,
        )


def _node_id(config: BrokerConfig) -> int:
    for name in ("node.id", "broker.id"):
        value = config.get(name)
        if value is not None and int(value) >= 0:
            return int(value)
    return DEFAULT_NODE_ID
