"""What was acknowledged is there after a stop, and after a kill."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path
from typing import Self

import pytest

from pyproducer.broker import Broker
from tests.helpers.partition_logs import batch
from tests.helpers.wire_client import WireClient

ROOT = Path(__file__).parents[2]


class Process:
    """`python -m pyproducer.broker` on a data directory."""

    def __init__(self, data_dir: Path, *arguments: str) -> None:
        command = [sys.executable, "-m", "pyproducer.broker", "--port", "0"]
        self._popen = subprocess.Popen(
            [*command, "--data-dir", str(data_dir), *arguments],
            cwd=ROOT,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        assert self._popen.stdout is not None
        line = self._popen.stdout.readline()
        assert line.startswith("listening on "), self._popen.communicate()
        self.bootstrap_servers = line.split()[-1]

    def end(self, number: signal.Signals) -> int:
        """Send the signal and return the exit status."""
        self._popen.send_signal(number)
        self._popen.communicate(timeout=20)
        return self._popen.returncode

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._popen.poll() is None:
            self._popen.kill()
            self._popen.communicate()


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_acknowledged_data_survives(tmp_path: Path, number: signal.Signals):
    """
    Topics, their ids, records, and what producers sent, are as they were, however it ended.
    """
    with (
        Process(tmp_path, "--topic", "orders:2") as process,
        WireClient(process.bootstrap_servers) as client,
    ):
        for first in range(0, 60, 3):
            answer = client.produce("orders", batch(3, producer=(7, 0, first)), partition=1)
            assert answer.error_code == 0
        status = process.end(number)

    assert (-signal.SIGKILL if number == signal.SIGKILL else 0) == status
    with (
        Broker(data_dir=tmp_path) as broker,
        WireClient(broker.bootstrap_servers) as client,
    ):
        assert list(range(60)) == [record.offset for record in broker.records("orders", 1)]
        # I7: the batch sent again is still known, the next one still fits.
        again = client.produce("orders", batch(3, producer=(7, 0, 57)), partition=1)
        after = client.produce("orders", batch(3, producer=(7, 0, 60)), partition=1)
        assert [(0, 57), (0, 60)] == [(one.error_code, one.base_offset) for one in (again, after)]


def test_deleted_records_stay_deleted_after_a_kill(tmp_path: Path):
    """
    What DeleteRecords answered is not undone by a kill right after it.
    """
    from confluent_kafka import TopicPartition
    from confluent_kafka.admin import AdminClient

    with (
        Process(tmp_path, "--topic", "orders") as process,
        WireClient(process.bootstrap_servers) as client,
    ):
        client.produce("orders", batch(3))
        client.produce("orders", batch(3))
        admin = AdminClient({"bootstrap.servers": process.bootstrap_servers, "log_level": 0})
        [future] = admin.delete_records([TopicPartition("orders", 0, 4)]).values()
        assert future.result(10).low_watermark == 4
        process.end(signal.SIGKILL)
    with Broker(data_dir=tmp_path) as broker:
        [partition] = broker._node().partitions("orders")

        assert (4, 6) == (partition.log_start_offset, partition.log_end_offset)


def test_topics_and_deletions_survive_a_kill(tmp_path: Path):
    """
    A topic made before a kill exists after it, a deleted one does not come back.
    """
    from confluent_kafka.admin import AdminClient, NewTopic

    with Process(tmp_path, "--topic", "old") as process:
        admin = AdminClient({"bootstrap.servers": process.bootstrap_servers, "log_level": 0})
        made = admin.create_topics([NewTopic("new", 3, config={"retention.ms": "77"})])
        made["new"].result(10)
        admin.delete_topics(["old"])["old"].result(10)
        process.end(signal.SIGKILL)
    with Broker(data_dir=tmp_path) as broker:
        [topic] = broker._node().topics

        assert ("new", 3, {"retention.ms": "77"}) == (topic.name, topic.partitions, topic.configs)
        assert [] == broker.records("new")


@pytest.mark.parametrize(
    ("arguments", "status", "text"),
    [
        (["--config", "no.such=1"], 2, "unknown broker configuration"),
        (["--topic", "a b"], 2, "not legal"),
        (["--host", "203.0.113.1"], 1, "error: "),
    ],
)
def test_command_that_cannot_run_says_why(
    tmp_path: Path, arguments: list[str], status: int, text: str
):
    """
    A broker that cannot start ends with one line and a status that tells usage from failure.
    """
    ended = subprocess.run(
        [sys.executable, "-m", "pyproducer.broker", "--data-dir", tmp_path, "--port=0", *arguments],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=20,
        check=False,
    )

    assert status == ended.returncode
    assert text in ended.stderr
    assert 1 == len(ended.stderr.splitlines())


def test_second_broker_on_a_directory_says_why(tmp_path: Path):
    """
    A directory in use is an error in one line.
    """
    with Broker(data_dir=tmp_path):
        ended = subprocess.run(
            [sys.executable, "-m", "pyproducer.broker", "--data-dir", tmp_path, "--port=0"],
            cwd=ROOT,
            capture_output=True,
            text=True,
            timeout=20,
            check=False,
        )

    assert 1 == ended.returncode
    assert "another broker" in ended.stderr
    assert 1 == len(ended.stderr.splitlines())
