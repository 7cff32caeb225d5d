"""The settings of a log under Kafka's names."""

from __future__ import annotations

import pytest

from pyproducer.broker.log.config import LogConfig
from pyproducer.model import TimestampType


def test_defaults_are_kafkas():
    """
    Without settings a log behaves as Kafka's does.
    """
    config = LogConfig()

    assert (1 << 30, 604_800_000, 4096, 10 << 20, 1_048_588) == (
        config.segment_bytes, config.segment_ms, config.index_interval_bytes,
        config.segment_index_bytes, config.max_message_bytes,
    )  # fmt: skip
    assert ("producer", 604_800_000, -1) == (
        config.compression_type, config.retention_ms, config.retention_bytes
    )  # fmt: skip


@pytest.mark.parametrize("policy", ["compact,delete", "compact, delete", ["compact", "delete"]])
def test_from_kafka_takes_dotted_names(policy):
    """
    Typed values under Kafka's names become a config; names of others are left to them.
    """
    config = LogConfig.from_kafka(
        {
            "segment.bytes": 1000,
            "cleanup.policy": policy,
            "message.timestamp.type": "LogAppendTime",
            "min.insync.replicas": 2,
        }
    )

    assert (1000, frozenset({"compact", "delete"})) == (config.segment_bytes, config.cleanup_policy)
    assert TimestampType.LOG_APPEND_TIME is config.message_timestamp_type
    assert config.compacted
    assert LogConfig() == LogConfig.from_kafka({"message.timestamp.type": "CreateTime"})
