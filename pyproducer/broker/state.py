"""What a broker is at one moment, as frozen values: `broker.state()`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from pyproducer.errors import UnknownTopic

if TYPE_CHECKING:
    from pyproducer.broker.context import ConnectionInfo
    from pyproducer.broker.groups.model import GroupDescription
    from pyproducer.broker.log.producer_state import ProducerEntry
    from pyproducer.broker.node import Node
    from pyproducer.broker.partition import Partition
    from pyproducer.broker.topics import Topic
    from pyproducer.protocol.acl import Acl


@dataclass(frozen=True, slots=True, kw_only=True)
class ClockState:
    """The broker's time.

    Attributes:
        time_ms: Milliseconds since the epoch.
        ahead_seconds: By how much ticks have moved it.
    """

    time_ms: int
    ahead_seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class SegmentState:
    """One segment of a log.

    Attributes:
        base_offset: Its first offset.
        next_offset: The offset behind its last batch.
        bytes: Size of its log file.
        largest_timestamp_ms: The newest timestamp in it, -1 without any.
    """

    base_offset: int
    next_offset: int
    bytes: int
    largest_timestamp_ms: int


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchRange:
    """A batch that a partition would recognise if it came again."""

    first_sequence: int
    last_sequence: int
    first_offset: int
    last_offset: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ProducerState:
    """What a partition remembers of an idempotent or transactional producer.

    Attributes:
        producer_id: The producer.
        epoch: Its newest epoch here.
        batches: Its last batches, at most five, oldest first.
        last_timestamp_ms: The newest timestamp of the last of them.
        coordinator_epoch: Of the coordinator that last ended a transaction, -1 without one.
        open_since: First offset of its open transaction, or None.
    """

    producer_id: int
    epoch: int
    batches: tuple[BatchRange, ...]
    last_timestamp_ms: int
    coordinator_epoch: int
    open_since: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class PartitionState:
    """One partition.

    Attributes:
        topic: Name of its topic.
        partition: Its number.
        log_start_offset: The oldest offset that can be read.
        log_end_offset: The offset of the next record.
        high_watermark: The offset up to which consumers read.
        last_stable_offset: The offset up to which consumers of committed records read.
        leader_epoch: Its leader's epoch.
        bytes: Size of its log.
        segments: Its segments, oldest first.
        producers: The producers that it knows, by id.
        failure: Why its files cannot be used, or None.
    """

    topic: str
    partition: int
    log_start_offset: int
    log_end_offset: int
    high_watermark: int
    last_stable_offset: int
    leader_epoch: int
    bytes: int
    segments: tuple[SegmentState, ...]
    producers: tuple[ProducerState, ...]
    failure: str | None

    @property
    def open_transactions(self) -> tuple[ProducerState, ...]:
        """The producers with an open transaction here, oldest first."""
        found = [one for one in self.producers if one.open_since is not None]
        return tuple(sorted(found, key=lambda one: one.open_since or 0))


@dataclass(frozen=True, slots=True, kw_only=True)
class TopicState:
    """One topic.

    Attributes:
        name: Its name.
        id: Its id, as a text.
        internal: Whether it is the broker's own.
        configs: What was set for it, by Kafka's names.
        partitions: Its partitions that can be used.
    """

    name: str
    id: str
    internal: bool
    configs: Mapping[str, str]
    partitions: tuple[PartitionState, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class TransactionState:
    """One transactional id.

    Attributes:
        transactional_id: The name.
        producer_id: Of whoever holds it.
        epoch: Likewise.
        state: Kafka's name of the state, such as "Ongoing".
        timeout_ms: How long a transaction may be open.
        started_ms: When the present one began, -1 without one.
        partitions: What it has written to, as `topic-number`.
    """

    transactional_id: str
    producer_id: int
    epoch: int
    state: str
    timeout_ms: int
    started_ms: int
    partitions: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class MemberState:
    """A member of a consumer group."""

    member_id: str
    instance_id: str | None
    client_id: str
    client_host: str


@dataclass(frozen=True, slots=True, kw_only=True)
class GroupState:
    """One consumer group.

    Attributes:
        group_id: Its name.
        state: Kafka's name of the state, such as "Stable".
        protocol: The assignor that was chosen, "" without one.
        members: Its members.
        offsets: What it has committed, by `topic-number`.
    """

    group_id: str
    state: str
    protocol: str
    members: tuple[MemberState, ...]
    offsets: Mapping[str, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class ConnectionState:
    """An open connection.

    Attributes:
        number: Counts connections from 1; the journal has it too.
        peer: The client's `host:port`.
        listener: Name of the listener it came in at.
        principal: Who is authenticated.
        software: What the client called itself in ApiVersions, "" until it did.
    """

    number: int
    peer: str
    listener: str
    principal: str
    software: str


@dataclass(frozen=True, slots=True, kw_only=True)
class BrokerState:
    """A broker at one moment.

    Attributes:
        clock: Its time.
        topics: Every topic, its own ones too.
        groups: Every consumer group.
        transactions: Every transactional id.
        connections: Every open connection.
        rejected_connections: How many were not taken, by the limit that they met.
        closed_connections: How many the broker has ended, by why it has.
        acls: Every rule about who may do what.
    """

    clock: ClockState
    topics: tuple[TopicState, ...]
    groups: tuple[GroupState, ...]
    transactions: tuple[TransactionState, ...]
    connections: tuple[ConnectionState, ...]
    rejected_connections: Mapping[str, int]
    closed_connections: Mapping[str, int]
    acls: tuple[Acl, ...]

    def topic(self, name: str) -> TopicState:
        """The topic of that name.

        Raises:
            UnknownTopic: There is none.
        """
        for one in self.topics:
            if one.name == name:
                return one
        raise UnknownTopic(f"the broker has no {name}", topic=name)

    def partition(self, topic: str, partition: int = 0) -> PartitionState:
        """The partition of that number.

        Raises:
            UnknownTopic: There is none.
        """
        for one in self.topic(topic).partitions:
            if one.partition == partition:
                return one
        raise UnknownTopic(f"the broker has no {topic}-{partition}", topic=topic)

    def group(self, group_id: str) -> GroupState | None:
        """The consumer group of that name, or None."""
        return next((one for one in self.groups if one.group_id == group_id), None)

    def as_dict(self) -> dict[str, Any]:
        """All of it in values that JSON has."""
        return asdict(self)

    def summary(self) -> str:
        """A few words on each partition and group, a line each."""
        lines = [
            f"{one.topic}-{one.partition}: offsets {one.log_start_offset} to {one.log_end_offset}, "
            f"stable to {one.last_stable_offset}, {len(one.producers)} producers"
            for topic in self.topics
            if not topic.internal
            for one in topic.partitions
        ]
        lines += [
            f"group {one.group_id}: {one.state}, {len(one.members)} members" for one in self.groups
        ]
        return "\n".join([*lines, f"{len(self.connections)} connections"])


def state_of(node: Node, connections: list[ConnectionInfo]) -> BrokerState:
    """What the node is now, on its loop."""
    return BrokerState(
        clock=ClockState(time_ms=node.clock.wall_ms(), ahead_seconds=node.clock.ahead),
        topics=tuple(_topic(node, one) for one in node.topics),
        groups=tuple(_group(node, one) for one in node.groups.list_groups()),
        transactions=tuple(
            TransactionState(
                transactional_id=one.transactional_id,
                producer_id=one.producer_id,
                epoch=one.epoch,
                state=str(one.state),
                timeout_ms=one.timeout_ms,
                started_ms=one.start_ms,
                partitions=tuple(map(str, sorted(one.partitions))),
            )
            for one in node.transactions.transactions()
        ),
        connections=tuple(
            ConnectionState(
                number=one.number,
                peer=f"{one.peer_host}:{one.peer_port}",
                listener=one.listener,
                principal=str(one.principal),
                software=f"{one.software_name} {one.software_version}".strip(),
            )
            for one in sorted(connections, key=lambda one: one.number)
        ),
        rejected_connections=dict(node.metrics.connections_rejected),
        closed_connections=dict(node.metrics.connections_closed),
        acls=tuple(node.acls),
    )


def _topic(node: Node, topic: Topic) -> TopicState:
    return TopicState(
        name=topic.name,
        id=str(topic.id),
        internal=topic.internal,
        configs=dict(topic.configs),
        partitions=tuple(map(_partition, node.partitions(topic.name))),
    )


def _partition(partition: Partition) -> PartitionState:
    log = partition.log
    return PartitionState(
        topic=partition.topic,
        partition=partition.index,
        log_start_offset=log.log_start_offset,
        log_end_offset=log.log_end_offset,
        high_watermark=log.high_watermark,
        last_stable_offset=log.last_stable_offset,
        leader_epoch=partition.leader_epoch,
        bytes=log.size,
        segments=tuple(
            SegmentState(
                base_offset=one.base_offset,
                next_offset=one.next_offset,
                bytes=one.size,
                largest_timestamp_ms=one.largest.timestamp,
            )
            for one in log.segments
        ),
        producers=tuple(
            _producer(one) for one in sorted(log.producers(), key=lambda one: one.producer_id)
        ),
        failure=None if log.failure is None else str(log.failure),
    )


def _producer(entry: ProducerEntry) -> ProducerState:
    return ProducerState(
        producer_id=entry.producer_id,
        epoch=entry.epoch,
        batches=tuple(
            BatchRange(
                first_sequence=one.first_sequence,
                last_sequence=one.last_sequence,
                first_offset=one.first_offset,
                last_offset=one.last_offset,
            )
            for one in entry.batches
        ),
        last_timestamp_ms=entry.last_timestamp,
        coordinator_epoch=entry.coordinator_epoch,
        open_since=entry.txn_first_offset,
    )


def _group(node: Node, group: GroupDescription) -> GroupState:
    return GroupState(
        group_id=group.group_id,
        state=str(group.state),
        protocol=group.protocol,
        members=tuple(
            MemberState(
                member_id=one.member_id,
                instance_id=one.instance_id,
                client_id=one.client_id,
                client_host=one.client_host,
            )
            for one in group.members
        ),
        offsets={
            str(place): one.offset
            for place, one in sorted(node.groups.offsets(group.group_id).items())
        },
    )
