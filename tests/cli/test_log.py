"""`pyproducer log`: dump and verify, as their users run them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from pyproducer.broker import Broker
from tests.helpers.command_line import call_cli, one_line, run_cli, start_cli, watch_cli
from tests.helpers.partition_logs import batch
from tests.helpers.wire_client import WireClient


@pytest.fixture(scope="module")
def data_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What a broker leaves behind."""
    path = tmp_path_factory.mktemp("data")
    with (
        Broker({"orders": 1}, data_dir=path) as broker,
        WireClient(broker.bootstrap_servers) as client,
    ):
        client.produce("orders", batch(2, key="K\u00e4se".encode(), value=b"one\ntwo\\"))
        client.produce("orders", batch(key=None, value=b"\xff", producer=(3, 0, 0)))
        client.produce("orders", batch(value=None))
    return path


@pytest.fixture
def broken(data_dir: Path, tmp_path: Path) -> Path:
    """A log with a turned bit."""
    path = tmp_path / "orders-0" / "00000000000000000000.log"
    path.parent.mkdir()
    raw = bytearray((data_dir / "orders-0" / path.name).read_bytes())
    raw[70] ^= 1
    path.write_bytes(raw)
    for suffix in (".index", ".timeindex"):
        path.with_suffix(suffix).touch()
    return path


def test_dump_for_people(data_dir: Path):
    """
    One line a record, whatever is in it; batches, and the small files behind them.
    """
    done = call_cli("log", "dump", data_dir / "orders-0")

    assert 0 == done.returncode, done.stderr
    text = done.stdout
    assert "key K\u00e4se  value one\\ntwo\\" in text
    assert "sequence 0  key null  value \\xff" in text
    assert "key key  value null  tombstone" in text
    assert "  batch 2-2  at " in text
    assert "producer 3 epoch 0  sequence 0-0" in text
    assert "  epoch 0  from offset 0" in text


def test_dump_for_programs(data_dir: Path):
    """
    With --json every line is a document, with bytes that are no text in base64.
    """
    done = call_cli("log", "dump", data_dir / "orders-0", "--json", "--from", 1, "-n", 2)

    documents = [json.loads(line) for line in done.stdout.splitlines()]
    records = [one for one in documents if one["kind"] == "record"]
    assert [1, 2] == [one["offset"] for one in records]
    assert ("K\u00e4se", "one\ntwo\\") == (records[0]["key"], records[0]["value"])
    assert (None, "/w==") == (records[1]["key"], records[1]["value_base64"])


def test_dump_of_damage(broken: Path):
    """
    Everything is told that can be, and the exit status says that it was not all.
    """
    done = call_cli("log", "dump", broken)

    assert 1 == done.returncode
    assert "DAMAGED" in done.stdout
    assert "damage at byte 0: batch at offset 0: CRC32C" in done.stdout
    assert "key key  value null  tombstone" in done.stdout
    assert "not all of it can be read" in one_line(done.stderr)


def test_verify(data_dir: Path, broken: Path):
    """
    0 and what was looked at if all is sound; 1 and each problem with its way out if not.
    """
    done = run_cli("log", "verify", data_dir)
    assert (0, "") == (done.returncode, done.stdout), done.stderr
    assert done.stderr.startswith("sound: ")
    assert " 4 records" in done.stderr

    done = run_cli("log", "verify", broken.parent)
    assert 1 == done.returncode
    assert f"{broken}: byte 0: batch at offset 0: CRC32C is" in done.stdout
    assert "    way out: restore the file" in done.stdout
    assert done.stderr.startswith("1 problems: 1 partitions, 1 segments, 3 batches")


def test_verify_for_programs(data_dir: Path, broken: Path):
    """
    With --json a document for each problem, and one for all.
    """
    done = call_cli("log", "verify", broken.parent, "--json")
    problem, summary = (json.loads(line) for line in done.stdout.splitlines())
    assert ("problem", str(broken), "byte 0") == (
        problem["kind"],
        problem["path"],
        problem["position"],
    )
    assert (1, False, 4) == (summary["problems"], summary["running"], summary["records"])

    with Broker(data_dir=data_dir):
        done = call_cli("log", "verify", data_dir, "--json")
    assert (0, True) == (done.returncode, json.loads(done.stdout)["running"])


@pytest.mark.parametrize("command", ["dump", "verify"])
def test_usage(tmp_path: Path, command: str):
    """
    A path that is nothing of a broker's is wrong usage.
    """
    done = call_cli("log", command, tmp_path)

    assert 2 == done.returncode
    assert "neither a broker's data directory" in one_line(done.stderr)


@pytest.mark.parametrize("command", ["dump", "verify"])
def test_progress_on_a_terminal(data_dir: Path, command: str):
    """
    Where stderr is a terminal it shows how far the scan is, and nothing of it is left elsewhere.
    """
    size = sum(log.stat().st_size for log in data_dir.glob("orders-0/*.log"))

    done, shown = watch_cli("log", command, data_dir / "orders-0")

    assert 0 == done.returncode
    assert f"{size}/{size} bytes" in shown
    assert f"{size}/{size}" not in done.stdout


def test_end_of_the_reader_is_the_end(data_dir: Path):
    """
    A reader that has seen enough ends a dump without an error.
    """
    process = start_cli("log", "dump", data_dir, servers=None)
    with process:
        assert process.stdout is not None
        process.stdout.close()

    assert 0 == process.returncode
