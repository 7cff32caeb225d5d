"""Clients that read slowly, or never, while what they read is deleted or cut: real sockets."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import threading
from pathlib import Path

import pytest

from pyproducer.broker import Broker, TopicSpec
from pyproducer.broker.broker import Broker as Running
from pyproducer.protocol.frame import decode_response_header
from pyproducer.protocol.messages.delete_records import (
    DeleteRecordsPartition,
    DeleteRecordsRequest,
    DeleteRecordsTopic,
)
from pyproducer.protocol.messages.fetch import (
    FetchPartition,
    FetchRequest,
    FetchResponse,
    FetchTopic,
)
from pyproducer.records.reader import iter_batches
from tests.bench.meters import resident_bytes
from tests.helpers.broker_process import BrokerProcess
from tests.helpers.faulty_disk import FaultyFileSystem
from tests.helpers.partition_logs import batch
from tests.helpers.statement_servers import eventually
from tests.helpers.virtual_time import VirtualTime
from tests.helpers.wire_client import WireClient

#: So that an answer is far more than the sockets between the two hold.
SMALL_BUFFERS = {"socket.send.buffer.bytes": "16384"}
COUNT = 8
ANSWER = 50 << 20


class SlowClient(WireClient):
    """A client whose socket holds little of what it does not read."""

    def __init__(self, bootstrap_servers: str) -> None:
        super().__init__(bootstrap_servers)
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 16384)

    def ask_for_all(self, topic: str = "orders") -> None:
        """Ask for everything there is."""
        part = FetchPartition(partition=0, partition_max_bytes=ANSWER)
        request = FetchRequest(
            max_bytes=ANSWER, topics=[FetchTopic(topic=topic, partitions=[part])]
        )
        self.send(request, 11)

    def begin(self) -> bytes:
        """The first bytes of the answer have come: the rest is under way."""
        return self.receive_exactly(1024)

    def finish(self, begun: bytes) -> list[int]:
        """The offsets of an answer that arrives whole, each batch as it was written."""
        size = int.from_bytes(begun[:4], "big")
        frame = begun[4:] + self.receive_exactly(size + 4 - len(begun))
        _, body = decode_response_header(frame, 1, 11)
        answer = FetchResponse.decode(body, 11)
        batches = list(iter_batches(answer.responses[0].partitions[0].records))
        for one in batches:
            one.verify()
        return [record.offset for one in batches for record in one.records()]


def filled(broker: Running, *, value: bytes = b"x" * 900_000) -> None:
    """The topic has some megabytes."""
    with WireClient(broker.bootstrap_servers) as client:
        for _ in range(COUNT):
            assert client.produce("orders", batch(value=value)).error_code == 0


@pytest.mark.parametrize("delete", ["records", "topic"])
def test_segment_that_is_deleted_while_it_is_sent_arrives_whole(delete: str):
    """
    E1: what was answered is sent to its end, also when its files are gone from the directory.
    """
    topic = TopicSpec("orders", 1, {"segment.bytes": str(64 << 20), "file.delete.delay.ms": "0"})
    with Broker([topic], config=SMALL_BUFFERS) as broker:
        filled(broker)
        with SlowClient(broker.bootstrap_servers) as slow:
            slow.ask_for_all()
            begun = slow.begin()
            files = list(Path(broker._node().data_dir).rglob("orders-0/*.log"))
            _delete(broker, delete)
            left = [path for path in files if path.exists()]

            assert list(range(COUNT)) == slow.finish(begun)
        assert [] == left


def _delete(broker: Running, what: str) -> None:
    """The only segment, or its topic, is gone."""
    if what == "topic":
        broker._call_with_node(lambda node: node.delete_topics(["orders"]))
        broker.tick(minutes=2)
        return
    log = broker._node().partition("orders", 0).log
    broker._call_with_node(lambda _: log.roll())
    with WireClient(broker.bootstrap_servers) as client:
        parts = [DeleteRecordsPartition(partition_index=0, offset=COUNT)]
        topics = [DeleteRecordsTopic(name="orders", partitions=parts)]
        answer = client.ask(DeleteRecordsRequest(topics=topics, timeout_ms=5000), 1)
        assert answer.topics[0].partitions[0].error_code == 0


def test_segment_that_is_compacted_while_it_is_sent_arrives_as_it_was(tmp_path: Path):
    """
    M6: a reader gets the batches of the segment that he was answered from, although another one
    has its place, and the next reader gets those of that one; none gets some of each.
    """
    keyed = TopicSpec("orders", 1, {"cleanup.policy": "compact", "min.cleanable.dirty.ratio": "0"})
    with Broker([keyed], config=SMALL_BUFFERS, data_dir=tmp_path) as broker:
        filled(broker)
        log = broker._node().partition("orders", 0).log
        with (
            SlowClient(broker.bootstrap_servers) as slow,
            SlowClient(broker.bootstrap_servers) as between,
        ):
            slow.ask_for_all()
            begun = slow.begin()
            broker._call_with_node(lambda _: log.roll())
            inode = (log.directory / f"{0:020d}.log").stat().st_ino
            broker.tick(minutes=1)
            assert inode != (log.directory / f"{0:020d}.log").stat().st_ino
            between.ask_for_all()
            begun_between = between.begin()
            filled(broker, value=b"y" * 900_000)
            broker._call_with_node(lambda _: log.roll())
            broker.tick(minutes=1)

            # The old file is larger than what the sockets hold: most of it is sent after it went.
            assert list(range(COUNT)) == slow.finish(begun)
            assert [COUNT - 1] == between.finish(begun_between)
        with SlowClient(broker.bootstrap_servers) as after:
            after.ask_for_all()

            assert [2 * COUNT - 1] == after.finish(after.begin())


def test_segment_that_is_cut_while_it_is_sent_ends_the_connection():
    """
    E1: a reader of what is cut off sees its connection end, and never a mix of old and new.
    """
    with Broker({"orders": 1}, config=SMALL_BUFFERS) as broker:
        filled(broker)
        log = broker._node().partition("orders", 0).log
        with SlowClient(broker.bootstrap_servers) as slow:
            slow.ask_for_all()
            begun = slow.begin()
            broker._call_with_node(lambda _: log.truncate_to(COUNT // 2))
            filled(broker, value=b"y" * 900_000)

            with pytest.raises(ConnectionError):
                slow.finish(begun)
        with SlowClient(broker.bootstrap_servers) as again:
            again.ask_for_all()

            assert list(range(COUNT // 2 + COUNT)) == again.finish(again.begin())


def test_what_is_not_cut_off_arrives_whole():
    """
    E1: a reader of what stays when the log is cut gets it.
    """
    with Broker({"orders": 1}, config=SMALL_BUFFERS) as broker:
        filled(broker)
        with SlowClient(broker.bootstrap_servers) as slow:
            slow.ask_for_all()
            begun = slow.begin()
            filled(broker)
            log = broker._node().partition("orders", 0).log
            broker._call_with_node(lambda _: log.truncate_to(COUNT))

            assert list(range(COUNT)) == slow.finish(begun)


def test_disk_that_fails_in_the_middle_of_an_answer_ends_that_connection_only():
    """
    An answer whose rest cannot be read ends its connection; the others are served.
    """
    disk = FaultyFileSystem()
    with Broker({"orders": 1}, config=SMALL_BUFFERS, fs=disk) as broker:
        filled(broker)
        with (
            SlowClient(broker.bootstrap_servers) as slow,
            SlowClient(broker.bootstrap_servers) as other,
        ):
            slow.ask_for_all()
            begun = slow.begin()
            disk.broken.add("pread")
            with pytest.raises(ConnectionError):
                slow.finish(begun)
            disk.broken.clear()
            other.ask_for_all()

            assert list(range(COUNT)) == other.finish(other.begin())


def test_slow_readers_hold_next_to_nothing_in_memory(tmp_path: Path):
    """
    V15: a hundred clients that do not read answers of 40 MB cost the broker less than one answer.
    """
    clients = []
    with BrokerProcess({"orders": 1}, data_dir=tmp_path / "data") as broker:
        with WireClient(broker.bootstrap_servers) as client:
            for _ in range(40):
                client.produce("orders", batch(value=b"x" * 1_000_000))
            before = resident_bytes(broker.pid)
            for _ in range(100):
                slow = SlowClient(broker.bootstrap_servers)
                clients.append(slow)
                slow.ask_for_all()
            for slow in clients:
                slow.begin()
            held = resident_bytes(broker.pid) - before
            # Nobody is delayed: what follows is answered while all of them wait.
            assert client.produce("orders", batch()).error_code == 0
        for slow in clients:
            slow.socket.close()
    assert held < 20_000_000


def test_reader_that_stops_is_closed_when_it_was_silent_for_long_enough():
    """
    connections.max.idle.ms: a client that does not read its answer is no busier than a silent one.
    """
    clock = VirtualTime()
    with Broker({"orders": 1}, config=SMALL_BUFFERS, clock=clock) as broker:
        filled(broker)
        with SlowClient(broker.bootstrap_servers) as slow:
            slow.ask_for_all()
            begun = slow.begin()
            clock.pass_time(700)
            eventually(lambda: not broker._node().metrics.connections_open)
            with pytest.raises(ConnectionError):
                slow.finish(begun)


def test_fast_reader_of_a_long_answer_does_not_keep_the_loop(tmp_path: Path):
    """
    While one client is given a long answer as fast as it reads, another is served in between.
    """
    with BrokerProcess({"orders": 1}, data_dir=tmp_path / "data") as broker:
        with WireClient(broker.bootstrap_servers) as client:
            for _ in range(40):
                client.produce("orders", batch(value=b"x" * 1_000_000))
        rounds, done = 10, threading.Event()
        part = FetchPartition(partition=0, partition_max_bytes=ANSWER)
        request = FetchRequest(
            max_bytes=ANSWER, topics=[FetchTopic(topic="orders", partitions=[part])]
        )
        with (
            WireClient(broker.bootstrap_servers) as fast,
            WireClient(broker.bootstrap_servers) as other,
        ):

            def read() -> None:
                for _ in range(rounds):
                    fast.send(request, 11)
                    fast.receive_frame()
                done.set()

            reading = threading.Thread(target=read)
            reading.start()
            served = 0
            while not done.is_set():
                assert other.produce("orders", batch(), partition=0).error_code == 0
                served += 1
            reading.join()

        assert served > rounds


def test_broker_on_uvloop_serves_fast_and_slow_readers():
    """
    Where an application runs the broker on its own loop, of uvloop, answers are no different.
    """
    uvloop = pytest.importorskip("uvloop")
    broker = Broker({"orders": 1}, config=SMALL_BUFFERS)
    ready, running = threading.Event(), {}

    async def serve() -> None:
        running["loop"], running["task"] = asyncio.get_running_loop(), asyncio.current_task()
        with contextlib.suppress(asyncio.CancelledError):
            await broker.serve(on_ready=lambda _: ready.set())

    thread = threading.Thread(target=lambda: uvloop.run(serve()))
    thread.start()
    try:
        assert ready.wait(10)
        filled(broker)
        with (
            SlowClient(broker.bootstrap_servers) as slow,
            WireClient(broker.bootstrap_servers) as other,
        ):
            slow.ask_for_all()
            begun = slow.begin()
            assert other.produce("orders", batch()).error_code == 0

            assert list(range(COUNT)) == slow.finish(begun)
    finally:
        running["loop"].call_soon_threadsafe(running["task"].cancel)
        thread.join(10)
