"""The broker's face: starting, stopping, looking in."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import socket
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from pyproducer.broker import Broker, BrokerRecord, TopicSpec
from pyproducer.broker.log.directory import DataDirectoryError
from pyproducer.errors import ConfigError, UnknownTopic, UsageError
from pyproducer.protocol.messages.api_versions import ApiVersionsRequest
from pyproducer.records.builder import build_batch
from pyproducer.records.codec import Codec
from pyproducer.records.record import Record
from tests.helpers.partition_logs import NOW, batch
from tests.helpers.wire_client import WireClient


def open_files() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


def test_start_and_stop_leave_nothing_behind():
    """
    After stop there is no thread, no socket, no file and no folder left.
    """
    with Broker():
        pass
    threads, files = threading.active_count(), open_files()
    with Broker({"orders": 3}) as broker:
        data_dir = Path(broker._node().data_dir)
        with WireClient(broker.bootstrap_servers) as client:
            client.produce("orders", batch())
        port = broker.port
        assert data_dir.exists()

    assert (threads, files) == (threading.active_count(), open_files())
    assert not data_dir.exists()
    with pytest.raises(ConnectionError):
        socket.create_connection(("127.0.0.1", port), timeout=5).close()


async def test_async_with_runs_it_beside_the_loop():
    """
    `async with` leaves the caller's loop free, so that even a blocking client can be used on it.
    """
    async with Broker({"orders": 1}) as broker:
        with WireClient(broker.bootstrap_servers) as client:
            assert 0 == client.produce("orders", batch()).base_offset
        assert 1 == len(broker.wait_for("orders", 1))


async def test_serve_runs_on_the_current_loop():
    """
    `serve` takes connections until it is cancelled.
    """
    ready = asyncio.Event()
    broker = Broker({"orders": 1})
    task = asyncio.create_task(broker.serve(on_ready=lambda _: ready.set()))
    await asyncio.wait_for(ready.wait(), 10)

    def ask() -> int:
        with WireClient(broker.bootstrap_servers) as client:
            return int(client.ask(ApiVersionsRequest(), 0).error_code)

    assert 0 == await asyncio.to_thread(ask)
    with pytest.raises(UsageError, match="background"):
        broker.records("orders")
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    with pytest.raises(UsageError, match="not running"):
        _ = broker.port


async def test_serve_ends_on_a_signal():
    """
    A stop signal ends `serve` as if it had been asked to return.
    """
    broker = Broker()
    await asyncio.wait_for(
        broker.serve(
            on_ready=lambda _: os.kill(os.getpid(), signal.SIGUSR1), stop_signals=[signal.SIGUSR1]
        ),
        10,
    )

    with pytest.raises(UsageError):
        _ = broker.bootstrap_servers


def test_started_twice_is_refused_and_started_again_is_fine(tmp_path: Path):
    """
    A running broker cannot be started; a stopped one can, with what it had.
    """
    broker = Broker({"orders": 1}, data_dir=tmp_path)
    with broker:
        with pytest.raises(UsageError, match="already"):
            broker.start()
        with WireClient(broker.bootstrap_servers) as client:
            client.produce("orders", batch(2))
    broker.stop()
    with broker:
        assert 2 == len(broker.records("orders"))


def test_occupied_port_is_told_to_the_caller():
    """
    A port that is taken is an OSError of start, and everything opened before is closed.
    """
    with socket.create_server(("127.0.0.1", 0)) as taken:
        files = open_files()
        broker = Broker(port=taken.getsockname()[1])
        with pytest.raises(OSError, match="address"):
            broker.start()

        assert files == open_files()


def test_data_directory_in_use_is_told_to_the_caller(tmp_path: Path):
    """
    Two brokers cannot share a data directory.
    """
    with Broker(data_dir=tmp_path), pytest.raises(DataDirectoryError, match="another broker"):
        Broker(data_dir=tmp_path).start()


@pytest.mark.parametrize("below", ["", "/below"])
def test_unusable_data_directory_is_named(tmp_path: Path, below: str):
    """
    A directory that cannot be is a ConfigError that names it, and nothing stays open.
    """
    (tmp_path / "file").touch()
    files = open_files()
    broker = Broker(data_dir=f"{tmp_path}/file{below}")
    with pytest.raises(ConfigError, match=f"{tmp_path}/file{below} cannot be used") as caught:
        broker.start()

    assert "data_dir" == caught.value.option
    assert files == open_files()


def test_foreign_metadata_file_is_told_to_the_caller(tmp_path: Path):
    """
    A metadata file that is broken stops the start instead of being overwritten.
    """
    path = tmp_path / "pyproducer-metadata.json"
    path.write_text("{ not json")
    with pytest.raises(ValueError, match="is not a broker's metadata"):
        Broker(data_dir=tmp_path).start()

    assert "{ not json" == path.read_text()


def test_records_show_what_is_held():
    """
    records() decodes every codec, with key, headers, nulls and timestamps, by partition and offset.
    """
    shown = [
        Record(0, NOW, key=b"k", value=b"v", headers=(("a", b"1"), ("b", None))),
        Record(0, NOW + 1, key=None, value=None),
    ]
    with Broker({"orders": 2}) as broker, WireClient(broker.bootstrap_servers) as client:
        for codec in Codec:
            client.produce("orders", build_batch(shown, codec=codec), partition=1)
        client.produce("orders", batch(1), partition=0)

        held = broker.records("orders")
        assert [0] + [1] * 10 == [record.partition for record in held]
        assert list(range(10)) == [record.offset for record in held[1:]]
        assert BrokerRecord(1, 8, NOW, b"k", b"v", (("a", b"1"), ("b", None))) == held[9]
        assert BrokerRecord(1, 9, NOW + 1, None, None, ()) == held[10]
        assert held[1:] == broker.records("orders", partition=1)


def test_wait_for_returns_when_there_are_enough(broker: Broker):
    """
    wait_for blocks until the records are there, however many appends bring them.
    """

    def write() -> None:
        with WireClient(broker.bootstrap_servers) as client:
            for partition in range(3):
                client.produce("orders", batch(2), partition=partition)

    writer = threading.Thread(target=write)
    writer.start()
    found = broker.wait_for("orders", 5)
    writer.join()

    assert len(found) >= 5


def test_wait_for_says_how_many_there_are(broker: Broker, client: WireClient):
    """
    wait_for that waits in vain tells what it saw.
    """
    client.produce("orders", batch(2))
    with pytest.raises(TimeoutError, match=r"orders holds 2 records after 0\.05 s, not 3"):
        broker.wait_for("orders", 3, timeout=0.05)


def test_unknown_topics(broker: Broker):
    """
    Asking for a topic or partition that is not there names it.
    """
    with pytest.raises(UnknownTopic, match="no nowhere"):
        broker.records("nowhere")
    with pytest.raises(UnknownTopic, match="no orders-9"):
        broker.records("orders", partition=9)
    with pytest.raises(UnknownTopic):
        broker.wait_for("nowhere", 1)


def test_create_topic(broker: Broker, client: WireClient):
    """
    create_topic makes a topic while running, and refuses what cannot be.
    """
    broker.create_topic("late", 2, configs={"cleanup.policy": "compact"})

    assert 0 == client.produce("late", batch(), partition=1).error_code
    with pytest.raises(ConfigError, match="exists"):
        broker.create_topic("late")
    with pytest.raises(ConfigError, match="not legal"):
        broker.create_topic("a b")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"topics": {"a b": 1}}, "not legal"),
        ({"topics": {"a": 0}}, "1 to 10000 partitions"),
        ({"topics": [TopicSpec("a"), TopicSpec("a")]}, "named twice"),
        ({"topics": [TopicSpec("a", 1, {"retention.mss": "1"})]}, "did you mean retention.ms"),
        ({"topics": {"a.b": 1, "a_b": 1}}, "differs from another"),
        ({"topics": ["a"]}, "TopicSpecs, not 'a'"),
        ({"topics": {"__consumer_offsets": 1}}, "by the broker itself"),
        ({"config": {"no.such": "1"}}, "unknown broker configuration"),
        ({"config": {"num.io.threads": "3"}}, "no effect"),
        ({"config": {"num.partitions": "x"}}, "a whole number from 1 to"),
        ({"config": "num.partitions=3"}, "config takes a mapping"),
        ({"topics": {"o": "x"}}, "1 to 10000 partitions, not 'x'"),
        ({"topics": {"o": True}}, "1 to 10000 partitions, not True"),
        ({"topics": {5: 1}}, "name is a text, not 5"),
        ({"topics": 5}, "topics takes a mapping"),
        ({"topics": [TopicSpec("a", 1, {"retention.ms": 5})]}, "retention.ms as a text, not 5"),
        ({"topics": [TopicSpec("a", 1, 5)]}, "map names to texts, not 5"),
        ({"port": 99999}, "port=99999 is no port: give 0 to 65535"),
        ({"port": "9092"}, "port='9092' is no port"),
        ({"http_port": -1}, "http_port=-1 is no port"),
        ({"host": 5}, "host=5 is no address"),
        ({"data_dir": 5}, "data_dir=5 is no path"),
    ],
    ids=str,
)
def test_impossible_arguments_are_refused_at_construction(arguments: dict, message: str):
    """
    A broker that could not run as asked is refused before it starts.
    """
    with pytest.raises(ConfigError, match=message):
        Broker(**arguments)


def test_topics_that_collide_with_kept_ones_are_refused_at_start(tmp_path: Path):
    """
    A topic that differs from one in the data directory in '.' and '_' only cannot be made.
    """
    with Broker({"a.b": 1}, data_dir=tmp_path):
        pass
    with pytest.raises(ConfigError, match="collides"):
        Broker({"a_b": 1}, data_dir=tmp_path).start()


def test_forked_child_leaves_the_folder_alone():
    """
    A child process that inherits a running broker and exits removes nothing of it.
    """
    program = """
import os, sys
from pathlib import Path
from pyproducer.broker import Broker

with Broker({"orders": 1}) as broker:
    folder = Path(broker._node().data_dir)
    child = os.fork()
    if child == 0:
        broker.stop()
        sys.exit(0)
    status = os.waitpid(child, 0)[1]
    print(status, (folder / "orders-0").exists(), len(broker.records("orders")))
print(folder.exists())
"""
    ran = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", program],
        cwd=Path(__file__).parents[2],
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )

    assert ("0 True 0\nFalse\n", "") == (ran.stdout, ran.stderr)


def test_advertised_host():
    """
    Clients are told the advertised host; without one, an address they can reach.
    """
    with Broker(host="0.0.0.0") as everywhere:
        assert f"localhost:{everywhere.port}" == everywhere.bootstrap_servers
    with Broker(advertised_host="kafka.example") as named:
        assert f"kafka.example:{named.port}" == named.bootstrap_servers


def test_failed_request_is_logged_and_closes_one_connection(
    broker: Broker, client: WireClient, caplog: pytest.LogCaptureFixture
):
    """
    A handler that fails in an unforeseen way costs its connection, and the log says why.
    """
    broker._node().producer_ids = None
    from pyproducer.protocol.messages.init_producer_id import InitProducerIdRequest

    with caplog.at_level(logging.ERROR), WireClient(broker.bootstrap_servers) as unlucky:
        unlucky.send(InitProducerIdRequest(transactional_id=None), 4)
        assert unlucky.is_closed()

    assert "AttributeError" in caplog.text
    assert 0 == client.ask(ApiVersionsRequest(), 0).error_code
