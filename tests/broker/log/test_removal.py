"""How the files of dropped segments go (statements G3, G4, G6), and what a restart makes of it."""

from __future__ import annotations

import uuid

import pytest

from pyproducer.broker.errors import Refused
from pyproducer.broker.log.config import LogConfig
from pyproducer.broker.log.filesystem import RealFileSystem
from pyproducer.broker.log.manager import LogManager, TopicLogs
from pyproducer.model import TopicPartition
from tests.helpers.faulty_disk import FaultyFileSystem
from tests.helpers.partition_logs import (
    TP,
    batch,
    dropped,
    open_log,
    put,
    records_of,
    release_logs,
)
from tests.helpers.virtual_time import VirtualTime

SIZE = len(batch())
TWO_EACH = {"segment_bytes": 2 * SIZE}


def names(path):
    return sorted(file.name for file in path.iterdir() if file.name.startswith("0"))


def filled(path, count=7, **kind):
    log = open_log(path, **(TWO_EACH | kind))
    for _ in range(count):
        put(log)
    return log


def test_dropped_files_wait_for_their_time(tmp_path):
    """
    The files of a dropped segment are called .deleted for file.delete.delay.ms, then they go.
    """
    clock = VirtualTime()
    log = filled(tmp_path, clock=clock, retention_bytes=2 * SIZE, file_delete_delay_ms=1000)
    first = {name for name in names(tmp_path) if int(name[:20]) < 4}
    assert 2 == dropped(log)

    assert [4, 6] == log.segment_base_offsets
    assert {f"{name}.deleted" for name in first} <= set(names(tmp_path))
    assert first.isdisjoint(names(tmp_path))
    assert 0 == log.remove_deleted()
    clock.pass_time(1)
    assert len(first) == log.remove_deleted()
    assert 4 == min(int(name[:20]) for name in names(tmp_path))


def test_without_a_delay_files_go_at_once(tmp_path):
    """
    file.delete.delay.ms=0 leaves nothing to wait for.
    """
    log = filled(tmp_path, retention_bytes=2 * SIZE, file_delete_delay_ms=0)
    assert 2 == dropped(log)

    assert 4 == min(int(name[:20]) for name in names(tmp_path))


@pytest.mark.parametrize("clean", [True, False], ids=["clean stop", "crash"])
def test_a_restart_ends_the_waiting(tmp_path, clean):
    """
    What was dropped before a stop is gone after the next start, and does not come back.
    """
    log = filled(tmp_path, retention_bytes=2 * SIZE)
    dropped(log)
    if clean:
        assert log.close()
    else:
        release_logs()
    again = open_log(tmp_path, clean=clean, log_start_offset=4, **TWO_EACH)

    assert not [name for name in names(tmp_path) if name.endswith(".deleted")]
    assert [4, 5, 6] == [record.offset for record in records_of(again)]


def test_segments_below_the_recorded_start_go_at_the_start(tmp_path):
    """
    A stop between recording the log's start and dropping what is below it is made good.
    """
    filled(tmp_path)
    release_logs()
    again = open_log(tmp_path, log_start_offset=4, **TWO_EACH)

    assert [4, 6] == again.segment_base_offsets
    assert 4 == again.log_start_offset


def test_a_hole_between_segments_is_where_the_log_ends(tmp_path):
    """
    With a segment's tail lost and the next one kept, what follows the hole is not kept either,
    unless the log may have been compacted.
    """
    filled(tmp_path)
    release_logs()
    file = tmp_path / f"{2:020d}.log"
    file.write_bytes(file.read_bytes()[:SIZE])
    sparse = open_log(tmp_path, **TWO_EACH)
    assert [0, 1, 2, 4, 5, 6] == [record.offset for record in records_of(sparse)]
    release_logs()
    again = open_log(tmp_path, sparse=False, **TWO_EACH)

    assert [0, 1, 2] == [record.offset for record in records_of(again)]
    assert 3 == put(again).base_offset


def test_a_compacted_segment_is_on_disk_before_the_next(tmp_path):
    """
    Of a log that is compacted no segment begins before the one before it is on disk.
    """
    fs = FaultyFileSystem()
    log = filled(tmp_path, 2, fs=fs, cleanup_policy=frozenset({"compact"}))
    fs.broken = {"fsync"}
    with pytest.raises(Refused):
        put(log)

    assert log.failure is not None


def test_retention_is_recorded_before_files_go(tmp_path):
    """
    Where the logs' starts cannot be recorded retention drops nothing.
    """
    fs = RealFileSystem(sync=False)
    config = LogConfig(retention_bytes=2 * SIZE, **TWO_EACH)
    manager = LogManager(tmp_path, clock=VirtualTime(), fs=fs)
    manager.open()
    manager.load({})
    log = manager.create(TP, TopicLogs(uuid.UUID(int=1), config))
    for _ in range(7):
        put(log)
    manager.checkpoint()
    (tmp_path / "log-start-offset-checkpoint.tmp").mkdir()
    with pytest.raises(OSError):
        manager.apply_retention()
    assert [0, 2, 4, 6] == log.segment_base_offsets
    (tmp_path / "log-start-offset-checkpoint.tmp").rmdir()
    assert 2 == manager.apply_retention()
    assert f"{TP.topic} {TP.partition} 4" in (tmp_path / "log-start-offset-checkpoint").read_text()
    manager.close()


def test_i8_checkpoints_of_a_deleted_topic_do_not_reach_the_next_of_its_name(tmp_path):
    """
    A topic that comes back under its old name, and is killed, has all its records: the start of
    the old one, recorded seconds ago, is not its own.
    """
    fs = RealFileSystem(sync=False)
    tp = TopicPartition("orders", 0)
    manager = LogManager(tmp_path, clock=VirtualTime(), fs=fs)
    manager.open()
    manager.load({})
    old = manager.create(tp, TopicLogs(uuid.UUID(int=1), LogConfig()))
    for _ in range(5):
        put(old)
    old.delete_records_before(4)
    manager.checkpoint()
    manager.delete(tp)
    log = manager.create(tp, topic := TopicLogs(uuid.UUID(int=2), LogConfig()))
    put(log)
    log.abandon()
    manager.directory.close()
    again = LogManager(tmp_path, clock=VirtualTime(), fs=fs)
    again.open()
    again.load({"orders": topic})

    assert [0] == [record.offset for record in records_of(again.logs[tp])]
    again.close()
