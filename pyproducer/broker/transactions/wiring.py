"""Transactions within a broker: their topic, their chores."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pyproducer.broker.groups.offsets import OFFSETS_TOPIC
from pyproducer.broker.state_topic import StateTopic
from pyproducer.broker.topics import TopicSpec
from pyproducer.broker.transactions.config import TransactionConfig
from pyproducer.broker.transactions.coordinator import TransactionCoordinator
from pyproducer.broker.transactions.markers import PartitionMarkers
from pyproducer.broker.transactions.records import TRANSACTIONS_TOPIC

if TYPE_CHECKING:
    from pyproducer.broker.housekeeping import Housekeeping
    from pyproducer.broker.node import Node

_COMPLETE_SECONDS = 1.0


def open_transactions(node: Node) -> TransactionCoordinator:
    """The open node, which has its groups, has a coordinator; all transactions are as they were.

    What was decided before the last stop is completed. The topic is made by the first producer
    with a transactional id, and keeps its number of partitions whatever the settings say.
    """
    config = TransactionConfig.read(node.config.int)
    topic = node.topics.get(TRANSACTIONS_TOPIC)
    partitions = config.topic_partitions if topic is None else topic.partitions
    # As Kafka has it: what later records replace goes with the log cleaner.
    configs = {
        "cleanup.policy": "compact",
        "compression.type": "uncompressed",
        "segment.bytes": str(config.segment_bytes),
    }

    def create() -> None:
        node.create_topics([TopicSpec(TRANSACTIONS_TOPIC, partitions, configs)])

    store = StateTopic(
        TRANSACTIONS_TOPIC,
        partitions,
        lambda index: node.partition(TRANSACTIONS_TOPIC, index),
        create,
        node.clock,
    )
    markers = PartitionMarkers(
        node.partition,
        OFFSETS_TOPIC,
        lambda partition, producer_id, commit: node.groups.end_transaction(
            partition, producer_id, commit=commit
        ),
    )
    coordinator = TransactionCoordinator(config, store, markers, node.producer_ids.take, node.clock)
    coordinator.start()
    node.markers = markers
    node.transactions = coordinator
    return coordinator


def add_transaction_chores(coordinator: TransactionCoordinator, housekeeping: Housekeeping) -> None:
    """Enter what transactions need done from time to time."""
    config = coordinator.config
    housekeeping.add(
        "aborting timed-out transactions",
        config.abort_interval_ms / 1000,
        coordinator.abort_timed_out,
        moment=coordinator.next_timeout,
    )
    housekeeping.add(
        "forgetting transactional ids",
        config.id_expiration_interval_ms / 1000,
        coordinator.expire_ids,
    )
    housekeeping.add("completing transactions", _COMPLETE_SECONDS, coordinator.complete_decided)
