"""What counts only once it is on disk: flush modes, flush.messages, and who waits together."""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from pyproducer.broker import Broker, TopicSpec
from pyproducer.errors import ConfigError
from pyproducer.protocol.error_codes import ErrorCode
from pyproducer.protocol.messages.delete_records import (
    DeleteRecordsPartition,
    DeleteRecordsRequest,
    DeleteRecordsTopic,
)
from pyproducer.protocol.messages.describe_producers import DescribeProducersRequest, TopicRequest
from pyproducer.protocol.messages.fetch import FetchPartition, FetchRequest, FetchTopic
from pyproducer.protocol.messages.list_offsets import (
    ListOffsetsPartition,
    ListOffsetsRequest,
    ListOffsetsTopic,
)
from pyproducer.protocol.messages.metadata import MetadataRequest
from pyproducer.protocol.messages.offset_for_leader_epoch import (
    OffsetForLeaderEpochRequest,
    OffsetForLeaderPartition,
    OffsetForLeaderTopic,
)
from pyproducer.protocol.messages.produce import (
    PartitionProduceData,
    ProduceRequest,
    TopicProduceData,
)
from tests.helpers.faulty_disk import FaultyFileSystem
from tests.helpers.partition_logs import batch
from tests.helpers.statement_servers import eventually
from tests.helpers.wire_client import WireClient


class HeldDisk(FaultyFileSystem):
    """A disk whose fsyncs wait while a test holds it."""

    __slots__ = ("_free", "waiting")

    def __init__(self) -> None:
        super().__init__()
        self._free = threading.Event()
        self._free.set()
        self.waiting = 0

    def hold(self) -> None:
        self._free.clear()

    def let_go(self) -> None:
        self._free.set()

    def check(self, operation: str) -> None:
        if operation == "fsync":
            self.waiting += 1
            self._free.wait(20)
            self.waiting -= 1
        super().check(operation)


@pytest.fixture
def disk() -> Iterator[HeldDisk]:
    held = HeldDisk()
    yield held
    held.broken.clear()
    held.let_go()


def always(tmp_path: Path, disk: FaultyFileSystem, partitions: int = 3) -> Broker:
    return Broker({"orders": partitions}, data_dir=tmp_path, fs=disk, flush="always")


def test_always_answers_after_the_fsync(tmp_path: Path, disk: HeldDisk):
    """
    A record is neither acknowledged nor read before it is on disk, and the broker goes on serving.
    """
    with always(tmp_path, disk) as broker, WireClient(broker.bootstrap_servers) as client:
        # The first batch after a start also records the leader's epoch.
        assert 0 == client.produce("orders", batch()).error_code
        disk.hold()
        done: list[int] = []

        def produce() -> None:
            done.append(client.produce("orders", batch(2)).base_offset)

        thread = threading.Thread(target=produce)
        thread.start()
        eventually(lambda: disk.waiting)
        with WireClient(broker.bootstrap_servers) as other:
            assert other.ask(MetadataRequest(topics=None), 9).topics
        assert 1 == len(broker.records("orders", 0))
        assert [] == done
        disk.let_go()
        thread.join()

        assert [1] == done
        assert 3 == len(broker.records("orders", 0))


@pytest.mark.parametrize("clients", [1, 20])
def test_always_takes_one_fsync_for_all_who_wait(tmp_path: Path, disk: HeldDisk, clients: int):
    """
    Requests that come while a round is under way share the next one.
    """
    with always(tmp_path, disk, 1) as broker:
        connected = [WireClient(broker.bootstrap_servers) for _ in range(clients + 1)]
        first, *others = connected
        first.produce("orders", batch())
        disk.hold()
        first.send(_request("orders"), 9)
        eventually(lambda: disk.waiting)
        for client in others:
            client.send(_request("orders"), 9)
        eventually(lambda: clients + 2 == _end_offset(broker))
        before = disk.fsyncs
        disk.let_go()
        for client in connected:
            assert 0 == client.receive().responses[0].partition_responses[0].error_code
            client.socket.close()

        assert 2 == disk.fsyncs - before


def _end_offset(broker: Broker) -> int:
    partition = broker._node().partition("orders", 0)
    assert partition is not None
    return partition.log_end_offset


def _request(topic: str, partitions: int = 1) -> ProduceRequest:
    return ProduceRequest(
        acks=-1,
        timeout_ms=5000,
        topic_data=[
            TopicProduceData(
                name=topic,
                partition_data=[
                    PartitionProduceData(index=index, records=batch())
                    for index in range(partitions)
                ],
            )
        ],
    )


def test_g7_failed_fsync_is_never_acknowledged(tmp_path: Path, disk: HeldDisk):
    """
    A batch whose fsync failed gets KAFKA_STORAGE_ERROR, as does all that comes after it on the
    partition; readers do not see it, others go on, and after a restart it is written again.
    """
    with always(tmp_path, disk) as broker, WireClient(broker.bootstrap_servers) as client:
        assert 0 == client.produce("orders", batch(producer=(5, 0, 0))).error_code
        disk.broken = {"fsync"}
        assert ErrorCode.KAFKA_STORAGE_ERROR == (
            client.produce("orders", batch(producer=(5, 0, 1))).error_code
        )
        disk.broken = set()
        refused = client.produce("orders", batch(producer=(5, 0, 1)))
        assert ErrorCode.KAFKA_STORAGE_ERROR == refused.error_code
        assert -1 == refused.base_offset
        assert 1 == len(broker.records("orders", 0))
        assert 0 == client.produce("orders", batch(), partition=1).error_code
    with always(tmp_path, disk) as broker, WireClient(broker.bootstrap_servers) as client:
        again = client.produce("orders", batch(producer=(5, 0, 1)))

        assert (0, 1) == (again.error_code, again.base_offset)
        assert 2 == len(broker.records("orders", 0))


def test_g7_partition_with_a_failed_fsync_is_not_read(tmp_path: Path, disk: HeldDisk):
    """
    It gets KAFKA_STORAGE_ERROR from all that read or shorten it, a Fetch that waits too and at
    once; its neighbour is served, and after a restart it is as well.
    """
    with (
        always(tmp_path, disk) as broker,
        WireClient(broker.bootstrap_servers) as client,
        WireClient(broker.bootstrap_servers) as waiting,
    ):
        assert [0, 0] == [
            client.produce("orders", batch(), partition=at).error_code for at in (0, 1)
        ]
        assert (0,) * 5 == _reads(client, 0)
        waiting.send(_fetch("orders", 0, offset=1, max_wait_ms=60_000), 11)
        eventually(lambda: _watched(broker))
        disk.broken = {"fsync"}
        client.produce("orders", batch())
        disk.broken = set()

        [told] = waiting.receive().responses[0].partitions
        assert ErrorCode.KAFKA_STORAGE_ERROR == told.error_code
        assert (ErrorCode.KAFKA_STORAGE_ERROR,) * 5 == _reads(client, 0)
        assert (0,) * 5 == _reads(client, 1)
    with always(tmp_path, disk) as broker, WireClient(broker.bootstrap_servers) as client:
        assert (0,) * 5 == _reads(client, 0)


def _watched(broker: Broker) -> bool:
    partition = broker._node().partition("orders", 0)
    assert partition is not None
    return bool(partition.watches)


def _fetch(topic: str, partition: int, *, offset: int, max_wait_ms: int = 0) -> FetchRequest:
    wanted = FetchPartition(partition=partition, fetch_offset=offset, partition_max_bytes=1 << 20)
    return FetchRequest(
        max_wait_ms=max_wait_ms,
        min_bytes=1,
        max_bytes=1 << 20,
        topics=[FetchTopic(topic=topic, partitions=[wanted])],
    )


def _reads(client: WireClient, partition: int) -> tuple[int, ...]:
    """What Fetch, ListOffsets, OffsetForLeaderEpoch, DeleteRecords and DescribeProducers say."""
    end = ListOffsetsPartition(partition_index=partition, timestamp=-1)
    listing = ListOffsetsRequest(topics=[ListOffsetsTopic(name="orders", partitions=[end])])
    epoch = OffsetForLeaderPartition(partition=partition, leader_epoch=0)
    epochs = OffsetForLeaderEpochRequest(
        topics=[OffsetForLeaderTopic(topic="orders", partitions=[epoch])]
    )
    start = DeleteRecordsPartition(partition_index=partition, offset=0)
    deleting = DeleteRecordsRequest(
        topics=[DeleteRecordsTopic(name="orders", partitions=[start])], timeout_ms=5000
    )
    producers = DescribeProducersRequest(
        topics=[TopicRequest(name="orders", partition_indexes=[partition])]
    )
    return (
        client.ask(_fetch("orders", partition, offset=0), 11).responses[0].partitions[0].error_code,
        client.ask(listing, 4).topics[0].partitions[0].error_code,
        client.ask(epochs, 3).topics[0].partitions[0].error_code,
        client.ask(deleting, 2).topics[0].partitions[0].error_code,
        client.ask(producers, 0).topics[0].partitions[0].error_code,
    )


def test_always_covers_acks_0_and_a_repeated_batch(tmp_path: Path, disk: HeldDisk):
    """
    With acks=0 nobody waits, and readers still do; a batch sent again waits for its first copy.
    """
    with always(tmp_path, disk) as broker, WireClient(broker.bootstrap_servers) as client:
        client.produce("orders", batch())
        disk.hold()
        request = _request("orders")
        request.acks = 0
        request.topic_data[0].partition_data[0].records = batch(producer=(5, 0, 0))
        client.send(request, 9)
        client._sent.clear()
        eventually(lambda: disk.waiting)
        assert 1 == len(broker.records("orders", 0))
        request.acks = -1
        client.send(request, 9)
        assert disk.waiting
        disk.let_go()
        [answer] = client.receive().responses[0].partition_responses

        assert (0, 1) == (answer.error_code, answer.base_offset)
        assert 2 == len(broker.wait_for("orders", 2))


def test_always_forces_what_the_broker_writes_itself(tmp_path: Path, disk: HeldDisk):
    """
    Offsets that a group committed are on disk when that is answered.
    """
    from confluent_kafka import Consumer, TopicPartition

    with always(tmp_path, disk) as broker:
        consumer = Consumer({"bootstrap.servers": broker.bootstrap_servers, "group.id": "g"})
        consumer.commit(offsets=[TopicPartition("orders", 0, 7)], asynchronous=False)
        consumer.close()
        logs = broker._node()._logs.logs

        states = [one for tp, one in logs.items() if tp.topic == "__consumer_offsets"]
        assert any(one.log_end_offset for one in states)
        for one in states:
            assert one.log_end_offset == one.recovery_point == one.high_watermark


def test_flush_messages_makes_producers_wait(tmp_path: Path, disk: HeldDisk):
    """
    With flush.messages=2 every second record is answered once it is on disk, in any mode.
    """
    topics = [TopicSpec("orders", 1, {"flush.messages": "2"})]
    with (
        Broker(topics, data_dir=tmp_path, fs=disk) as broker,
        WireClient(broker.bootstrap_servers) as client,
    ):
        counts = []
        for _ in range(4):
            before = disk.fsyncs
            assert 0 == client.produce("orders", batch()).error_code
            counts.append(disk.fsyncs - before)
        assert 1 == counts[3]
        disk.broken = {"fsync"}
        assert 0 == client.produce("orders", batch()).error_code
        assert ErrorCode.KAFKA_STORAGE_ERROR == client.produce("orders", batch()).error_code


def test_interval_forces_to_disk_at_intervals(tmp_path: Path):
    """
    With flush=interval a log is on disk log.flush.interval.ms after the append, 1000 by default.
    """
    disk = FaultyFileSystem()
    for config in ({}, {"log.flush.interval.ms": "50"}):
        folder = tmp_path / str(len(config))
        with (
            Broker({"t": 1}, data_dir=folder, fs=disk, flush="interval", config=config) as broker,
            WireClient(broker.bootstrap_servers) as client,
        ):
            assert 0 == client.produce("t", batch()).error_code
            partition = broker._node().partition("t", 0)
            assert partition is not None
            assert int(config.get("log.flush.interval.ms", 1000)) == partition.log.config.flush_ms
            started = time.monotonic()
            eventually(lambda log=partition.log: log.recovery_point == 1)
            assert config or time.monotonic() - started > 0


def test_os_forces_nothing(tmp_path: Path):
    """
    By default an append is left to the operating system, and a clean stop forces it.
    """
    disk = FaultyFileSystem()
    with (
        Broker({"t": 1}, data_dir=tmp_path, fs=disk) as broker,
        WireClient(broker.bootstrap_servers) as client,
    ):
        client.produce("t", batch())
        before = disk.fsyncs
        for _ in range(20):
            client.produce("t", batch())
        assert before == disk.fsyncs
    assert disk.fsyncs > before


@pytest.mark.parametrize(
    ("argument", "value"), [("flush", "sometimes"), ("producer_expiry_clock", "wall")]
)
def test_unknown_words_are_refused(argument: str, value: str):
    """
    A mode that does not exist is refused with those that do.
    """
    with pytest.raises(ConfigError, match=re.escape(f"{argument}={value!r}")) as caught:
        Broker(**{argument: value})
    assert argument == caught.value.option
