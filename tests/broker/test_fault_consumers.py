"""What a consumer group makes of faults: librdkafka's consumer."""

from __future__ import annotations

import time

import pytest
from confluent_kafka import Consumer

from pyproducer.broker import Broker
from tests.helpers.partition_logs import batch
from tests.helpers.wire_client import WireClient


@pytest.mark.parametrize(
    ("api", "code"),
    [
        ("FindCoordinator", "COORDINATOR_NOT_AVAILABLE"),
        ("JoinGroup", "COORDINATOR_LOAD_IN_PROGRESS"),
        ("SyncGroup", "REBALANCE_IN_PROGRESS"),
        ("OffsetFetch", "COORDINATOR_LOAD_IN_PROGRESS"),
        ("ListOffsets", "NOT_LEADER_OR_FOLLOWER"),
        ("Fetch", "NOT_LEADER_OR_FOLLOWER"),
        ("Fetch", "KAFKA_STORAGE_ERROR"),
    ],
)
def test_a_group_reads_all_the_same(api: str, code: str):
    """
    The code arrives where librdkafka looks for it: it tries again, and reads every record once.
    """
    with Broker({"orders": 2}) as broker:
        with WireClient(broker.bootstrap_servers) as client:
            for partition in range(2):
                client.produce("orders", batch(10), partition=partition)
        fault = broker.faults.fail(api, code)
        consumer = Consumer(
            {
                "bootstrap.servers": broker.bootstrap_servers,
                "group.id": "group",
                "auto.offset.reset": "earliest",
                "retry.backoff.ms": 10,
                "fetch.error.backoff.ms": 10,
                "coordinator.query.interval.ms": 100,
                "log_level": 0,
            }
        )
        consumer.subscribe(["orders"])
        seen: list[tuple[int, int]] = []
        deadline = time.monotonic() + 20
        while len(seen) < 20 and time.monotonic() < deadline:
            message = consumer.poll(0.2)
            if message is not None and message.error() is None:
                seen.append((message.partition(), message.offset()))
        consumer.close()

    assert [(p, offset) for p in range(2) for offset in range(10)] == sorted(seen)
    assert 1 == fault.hits
