from __future__ import annotations

import pytest

from pyproducer.broker.errors import Refused
from pyproducer.broker.group_commit import GroupCommit
from pyproducer.broker.groups.offsets import OFFSETS_TOPIC
from pyproducer.broker.log.config import LogConfig
from pyproducer.broker.log.filesystem import RealFileSystem
from pyproducer.broker.log.log import PartitionLog
from pyproducer.broker.metrics import TopicCounters
from pyproducer.broker.partition import Partition
from pyproducer.broker.state_topic import KeyValue, StateTopic
from pyproducer.clock import SystemClock
from pyproducer.model import TopicPartition
from pyproducer.protocol.error_codes import ErrorCode

CONFIG = LogConfig(cleanup_policy=frozenset({"compact"}))


class Directory:
    """One partition of the offsets topic in a directory, made when first written to."""

    def __init__(self, path) -> None:
        self.path = path
        self.made: Partition | None = None
        self.store = StateTopic(OFFSETS_TOPIC, 1, lambda _: self.made, self.open, SystemClock())

    @property
    def log(self) -> PartitionLog:
        assert self.made is not None
        return self.made.log

    def open(self) -> None:
        log = PartitionLog.open(
            TopicPartition(OFFSETS_TOPIC, 0),
            self.path / f"{OFFSETS_TOPIC}-0",
            CONFIG,
            clock=SystemClock(),
            fs=RealFileSystem(),
        )
        self.made = Partition(OFFSETS_TOPIC, 0, log, 1, TopicCounters(), GroupCommit())


@pytest.fixture
def partition(tmp_path):
    made = Directory(tmp_path)
    yield made
    if made.made is not None:
        made.log.close()


def test_records_outlive_the_process(partition):
    """
    What was appended is read by whoever opens the log next, closed before or not.
    """
    assert list(partition.store.read(0)) == []
    records = [KeyValue(b"a", b"1"), KeyValue(b"b", None)]
    partition.store.append(0, records)
    partition.store.append(0, [KeyValue(b"c", b"")])
    partition.log.abandon()
    partition.open()

    assert list(partition.store.read(0)) == [*records, KeyValue(b"c", b"")]


def test_append_larger_than_a_batch_is_refused(partition):
    """
    A commit goes out whole or not at all.
    """
    with pytest.raises(Refused) as refused:
        partition.store.append(0, [KeyValue(b"k", b"x" * 2_000_000)])

    assert refused.value.code == ErrorCode.MESSAGE_TOO_LARGE
    assert list(partition.store.read(0)) == []
