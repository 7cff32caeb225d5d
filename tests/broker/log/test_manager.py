"""All logs of a broker: create, delete, checkpoint, stop and start again."""

from __future__ import annotations

import uuid

import pytest

from pyproducer.broker.errors import Refused
from pyproducer.broker.log.config import LogConfig
from pyproducer.broker.log.filesystem import RealFileSystem
from pyproducer.broker.log.manager import LogManager, TopicLogs
from pyproducer.model import TopicPartition
from pyproducer.protocol.error_codes import ErrorCode
from tests.helpers.faulty_disk import FaultyFileSystem
from tests.helpers.partition_logs import batch, put, records_of
from tests.helpers.virtual_time import VirtualTime

A0, A1, B0 = TopicPartition("a", 0), TopicPartition("a", 1), TopicPartition("b-1.x_y", 0)
TOPICS = {
    "a": TopicLogs(uuid.UUID(int=1), LogConfig()),
    "b-1.x_y": TopicLogs(uuid.UUID(int=2), LogConfig(segment_bytes=3 * len(batch()))),
}


def start(path, *, fs=None, clock=None, topics=TOPICS, **kind):
    manager = LogManager(
        path, clock=clock or VirtualTime(), fs=fs or RealFileSystem(sync=False), **kind
    )
    manager.open()
    manager.strays = manager.load(topics)
    return manager


def crash(manager):
    """Release what the end of the process would."""
    for log in manager.logs.values():
        log.abandon()
    manager.directory.close()


def folders(path):
    return sorted(entry.name for entry in path.iterdir() if entry.is_dir())


def test_create_makes_kafkas_directory(tmp_path):
    """
    A partition lives in <topic>-<partition> and knows its topic's id.
    """
    manager = start(tmp_path)
    log = manager.create(B0, TOPICS[B0.topic])
    put(log)

    assert ["b-1.x_y-0"] == folders(tmp_path)
    assert (tmp_path / "b-1.x_y-0" / "partition.metadata").exists()
    assert log is manager.logs[B0]
    with pytest.raises(ValueError, match="has a log"):
        manager.create(B0, TOPICS[B0.topic])


@pytest.mark.parametrize("clean", [True, False], ids=["clean stop", "crash"])
def test_start_finds_what_the_stop_left(tmp_path, clean):
    """
    Every log comes back with its records and its start, after a stop or a crash.
    """
    manager = start(tmp_path)
    for tp in (A0, A1, B0):
        log = manager.create(tp, TOPICS[tp.topic])
        for _ in range(8):
            put(log)
    manager.logs[B0].delete_records_before(4)
    manager.logs[A1].delete_records_before(5)
    manager.checkpoint()
    if clean:
        assert manager.close()
    else:
        crash(manager)
    again = start(tmp_path)

    assert clean is again.directory.was_clean
    assert {A0: 0, A1: 5, B0: 4} == {tp: log.log_start_offset for tp, log in again.logs.items()}
    assert {A0: 8, A1: 8, B0: 8} == {tp: log.high_watermark for tp, log in again.logs.items()}
    assert [5, 6, 7] == [record.offset for record in records_of(again.logs[A1])]


def test_g5_checkpoints_have_kafkas_names_and_contents(tmp_path):
    """
    Recovery points, high watermarks and log starts are in three files of the data directory.
    """
    manager = start(tmp_path)
    for tp in (A0, B0):
        log = manager.create(tp, TOPICS[tp.topic])
        for _ in range(5):
            put(log)
    manager.logs[A0].flush()
    manager.logs[A0].delete_records_before(2)
    manager.logs[B0].delete_records_before(3)
    manager.checkpoint()
    manager.logs[B0].drop_passed()
    manager.checkpoint()

    assert (
        "0\n2\na 0 5\nb-1.x_y 0 0\n" == (tmp_path / "recovery-point-offset-checkpoint").read_text()
    )
    assert "0\n2\na 0 5\nb-1.x_y 0 5\n" == (tmp_path / "replication-offset-checkpoint").read_text()
    assert "0\n1\na 0 2\n" == (tmp_path / "log-start-offset-checkpoint").read_text()


def test_g5_high_watermarks_come_from_the_checkpoint_with_replicas(tmp_path):
    """
    Where replication decides, the last known high watermark is where readers stop at first.
    """
    manager = start(tmp_path, sole_replicas=False)
    log = manager.create(A0, TOPICS["a"])
    put(log, count=4)
    log.high_watermark = 4
    manager.checkpoint()
    put(log, count=4)
    manager.close()
    again = start(tmp_path, sole_replicas=False).logs[A0]

    assert (4, 8) == (again.high_watermark, again.log_end_offset)


def test_g6_delete_frees_the_name_at_once_and_the_files_later(tmp_path):
    """
    A deleted partition can be made again, empty; its old files go after the delay.
    """
    clock = VirtualTime()
    manager = start(tmp_path, clock=clock)
    put(manager.create(A0, TOPICS["a"]), producer=(1, 0, 0))
    manager.delete(A0)
    [doomed] = folders(tmp_path)

    assert doomed.startswith("a-0.")
    assert doomed.endswith("-delete")
    log = manager.create(A0, TOPICS["a"])

    assert (0, []) == (log.log_end_offset, log.producers())
    clock.pass_time(59)
    assert 0 == manager.remove_deleted()
    clock.pass_time(1)
    assert 1 == manager.remove_deleted()
    assert ["a-0"] == folders(tmp_path)


def test_g6_deleted_directories_are_removed_after_a_restart(tmp_path):
    """
    What a broker did not come round to removing is removed by the next one.
    """
    clock = VirtualTime()
    manager = start(tmp_path, clock=clock)
    manager.create(A0, TOPICS["a"])
    manager.delete(A0)
    crash(manager)
    again = start(tmp_path, clock=clock)
    clock.pass_time(61)

    assert ({}, 1) == (again.logs, again.remove_deleted())
    assert [] == folders(tmp_path)


def test_g6_long_names_fit_after_renaming(tmp_path):
    """
    A topic of 249 characters can be deleted although its directory's name grows.
    """
    manager = start(tmp_path)
    tp = TopicPartition("t" * 249, 10_000)
    manager.create(tp, TOPICS["a"])
    manager.delete(tp)

    assert [255] == [len(name) for name in folders(tmp_path)]


def test_g6_a_topic_deleted_meanwhile_is_set_aside(tmp_path):
    """
    Directories of unknown topics, or of an earlier topic of that name, do not come back.
    """
    manager = start(tmp_path)
    put(manager.create(A0, TOPICS["a"]))
    put(manager.create(B0, TOPICS[B0.topic]))
    manager.close()
    again = start(tmp_path, topics={"a": TopicLogs(uuid.UUID(int=99), LogConfig())})

    assert ({}, [A0, B0]) == (again.logs, again.strays)
    assert all(name.endswith("-stray") for name in folders(tmp_path))
    assert 0 == again.create(A0, TOPICS["a"]).log_end_offset
    again.close()

    assert [] == start(tmp_path).strays


def test_g7_a_partition_that_cannot_be_opened_is_offline(tmp_path):
    """
    A disk error of one directory leaves the others online and the stop unclean.
    """
    manager = start(tmp_path)
    for tp in (A0, A1):
        put(manager.create(tp, TOPICS["a"]))
    manager.close()
    file = tmp_path / "a-0" / f"{0:020d}.log"
    file.unlink()
    file.mkdir()
    again = start(tmp_path)

    assert ([A1], [A0]) == (list(again.logs), list(again.offline))
    assert not again.close()
    assert not (tmp_path / ".kafka_cleanshutdown").exists()


def test_g7_offline_partitions_stay_in_the_checkpoints(tmp_path):
    """
    What is known of a partition outlives a start at which its disk failed.
    """
    manager = start(tmp_path)
    put(manager.create(A0, TOPICS["a"]), count=5)
    put(manager.logs[A0])
    manager.logs[A0].delete_records_before(5)
    manager.close()
    file = tmp_path / "a-0" / f"{0:020d}.log"
    file.rename(tmp_path / "kept")
    file.mkdir()
    start(tmp_path).close()
    file.rmdir()
    (tmp_path / "kept").rename(file)

    assert 5 == start(tmp_path).logs[A0].log_start_offset


def test_create_on_a_full_disk_leaves_nothing(tmp_path):
    """
    A partition that could not be made is KAFKA_STORAGE_ERROR and can be made later.
    """
    fs = FaultyFileSystem()
    manager = start(tmp_path, fs=fs)
    fs.space = 10
    with pytest.raises(Refused) as caught:
        manager.create(A0, TOPICS["a"])

    assert ErrorCode.KAFKA_STORAGE_ERROR == caught.value.code
    assert [] == folders(tmp_path)
    fs.space = None

    assert 0 == put(manager.create(A0, TOPICS["a"])).base_offset


def test_delete_that_fails_does_not_reach_the_next_topic(tmp_path):
    """
    A directory that cannot be renamed stays, and a new log of its name sets it aside.
    """
    fs = FaultyFileSystem()
    manager = start(tmp_path, fs=fs)
    put(manager.create(A0, TOPICS["a"]))
    fs.broken = {"rename"}
    with pytest.raises(Refused):
        manager.delete(A0)
    assert {} == manager.logs
    assert {} == manager.offline
    with pytest.raises(Refused):
        manager.create(A0, TOPICS["a"])
    fs.broken = set()

    assert 0 == manager.create(A0, TOPICS["a"]).log_end_offset


def test_failed_log_makes_the_stop_unclean(tmp_path):
    """
    One log that could not be closed cleanly is enough to recover all at the next start.
    """
    fs = FaultyFileSystem()
    manager = start(tmp_path, fs=fs)
    put(manager.create(A0, TOPICS["a"]))
    put(manager.create(A1, TOPICS["a"]))
    fs.broken = {"fsync"}
    manager.flush()
    fs.broken = set()

    assert not manager.close()
    again = start(tmp_path)

    assert not again.directory.was_clean
    assert [1, 1] == [log.log_end_offset for log in again.logs.values()]


def test_broken_checkpoint_costs_time_and_no_data(tmp_path):
    """
    Without its checkpoints a broker recovers from the start of each log.
    """
    manager = start(tmp_path)
    put(manager.create(A0, TOPICS["a"]), count=3)
    manager.close()
    for file in tmp_path.glob("*-checkpoint"):
        file.write_bytes(b"rubbish")

    assert 3 == start(tmp_path).logs[A0].log_end_offset


def test_maintenance_reaches_every_log(tmp_path):
    """
    Retention, expiry and flushing go through all logs, and skip those offline.
    """
    clock = VirtualTime()
    fs = FaultyFileSystem()
    topics = {"a": TopicLogs(uuid.UUID(int=1), LogConfig(retention_ms=1000, flush_ms=10))}
    manager = start(tmp_path, clock=clock, fs=fs, topics=topics)
    for tp in (A0, A1):
        put(manager.create(tp, topics["a"]), producer=(1, 0, 0))
    clock.pass_time(1)

    assert list(manager.logs.values()) == manager.flush_due()
    manager.flush()
    assert [] == manager.flush_due()
    put(manager.logs[A1], producer=(1, 0, 1))
    fs.broken = {"fsync"}
    manager.flush()
    fs.broken = set()
    clock.pass_time(86_400)

    assert 1 == manager.apply_retention()
    assert 1 == manager.expire_producers()


def test_unrelated_files_and_folders_are_left_alone(tmp_path):
    """
    What is not a partition's directory is neither opened nor renamed.
    """
    (tmp_path / "lost+found").mkdir()
    (tmp_path / "notes-1").write_bytes(b"a file")

    assert {} == start(tmp_path).logs
    assert ["lost+found"] == folders(tmp_path)
