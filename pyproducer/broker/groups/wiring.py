"""Groups within a broker: their topic, their chores."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pyproducer.broker.groups.config import GroupConfig
from pyproducer.broker.groups.coordinator import GroupCoordinator
from pyproducer.broker.groups.offsets import OFFSETS_TOPIC
from pyproducer.broker.groups.scheduler import Scheduler
from pyproducer.broker.state_topic import StateTopic
from pyproducer.broker.topics import TopicSpec

if TYPE_CHECKING:
    from pyproducer.broker.housekeeping import Housekeeping
    from pyproducer.broker.node import Node

# As Kafka has it: what later records replace goes with the log cleaner.
_TOPIC_CONFIGS = {
    "cleanup.policy": "compact",
    "compression.type": "producer",
    "segment.bytes": "104857600",
}


def open_groups(node: Node, scheduler: Scheduler) -> GroupCoordinator:
    """The open node has a coordinator, which is returned, with all groups as they were.

    The topic is made by the first group that has something to keep, so that a broker without
    groups stays without it. Once there, it keeps its number of partitions whatever the settings
    say, since a group is found by a hash modulo that number.
    """
    config = GroupConfig.read(node.config.int)
    topic = node.topics.get(OFFSETS_TOPIC)
    partitions = config.offsets_topic_partitions if topic is None else topic.partitions

    def create() -> None:
        node.create_topics([TopicSpec(OFFSETS_TOPIC, partitions, _TOPIC_CONFIGS)])

    store = StateTopic(
        OFFSETS_TOPIC,
        partitions,
        lambda index: node.partition(OFFSETS_TOPIC, index),
        create,
        node.clock,
    )
    coordinator = GroupCoordinator(config, store, node.clock, scheduler)
    coordinator.start()
    node.groups = coordinator
    node.on_topic_deleted.append(coordinator.forget_topic)
    return coordinator


def add_group_chores(coordinator: GroupCoordinator, housekeeping: Housekeeping) -> None:
    """Enter what groups need done from time to time."""
    housekeeping.add(
        "expiring committed offsets",
        coordinator.config.offsets_retention_check_interval_ms / 1000,
        coordinator.expire_offsets,
    )
