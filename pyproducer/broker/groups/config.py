"""The settings that consumer groups obey."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

INT32_MAX = 2**31 - 1


@dataclass(frozen=True, slots=True)
class GroupConfig:
    """Broker settings of the group coordinator; every default is Kafka's.

    Attributes:
        initial_rebalance_delay_ms: `group.initial.rebalance.delay.ms`, how long an empty group
            waits for more members after the first. 0 answers a lone consumer at once, at the
            price of one more rebalance for each that follows.
        min_session_timeout_ms: `group.min.session.timeout.ms`.
        max_session_timeout_ms: `group.max.session.timeout.ms`.
        max_size: `group.max.size`, members a group may have.
        new_member_join_timeout_ms: how long a first join may stay parked before the coordinator
            takes its sender for gone. Not a setting in Kafka either.
        offset_metadata_max_bytes: `offset.metadata.max.bytes`.
        offsets_retention_minutes: `offsets.retention.minutes`, for groups without members.
        offsets_retention_check_interval_ms: `offsets.retention.check.interval.ms`.
        offsets_topic_partitions: `offsets.topic.num.partitions`. Fixed once the topic exists:
            the partition of a group is a hash modulo this.
    """

    initial_rebalance_delay_ms: int = 3_000
    min_session_timeout_ms: int = 6_000
    max_session_timeout_ms: int = 1_800_000
    max_size: int = INT32_MAX
    new_member_join_timeout_ms: int = 300_000
    offset_metadata_max_bytes: int = 4_096
    offsets_retention_minutes: int = 10_080
    offsets_retention_check_interval_ms: int = 600_000
    offsets_topic_partitions: int = 50

    @classmethod
    def read(cls, setting: Callable[[str], int]) -> GroupConfig:
        """Return the settings that `setting` gives for Kafka's property names."""
        return cls(
            initial_rebalance_delay_ms=setting("group.initial.rebalance.delay.ms"),
            min_session_timeout_ms=setting("group.min.session.timeout.ms"),
            max_session_timeout_ms=setting("group.max.session.timeout.ms"),
            max_size=setting("group.max.size"),
            offset_metadata_max_bytes=setting("offset.metadata.max.bytes"),
            offsets_retention_minutes=setting("offsets.retention.minutes"),
            offsets_retention_check_interval_ms=setting("offsets.retention.check.interval.ms"),
            offsets_topic_partitions=setting("offsets.topic.num.partitions"),
        )
