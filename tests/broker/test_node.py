"""The node's state under failure, its topics, its chores."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from uuid import UUID

import pytest

from pyproducer.broker.broker_clock import BrokerClock
from pyproducer.broker.configs import BrokerConfig
from pyproducer.broker.errors import Refused
from pyproducer.broker.handlers.table import ROUTES
from pyproducer.broker.housekeeping import Housekeeping
from pyproducer.broker.metadata_file import FILE_NAME, MetadataFile
from pyproducer.broker.node import Node
from pyproducer.broker.producer_ids import BLOCK_SIZE, ProducerIds
from pyproducer.broker.pulse import Pulse
from pyproducer.broker.timers import Timers
from pyproducer.broker.topics import TopicSpec
from pyproducer.protocol.error_codes import ErrorCode
from tests.helpers.faulty_disk import FaultyFileSystem
from tests.helpers.partition_logs import batch
from tests.helpers.virtual_time import VirtualTime


class Setting:
    """A node on a disk and a clock that obey the test."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.disk = FaultyFileSystem()
        self.clock = VirtualTime()
        self.node = self.open()

    def open(self, **config: str) -> Node:
        node = Node(
            self.directory,
            config=BrokerConfig({name.replace("_", "."): value for name, value in config.items()}),
            clock=BrokerClock(self.clock),
            fs=self.disk,
            routes=ROUTES,
        )
        node.open()
        self.node = node
        return node


@pytest.fixture
def setting(tmp_path: Path):
    """An open node, closed afterwards."""
    made = Setting(tmp_path / "data")
    yield made
    made.disk.space = None
    made.disk.broken.clear()
    made.node.close()


def housekeeping(clock: BrokerClock) -> Housekeeping:
    return Housekeeping(clock, Timers(asyncio.get_running_loop(), clock), Pulse())


def names(node: Node) -> list[str]:
    return [topic.name for topic in node.topics]


def test_topic_that_cannot_be_recorded_does_not_exist(setting: Setting):
    """
    If the metadata file cannot be written, no topic is made, deleted, grown or configured.
    """
    node = setting.node
    node.create_topics([TopicSpec("old", 2)])
    setting.disk.broken.add("rename")

    with pytest.raises(OSError, match="Input/output"):
        node.create_topics([TopicSpec("new", 2)])
    with pytest.raises(OSError, match="Input/output"):
        node.delete_topics(["old"])
    with pytest.raises(OSError, match="Input/output"):
        node.grow_topic("old", 3)
    with pytest.raises(OSError, match="Input/output"):
        node.configure_topic("old", {"retention.ms": "5"})
    with pytest.raises(OSError, match="Input/output"):
        node.configure_broker({"message.max.bytes": "5"}, all_brokers=True)

    assert ["old"] == names(node)
    assert 2 == len(node.partitions("old"))
    assert {} == node.topics["old"].configs
    assert {} == node.config.all_brokers


@pytest.mark.parametrize(
    "document",
    [
        b"[" * 100_000,
        b"[1]",
        b'{"format": 1, "topics": {"a": 5}}',
        b'{"format": 1, "topics": [{"name": "../x", "id": "1", "partitions": 1, "configs": {}}]}',
        b'{"format": 1, "topics": [{"name": "x", "id": "1", "partitions": 99999, "configs": {}}]}',
        b'{"format": 1, "broker_configs": 7}',
    ],
    ids=["deep", "list", "topics", "name", "count", "configs"],
)
def test_metadata_that_is_none_is_refused(setting: Setting, document: bytes):
    """
    A metadata file that no broker wrote is named, and no folder is made for what it says.
    """
    setting.node.close()
    (setting.directory / FILE_NAME).write_bytes(document)

    with pytest.raises(ValueError, match=f"{FILE_NAME} is not a broker's metadata"):
        setting.open()

    assert not (setting.directory.parent / "x-0").exists()


def test_metadata_is_for_its_owner_alone(setting: Setting):
    """
    Nobody else on the machine reads what a broker knows of its users.
    """
    assert 0o600 == (setting.directory / FILE_NAME).stat().st_mode & 0o777


def test_topic_whose_logs_cannot_be_made_does_not_exist(
    setting: Setting, monkeypatch: pytest.MonkeyPatch
):
    """
    If a log of a new topic or partition cannot be made, the topic is as it was, on disk too.
    """
    node = setting.node
    node.create_topics([TopicSpec("old", 1)])
    create = node._logs.create

    def fail_at_second(tp, topic):
        if tp.partition == 2:
            raise Refused(ErrorCode.KAFKA_STORAGE_ERROR, "disk full")
        return create(tp, topic)

    monkeypatch.setattr(node._logs, "create", fail_at_second)
    with pytest.raises(Refused, match="disk full"):
        node.create_topics([TopicSpec("new", 3)])
    with pytest.raises(Refused, match="disk full"):
        node.grow_topic("old", 3)
    monkeypatch.undo()

    assert (["old"], 1) == (names(node), len(node.partitions("old")))
    node.close()
    assert (["old"], 1) == (names(setting.open()), len(setting.node.partitions("old")))


def test_logs_missing_after_a_crash_are_made(setting: Setting):
    """
    A crash between the metadata file and the logs is made good at the next start.
    """
    setting.node.close()
    path = setting.directory / FILE_NAME
    document = json.loads(path.read_text())
    document["topics"] = [{"name": "new", "id": str(UUID(int=5)), "partitions": 2, "configs": {}}]
    path.write_text(json.dumps(document))

    node = setting.open()

    assert [0, 0] == [one.log_end_offset for one in node.partitions("new")]


def test_every_start_is_a_new_leader_epoch(setting: Setting):
    """
    L6: the leader epoch grows with every start, and the high watermark is the log's end.
    """
    setting.node.create_topics([TopicSpec("orders", 1)])
    epochs = []
    for _ in range(3):
        [partition] = setting.node.partitions("orders")
        partition.append(batch(), request_version=9)
        epochs.append((partition.leader_epoch, partition.high_watermark))
        setting.node.close()
        setting.open()

    assert [(0, 1), (1, 2), (2, 3)] == epochs


def test_offline_partition_refuses(setting: Setting, tmp_path: Path):
    """
    G7: a partition whose directory cannot be opened gets 56, its neighbours are served.
    """
    setting.node.create_topics([TopicSpec("orders", 2)])
    setting.node.close()
    (setting.directory / "orders-0" / "leader-epoch-checkpoint").unlink(missing_ok=True)
    (setting.directory / "orders-0" / "leader-epoch-checkpoint").mkdir()

    node = setting.open()

    assert ["orders-0"] == node.offline_partitions()
    with pytest.raises(Refused) as caught:
        node.partition("orders", 0)
    assert ErrorCode.KAFKA_STORAGE_ERROR == caught.value.code
    assert 0 == node.partition("orders", 1).log_end_offset


async def test_chores_checkpoint_flush_and_retain(setting: Setting):
    """
    Housekeeping checkpoints changes after 5 s, flushes by flush.ms and drops what is too old.
    """
    node = setting.node
    node.create_topics([TopicSpec("orders", 1, {"flush.ms": "1000", "retention.ms": "60000"})])
    [partition] = node.partitions("orders")
    partition.append(batch(time=setting.clock.wall_ms()), request_version=9)
    chores = housekeeping(node.clock)
    node.add_chores(chores)
    checkpoint = setting.directory / "replication-offset-checkpoint"

    setting.clock.pass_time(5)
    await chores.run_due()
    assert "orders 0 1" in checkpoint.read_text()
    assert 1 == partition.log.recovery_point

    setting.clock.pass_time(5)
    await chores.run_due()
    checkpoint.unlink()
    setting.clock.pass_time(5)
    await chores.run_due()
    assert not checkpoint.exists()  # nothing had changed

    setting.clock.pass_time(300)
    await chores.run_due()
    assert (1, 1) == (partition.log_start_offset, partition.log_end_offset)


async def test_failed_chore_is_tried_again(caplog: pytest.LogCaptureFixture):
    """
    A chore that fails is logged, does not stop the others, and comes round again.
    """
    clock, done = VirtualTime(), []
    chores = housekeeping(BrokerClock(clock))
    chores.add("breaking", 1.0, lambda: done.append("broken") or 1 / 0)

    async def later() -> None:
        done.append("fine")

    chores.add("working", 2.0, later)
    for _ in range(4):
        clock.pass_time(1)
        await chores.run_due()

    assert ["broken", "broken", "fine", "broken", "broken", "fine"] == done
    assert "breaking failed" in caplog.text


def test_metadata_file_holds_before_it_is_seen(tmp_path: Path):
    """
    An update that fails changes neither the file nor what get() says.
    """
    disk = FaultyFileSystem()
    file = MetadataFile(disk, tmp_path)
    file.update(a=1)
    disk.broken.add("rename")
    with pytest.raises(OSError, match="Input/output"):
        file.update(a=2)
    disk.broken.clear()

    assert 1 == file.get("a") == MetadataFile(disk, tmp_path).get("a")


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"format": 2}', "\x00"])
def test_metadata_file_of_somebody_else(tmp_path: Path, text: str):
    """
    A file that is not ours, or of a later version, is refused and not touched.
    """
    (tmp_path / FILE_NAME).write_text(text)
    with pytest.raises(ValueError, match=FILE_NAME):
        MetadataFile(FaultyFileSystem(), tmp_path)

    assert text == (tmp_path / FILE_NAME).read_text()


def test_i10_block_is_recorded_before_its_first_id(tmp_path: Path):
    """
    I10: a crash burns the rest of a block; no id is ever given twice.
    """
    disk = FaultyFileSystem()
    first = ProducerIds(MetadataFile(disk, tmp_path))
    given = [first.take() for _ in range(BLOCK_SIZE + 1)]
    after_crash = ProducerIds(MetadataFile(disk, tmp_path))
    given.append(after_crash.take())

    assert [*range(BLOCK_SIZE + 1), 2 * BLOCK_SIZE] == given


def test_i10_no_id_if_the_block_cannot_be_recorded(tmp_path: Path):
    """
    I10: an id is not given before its block is on disk.
    """
    disk = FaultyFileSystem()
    ids = ProducerIds(MetadataFile(disk, tmp_path))
    disk.broken.add("rename")
    with pytest.raises(OSError, match="Input/output"):
        ids.take()
    disk.broken.clear()

    assert 0 == ids.take()
