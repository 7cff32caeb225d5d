"""Records of `__consumer_offsets`: committed offsets and group metadata, both ways."""

from __future__ import annotations

import logging
from collections.abc import Iterable

from pyproducer.broker.groups.model import CommittedOffset, GroupImage, MemberImage
from pyproducer.broker.groups.pending import Offsets, PendingOffsets
from pyproducer.broker.groups.schema import (
    GroupMetadataKey,
    GroupMetadataValue,
    MemberMetadata,
    OffsetCommitKey,
    OffsetCommitValue,
)
from pyproducer.broker.state_topic import KeyValue, PendingKeyValue, StateEntry, TransactionEnd
from pyproducer.broker.versioned import pack, unpack, version_of
from pyproducer.errors import ProtocolError
from pyproducer.model import TopicPartition

OFFSETS_TOPIC = "__consumer_offsets"

# Version 1 of an offset is the only one that can carry its own expiry; 3 has the leader epoch.
_OFFSET_VERSION = 3
_EXPIRING_OFFSET_VERSION = 1
_GROUP_VERSION = 3

logger = logging.getLogger(__name__)


def offset_record(
    group_id: str, partition: TopicPartition, committed: CommittedOffset | None
) -> KeyValue:
    """Return the record of a committed offset, a tombstone for None."""
    key = OffsetCommitKey(group=group_id, topic=partition.topic, partition=partition.partition)
    packed_key = pack(key, 1)
    if committed is None:
        return KeyValue(packed_key, None)
    value = OffsetCommitValue(
        offset=committed.offset,
        leader_epoch=committed.leader_epoch,
        metadata=committed.metadata,
        commit_timestamp=committed.commit_timestamp_ms,
        expire_timestamp=committed.expire_timestamp_ms,
    )
    expires = committed.expire_timestamp_ms >= 0
    version = _EXPIRING_OFFSET_VERSION if expires else _OFFSET_VERSION
    return KeyValue(packed_key, pack(value, version))


def group_record(group_id: str, image: GroupImage | None) -> KeyValue:
    """Return the record of a group's metadata, a tombstone for None."""
    key = pack(GroupMetadataKey(group=group_id), 2)
    if image is None:
        return KeyValue(key, None)
    value = GroupMetadataValue(
        protocol_type=image.protocol_type,
        generation=image.generation,
        protocol=image.protocol,
        leader=image.leader,
        current_state_timestamp=image.state_timestamp_ms,
        members=[
            MemberMetadata(
                member_id=member.member_id,
                group_instance_id=member.instance_id,
                client_id=member.client_id,
                client_host=member.client_host,
                rebalance_timeout=member.rebalance_timeout_ms,
                session_timeout=member.session_timeout_ms,
                subscription=member.subscription,
                assignment=member.assignment,
            )
            for member in image.members
        ],
    )
    return KeyValue(key, pack(value, _GROUP_VERSION))


class Replay:
    """What the records of one partition amount to, applied in the order of the log.

    Attributes:
        groups: last image of each group that has one.
        offsets: committed offsets of each group that has any.
        pending: offsets of transactions that have not ended.
    """

    def __init__(self) -> None:
        self.groups: dict[str, GroupImage] = {}
        self.offsets: dict[str, Offsets] = {}
        self.pending = PendingOffsets()

    @property
    def group_ids(self) -> frozenset[str]:
        """Every group that left anything."""
        return frozenset(self.groups) | frozenset(self.offsets) | self.pending.group_ids

    def apply_all(self, records: Iterable[StateEntry]) -> None:
        """Apply records in order, passing over those that cannot be read.

        A record of a later Kafka, or a broken one, must not keep the others from loading.
        """
        for record in records:
            try:
                self.apply(record)
            except ProtocolError as error:
                logger.warning("passing over a record of %s: %s", OFFSETS_TOPIC, error)

    def apply(self, record: StateEntry) -> None:
        """Apply one record, or the end of a transaction.

        Raises:
            ProtocolError: it is of no known kind or version.
        """
        if isinstance(record, TransactionEnd):
            self._end(record)
            return
        version = version_of(record.key)
        if version in (0, 1):
            self._apply_offset(unpack(OffsetCommitKey, record.key), record)
        elif version == 2:
            self._apply_group(unpack(GroupMetadataKey, record.key), record.value)
        else:
            raise ProtocolError(f"its key has the unknown version {version}")

    def _end(self, end: TransactionEnd) -> None:
        if not end.commit:
            self.pending.abort(end.producer_id)
            return
        for group_id, offsets in self.pending.commit(end.producer_id).items():
            self.offsets.setdefault(group_id, {}).update(offsets)

    def _apply_offset(self, key: OffsetCommitKey, record: KeyValue | PendingKeyValue) -> None:
        partition = TopicPartition(key.topic, key.partition)
        committed = None if record.value is None else _committed(record.value)
        if isinstance(record, PendingKeyValue):
            if committed is not None:
                self.pending.add(record.producer_id, key.group, {partition: committed})
            return
        self.pending.supersede(key.group, [partition])
        if committed is not None:
            self.offsets.setdefault(key.group, {})[partition] = committed
            return
        offsets = self.offsets.get(key.group)
        if offsets is not None:
            offsets.pop(partition, None)
            if not offsets:
                del self.offsets[key.group]

    def _apply_group(self, key: GroupMetadataKey, data: bytes | None) -> None:
        if data is None:
            self.groups.pop(key.group, None)
            self.pending.forget(key.group)
            return
        value = unpack(GroupMetadataValue, data)
        self.groups[key.group] = GroupImage(
            protocol_type=value.protocol_type,
            generation=value.generation,
            protocol=value.protocol,
            leader=value.leader,
            state_timestamp_ms=value.current_state_timestamp,
            members=tuple(
                MemberImage(
                    member_id=member.member_id,
                    instance_id=member.group_instance_id,
                    client_id=member.client_id,
                    client_host=member.client_host,
                    rebalance_timeout_ms=member.rebalance_timeout,
                    session_timeout_ms=member.session_timeout,
                    subscription=bytes(member.subscription),
                    assignment=bytes(member.assignment),
                )
                for member in value.members
            ),
        )


def _committed(data: bytes) -> CommittedOffset:
    value = unpack(OffsetCommitValue, data)
    return CommittedOffset(
        offset=value.offset,
        leader_epoch=value.leader_epoch,
        metadata=value.metadata,
        commit_timestamp_ms=value.commit_timestamp,
        expire_timestamp_ms=value.expire_timestamp,
    )
