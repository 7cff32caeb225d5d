"""All that topics hold, read for `history.check` by somebody who did not write it."""

from __future__ import annotations

import time
from collections.abc import Iterable
from typing import Any

from tests.helpers.history import ReadBack

#: Errors of a consumer that end by themselves are waited out for so long.
_PATIENCE = 30.0


def read_broker(broker: Any, topics: Iterable[str], *, committed: bool = False) -> list[ReadBack]:
    """What an embedded broker holds, by its own account."""
    return [
        ReadBack(topic, record.partition, record.offset, record.value or b"")
        for topic in topics
        for record in broker.records(topic, committed=committed)
    ]


def read_foreign(
    bootstrap_servers: str,
    topics: Iterable[str],
    *,
    isolation: str = "read_committed",
    checksums: bool = True,
    timeout: float = _PATIENCE,
) -> list[ReadBack]:
    """What confluent-kafka reads from the beginning to the end of every partition.

    Errors are waited out, as a cluster may still be electing leaders.

    Args:
        bootstrap_servers: the cluster.
        topics: all their partitions are read.
        isolation: ``read_committed`` ends at the last stable offset.
        checksums: False for brokers whose own markers have none, such as librdkafka's mock.
        timeout: seconds for all of it.

    Raises:
        TimeoutError: the end of a partition was not reached; names those and the last error.
    """
    from confluent_kafka import OFFSET_BEGINNING, Consumer, KafkaError, KafkaException
    from confluent_kafka import TopicPartition as Position

    deadline = time.monotonic() + timeout
    last_error: object = None
    consumer = Consumer(
        {
            "bootstrap.servers": bootstrap_servers,
            "group.id": "read-back",
            "enable.auto.commit": False,
            "enable.partition.eof": True,
            "auto.offset.reset": "error",
            "isolation.level": isolation,
            "check.crcs": checksums,
            "error_cb": lambda _: None,
            "log_level": 0,
            "reconnect.backoff.max.ms": 500,
            # The end of a partition is told by a fetch that finds nothing.
            "fetch.wait.max.ms": 5,
            "fetch.error.backoff.ms": 20,
        }
    )
    read: list[ReadBack] = []
    open_: set[tuple[str, int]] = set()
    try:
        for topic in topics:
            while True:
                try:
                    known = consumer.list_topics(topic, timeout=5).topics[topic]
                except KafkaException as error:
                    last_error = error
                else:
                    last_error = known.error
                    if known.error is None and known.partitions:
                        open_ |= {(topic, number) for number in known.partitions}
                        break
                if time.monotonic() > deadline:
                    raise TimeoutError(f"no metadata of {topic}: {last_error}")
                time.sleep(0.05)
        consumer.assign([Position(topic, number, OFFSET_BEGINNING) for topic, number in open_])
        while open_:
            for message in consumer.consume(1000, timeout=0.05):
                error = message.error()
                place = (message.topic(), message.partition())
                if error is None:
                    read.append(ReadBack(*place, message.offset(), message.value() or b""))
                elif error.code() == KafkaError._PARTITION_EOF:
                    open_.discard(place)
                else:
                    last_error = error
            if open_ and time.monotonic() > deadline:
                raise TimeoutError(f"the end of {sorted(open_)} was not reached: {last_error}")
    finally:
        consumer.close()
    return read
