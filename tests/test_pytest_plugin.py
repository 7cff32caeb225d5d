"""The plugin for pytest: in runs of its own, and here."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from pyproducer._pure import PURE
from tests.helpers.partition_logs import batch
from tests.helpers.source_tree import ROOT
from tests.helpers.wire_client import WireClient


def run(folder: Path, source: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run pytest on one file of tests, in a process and a folder of its own."""
    (folder / "test_it.py").write_text(source)
    (folder / "pytest.ini").write_text("[pytest]\naddopts = --strict-markers\n")
    return subprocess.run(
        [
            *(sys.executable, "-W", "error", "-m", "pytest", "-q"),
            *("-p", "no:cacheprovider", "-p", "pyproducer.pytest_plugin"),
            *(*arguments, "test_it.py"),
        ],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
        # Ours by name, and no others: this environment may know its entry point or not.
        env={**os.environ, "PYTHONPATH": str(ROOT), "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"},
    )


def passed(done: subprocess.CompletedProcess[str], count: int) -> bool:
    assert done.returncode == 0, done.stdout + done.stderr
    return f"{count} passed" in done.stdout


def test_entry_point():
    """
    pytest finds the plugin by the entry point of the distribution.
    """
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]

    assert {"pyproducer": "pyproducer.pytest_plugin"} == project["entry-points"]["pytest11"]


def test_nothing_is_imported_before_a_broker_is_asked_for(tmp_path: Path):
    """
    A run that uses no fixture of ours imports the plugin and nothing behind it.
    """
    done = run(
        tmp_path,
        """
import json, sys

def test_modules():
    with open("modules.json", "w") as out:
        json.dump([name for name in sys.modules if name.startswith(("pyproducer", "aiohttp"))], out)
""",
    )

    assert passed(done, 1)
    assert {
        "pyproducer",
        "pyproducer._pure",
        *(["pyproducer._sources"] if PURE else []),
        "pyproducer._version",
        "pyproducer.pytest_plugin",
    } == set(json.loads((tmp_path / "modules.json").read_text()))


@pytest.mark.kafka(topics={"orders": 3}, config={"message.max.bytes": "2000"})
def test_broker_of_a_test(kafka_broker):
    """
    kafka_broker has the topics and the configuration of the marker, and serves any client.
    """
    with WireClient(kafka_broker.bootstrap_servers) as client:
        assert 0 == client.produce("orders", batch(), partition=2).error_code
        assert 10 == client.produce("orders", batch(value=b"x" * 3000)).error_code
    assert [2] == [record.partition for record in kafka_broker.records("orders")]


def test_each_test_has_its_own_broker(tmp_path: Path):
    """
    What one test writes the next does not find, and its broker is gone.
    """
    done = run(
        tmp_path,
        """
import socket, pytest
from pyproducer import SyncProducer

pytestmark = pytest.mark.kafka(topics={"orders": 1})
ports = []

@pytest.mark.parametrize("turn", range(3))
def test_alone(kafka_broker, turn):
    assert kafka_broker.records("orders") == []
    with SyncProducer(kafka_broker.bootstrap_servers) as producer:
        producer.send("orders", "one")
    for port in ports:
        with pytest.raises(ConnectionError):
            socket.create_connection(("127.0.0.1", port), timeout=5).close()
    ports.append(kafka_broker.port)
""",
    )

    assert passed(done, 3)


def test_markers_add_up(tmp_path: Path):
    """
    Markers of module, class and test are taken together, and the closest one holds.
    """
    done = run(
        tmp_path,
        """
import pytest
from pyproducer.broker import TopicSpec

pytestmark = pytest.mark.kafka(topics={"a": 1, "b": 1}, config={"num.partitions": "2"})

def counts(broker):
    return {topic.name: topic.partitions for topic in broker._node().topics}

@pytest.mark.kafka(topics=[TopicSpec("b", 3), TopicSpec("c", 2, {"cleanup.policy": "compact"})])
class TestMore:
    @pytest.mark.kafka(topics={"c": 4})
    def test_sum(self, kafka_broker):
        assert counts(kafka_broker) == {"a": 1, "b": 3, "c": 4}

    def test_class(self, kafka_broker):
        assert counts(kafka_broker) == {"a": 1, "b": 3, "c": 2}
        assert kafka_broker._node().topics["c"].configs == {"cleanup.policy": "compact"}
        assert kafka_broker._node().config.int("num.partitions") == 2

def test_module(kafka_broker):
    assert counts(kafka_broker) == {"a": 1, "b": 1}
""",
    )

    assert passed(done, 3)


def test_broker_of_the_session(tmp_path: Path):
    """
    kafka_broker_session is one broker with what all tests that use it want, from the first on.
    """
    done = run(
        tmp_path,
        """
import pytest

seen = set()

@pytest.mark.kafka(topics={"orders": 3})
def test_first(kafka_broker_session):
    seen.add(kafka_broker_session.port)
    assert kafka_broker_session.records("orders") == kafka_broker_session.records("audit") == []

@pytest.mark.kafka(topics={"audit": 1, "orders": 3}, config={"num.partitions": "7"})
def test_second(kafka_broker_session):
    seen.add(kafka_broker_session.port)
    assert len(seen) == 1

@pytest.mark.kafka(topics={"orders": 1})
def test_alone(kafka_broker):
    assert kafka_broker.port not in seen
""",
    )

    assert passed(done, 3)


@pytest.mark.parametrize(
    ("first", "second", "told"),
    [
        ('topics={"a": 1}', 'topics={"a": 2}', "wants topic 'a' as 2, and test_it.py::test_first"),
        ('config={"num.partitions": "1"}', 'config={"num.partitions": "2"}', "cannot share"),
        ('topic={"a": 1}', "", "takes topics= and config=, not topic"),
        ('{"a": 1}', "", "takes topics= and config=, not the arguments"),
        ('topics={"a b": 1}', "", "not legal"),
        ('config={"num.partitons": "1"}', "", "did you mean num.partitions"),
    ],
)
def test_markers_that_cannot_be_followed(tmp_path: Path, first: str, second: str, told: str):
    """
    A marker that is misspelt, or contradicts another of the session, fails its tests with words.
    """
    done = run(
        tmp_path,
        f"""
import pytest

@pytest.mark.kafka({first})
def test_first(kafka_broker_session):
    pass

@pytest.mark.kafka({second})
def test_second(kafka_broker_session):
    pass
""",
    )

    assert 0 != done.returncode
    assert told in done.stdout + done.stderr


def test_marker_and_fixtures_are_described(tmp_path: Path):
    """
    pytest --markers and --fixtures tell what there is.
    """
    assert "kafka(topics=" in run(tmp_path, "", "--markers").stdout
    told = run(tmp_path, "", "--fixtures").stdout
    assert "kafka_broker " in told
    assert "kafka_broker_session [session scope]" in told


def test_failures_show_the_newest_requests(tmp_path: Path):
    """
    The report of a failed test has the newest requests to its brokers; that of others has not.
    """
    source = """
import pytest
from pyproducer import SyncProducer
from pyproducer.broker import Broker

@pytest.fixture
def mine():
    with Broker() as broker:
        yield broker

@pytest.mark.kafka(topics={"orders": 1})
def test_fails(kafka_broker, mine):
    kafka_broker.faults.fail("Produce", "NOT_ENOUGH_REPLICAS")
    with SyncProducer(kafka_broker.bootstrap_servers) as producer:
        for _ in range(30):
            producer.send("orders", "one")
    assert kafka_broker.records("orders") == []

def test_passes(kafka_broker):
    pass
"""
    done = run(tmp_path, source)

    assert 1 == done.returncode, done.stdout + done.stderr
    assert 20 == done.stdout.count("  Produce v")
    assert 1 == done.stdout.count("newest requests to kafka_broker")
    assert "newest requests to mine" in done.stdout
    assert "it was asked nothing" in done.stdout

    done = run(tmp_path, source, "-o", "kafka_journal_lines=40")
    assert "NOT_ENOUGH_REPLICAS" in done.stdout
    assert 31 == done.stdout.count("  Produce v")
    done = run(tmp_path, source, "-o", "kafka_journal_lines=0")
    assert "newest requests" not in done.stdout
