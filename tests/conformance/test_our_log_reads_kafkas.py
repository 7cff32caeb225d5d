"""Our log opens a directory that Apache Kafka wrote, producers' memory included."""

from __future__ import annotations

import shutil

import pytest
from confluent_kafka import Producer

from tests.helpers.apache_kafka import ApacheKafka
from tests.helpers.partition_logs import open_log, records_of

pytestmark = pytest.mark.needs("kafka")

COUNT = 6000


def test_our_log_opens_kafkas_directory(tmp_path):
    """
    Every record, the leader epoch and each producer's last batch are those that Kafka has,
    whether all segments are recovered or the closed ones are trusted.
    """
    with ApacheKafka({"log.segment.bytes": "1048576"}) as kafka:
        kafka.create_topics({"orders": 1})
        producer = Producer(
            {
                "bootstrap.servers": kafka.bootstrap_servers,
                "enable.idempotence": True,
                "linger.ms": 1,
            }
        )
        for at in range(COUNT):
            producer.produce("orders", b"%d." % at * 80, key=b"key", partition=0)
            producer.poll(0)
            if at % 500 == 0:
                producer.flush()
        producer.flush()
        # The broker runs on, so that its files are those of a crash: the last indexes are
        # full of zeros, and there is no snapshot at the end.
        folder = shutil.copytree(kafka.data_dir / "orders-0", tmp_path / "orders-0")
    assert len(list(folder.glob("*.log"))) > 2
    for recovery_point in (0, COUNT):
        log = open_log(folder, recovery_point=recovery_point)

        assert [b"%d." % at * 80 for at in range(COUNT)] == [one.value for one in records_of(log)]
        assert 0 == log.leader_epoch
        assert [COUNT - 1] == [one.last_sequence for one in log.producers()]
        first = records_of(log)[COUNT // 2]
        found = log.offset_for_timestamp(first.timestamp_ms)

        assert found is not None
        assert found.timestamp == first.timestamp_ms
        log.abandon()
