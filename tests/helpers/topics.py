"""Topics on any cluster, made and looked at through confluent-kafka's admin client."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient, NewTopic

from pyproducer.protocol.messages.init_producer_id import InitProducerIdRequest
from tests.helpers.processes import PeerFailed, accepts_connections
from tests.helpers.wire_client import WireClient


def _quiet(*_: object) -> None:
    """librdkafka reports every refused connection; while a broker starts that is no news."""


def _admin(bootstrap_servers: str, options: Mapping[str, Any] | None = None) -> AdminClient:
    return AdminClient(
        {
            "bootstrap.servers": bootstrap_servers,
            "error_cb": _quiet,
            "log_level": 0,
            **(options or {}),
        }
    )


def cluster_answers(bootstrap_servers: str) -> bool:
    """True if a broker answers a metadata request by naming itself."""
    if not accepts_connections(int(bootstrap_servers.rsplit(":", 1)[1])):
        return False
    try:
        return bool(_admin(bootstrap_servers).list_topics(timeout=2).brokers)
    except KafkaException:
        return False


def gives_producer_ids(bootstrap_servers: str) -> bool:
    """True if a broker gives an idempotent producer its id, which a new one does last of all."""
    request = InitProducerIdRequest(transactional_id=None, transaction_timeout_ms=60_000)
    with WireClient(bootstrap_servers) as client:
        code: int = client.ask(request, 4).error_code
    return code == 0


def create_topics(
    bootstrap_servers: str,
    topics: Mapping[str, int],
    *,
    config: Mapping[str, str] | None = None,
    replicas: int = 1,
    timeout: float = 20.0,
) -> None:
    """Create topics with their numbers of partitions and wait until every partition has a leader."""
    admin = _admin(bootstrap_servers)
    wanted = [
        NewTopic(name, num_partitions=count, replication_factor=replicas, config=dict(config or {}))
        for name, count in topics.items()
    ]
    for future in admin.create_topics(wanted, operation_timeout=timeout).values():
        future.result(timeout)
    wait_for_leaders(bootstrap_servers, topics, timeout=timeout)


def wait_for_leaders(
    bootstrap_servers: str, topics: Mapping[str, int], *, timeout: float = 20.0
) -> None:
    """Return when the cluster's metadata shows every partition of ``topics`` with a leader."""
    admin = _admin(bootstrap_servers)
    deadline = time.monotonic() + timeout
    while True:
        known = admin.list_topics(timeout=5).topics
        missing = [
            name
            for name, count in topics.items()
            if name not in known
            or len(known[name].partitions) != count
            or any(one.leader < 0 for one in known[name].partitions.values())
        ]
        if not missing:
            return
        if time.monotonic() > deadline:
            raise PeerFailed(f"no leaders after {timeout} s for {missing}")
        time.sleep(0.05)


def partition_count(
    bootstrap_servers: str, topic: str, options: Mapping[str, Any] | None = None
) -> int:
    """The number of partitions of an existing topic; the options are librdkafka's."""
    admin = _admin(bootstrap_servers, options)
    count = len(admin.list_topics(topic, timeout=10).topics[topic].partitions)
    assert count, f"no topic {topic!r}"
    return count
