"""A script that does to logs all that a broker does to them, and a judge of what is left of it.

Run on a disk that is cut off, or fails, at any of its calls, it remembers what it attempted and what
was acknowledged. The judge then starts the logs again and holds them against that.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from pyproducer.broker.errors import Refused
from pyproducer.broker.log.config import LogConfig
from pyproducer.broker.log.log import PartitionLog
from pyproducer.broker.log.manager import LogManager, TopicLogs
from pyproducer.model import TopicPartition
from tests.helpers.memory_disk import MemoryDisk
from tests.helpers.partition_logs import batch, put, records_of
from tests.helpers.virtual_time import VirtualTime

ROOT = Path("/machine/data")
PRODUCER = 7
_SIZE = len(batch(2, value=b"0000"))
CONFIG = LogConfig(
    segment_bytes=3 * _SIZE, index_interval_bytes=1, retention_bytes=4 * _SIZE,
    file_delete_delay_ms=1000,
)  # fmt: skip
COMPACTED = LogConfig(
    segment_bytes=3 * _SIZE, index_interval_bytes=1, cleanup_policy=frozenset({"compact"})
)
A0, A1, K0 = TopicPartition("a", 0), TopicPartition("a", 1), TopicPartition("k", 0)


@dataclass
class Written:
    """What was attempted on one partition, by one life of its topic.

    Attributes:
        attempted: each batch sent, by its number; a producer's sequences follow from it.
        placed: where each batch was written, as far as that was told.
        acknowledged: numbers of the batches that count.
        start: the highest start that was asked for, or that retention may have reached.
    """

    attempted: list[bytes] = field(default_factory=list)
    placed: dict[int, int] = field(default_factory=dict)
    acknowledged: set[int] = field(default_factory=set)
    start: int = 0


class Workload:
    """The script, on one disk.

    Args:
        disk: Where everything is.
        always: A batch counts once it was forced to disk; else once it was written.
    """

    def __init__(self, disk: MemoryDisk, *, always: bool) -> None:
        self.disk = disk
        self.always = always
        self.clock = VirtualTime()
        self.topics = {
            "a": TopicLogs(uuid.UUID(int=1), CONFIG),
            "k": TopicLogs(uuid.UUID(int=2), COMPACTED),
        }
        self.written: dict[tuple[uuid.UUID, TopicPartition], Written] = {}
        self._ids = iter(range(100, 10_000))

    def start(self, disk: MemoryDisk) -> LogManager:
        """The logs of these topics, open on a disk."""
        manager = LogManager(
            ROOT, clock=self.clock, fs=disk, new_uuid=lambda: uuid.UUID(int=next(self._ids))
        )
        manager.open()
        manager.load(self.topics)
        return manager

    def run(self) -> None:
        """Everything, once; what the disk refuses is not tried again.

        Raises:
            PowerCutError: the disk is cut off.
            OSError: it failed before there was a broker.
        """
        manager = self.start(self.disk)
        for tp in (A0, A1, K0):
            self._try(lambda tp=tp: manager.create(tp, self.topics[tp.topic]))
        for turn in range(9):
            for tp in (A0, A1, K0):
                self._put(manager, tp)
            if turn == 5:
                self._try(lambda: self._retain(manager))
                self.clock.pass_time(2)
                self._try(manager.remove_deleted)
                self._try(manager.checkpoint)
        self._try(lambda: self._delete_records(manager))
        self._try(lambda: self._replace_topic(manager))
        for _ in range(2):
            self._put(manager, A0)
        manager.close()

    @staticmethod
    def _try(step) -> None:
        try:
            step()
        except (OSError, Refused):
            return

    def _put(self, manager: LogManager, tp: TopicPartition) -> None:
        log = manager.logs.get(tp)
        if log is None:
            return
        written = self.written.setdefault((self.topics[tp.topic].topic_id, tp), Written())
        # A producer sends again what was not acknowledged, before anything else.
        number = len(written.acknowledged)
        data = batch(2, value=b"%04d" % number, producer=(PRODUCER, 0, 2 * number))
        if number == len(written.attempted):
            written.attempted.append(data)
        try:
            result = put(log, data)
            written.placed[number] = result.base_offset
            if self.always:
                log.flush()
                assert log.recovery_point > result.last_offset
        except (OSError, Refused):
            return
        written.acknowledged.add(number)

    def _retain(self, manager: LogManager) -> None:
        for (_, tp), written in self.written.items():
            if tp.topic == "a":
                # Segments may go, as far as retention.bytes lets them.
                written.start = max(written.start, manager.logs[tp].log_end_offset - 4)
        manager.apply_retention()

    def _delete_records(self, manager: LogManager) -> None:
        log = manager.logs.get(A1)
        if log is None:
            return
        self.written[self.topics["a"].topic_id, A1].start = log.log_end_offset
        log.delete_records_before(log.log_end_offset - 1)
        manager.checkpoint()
        log.drop_passed()

    def _replace_topic(self, manager: LogManager) -> None:
        """As the node does it: first it is gone from the metadata, then from disk."""
        del self.topics["a"]
        for tp in (A0, A1):
            self._try(lambda tp=tp: manager.delete(tp))
        self.topics["a"] = TopicLogs(uuid.UUID(int=3), CONFIG)
        manager.create(A0, self.topics["a"])


class Judge:
    """What must be true of the logs that a start finds.

    Attributes:
        lost: batches that had been acknowledged and are not there.
    """

    def __init__(self, work: Workload, disk: MemoryDisk) -> None:
        self.lost = 0
        self._work = work
        self._manager = work.start(disk)

    def check(self) -> None:
        """Each log is a beginning of what was written; with `always`, all that was acknowledged."""
        manager = self._manager
        assert {} == manager.offline
        for (topic_id, tp), written in self._work.written.items():
            topic = self._work.topics.get(tp.topic)
            log = manager.logs.get(tp)
            if topic is None or topic.topic_id != topic_id or log is None:
                assert topic is None or topic.topic_id != topic_id or not written.acknowledged
                continue
            self._check_log(log, written)
        for tp, log in manager.logs.items():
            topic = self._work.topics[tp.topic]
            if (topic.topic_id, tp) not in self._work.written:
                assert 0 == log.log_end_offset, f"{tp} has the records of an earlier topic"
        manager.close()

    def _check_log(self, log: PartitionLog, written: Written) -> None:
        start, end = log.log_start_offset, log.log_end_offset
        assert start <= max(written.start, 0)
        found = records_of(log)
        assert list(range(start, end)) == [record.offset for record in found]
        values = [b"%04d" % (offset // 2) for offset in range(start, end)]
        assert values == [record.value for record in found]
        assert end <= 2 * len(written.attempted)
        missing = [one for one in written.acknowledged if 2 * one >= end]
        if self._work.always:
            assert [] == missing
        self.lost += len(missing)
        if end > start or not start:
            # One of which all was lost goes on at its start, wherever the batches had been.
            self._replay(log, written.attempted, end)

    def _replay(self, log: PartitionLog, attempted: Iterable[bytes], end: int) -> None:
        """The producer sends its last batches again: each is there once, where it was."""
        for number, data in list(enumerate(attempted))[-5:]:
            if 2 * number > end:
                continue
            result = put(log, data)
            assert 2 * number == result.base_offset
            assert (2 * number < end) is result.duplicate
