from __future__ import annotations

import json

from tests.helpers.command_line import run_cli


def test_on_an_embedded_broker():
    """
    Without a cluster it brings a broker, and the numbers belong together.
    """
    done = run_cli("bench", "--records", 2000, "--size", 50, "--json", timeout=60)

    assert 0 == done.returncode, done.stderr
    result = json.loads(done.stdout)
    assert (2000, 50, 0) == (result["records"], result["value_bytes"], result["failed"])
    assert result["embedded_broker"]
    assert 0 < result["lone_p50_ms"] <= result["lone_p99_ms"]
    assert 0 < result["loaded_p50_ms"] <= result["loaded_p99_ms"]
    assert abs(result["records_per_second"] * result["seconds"] - 2000) < 1


def test_on_a_cluster(cli, broker):
    """
    With a cluster its topic is gone afterwards, and the text says what was measured.
    """
    done = cli("bench", "--records", 500, "--compression", "lz4")

    assert 0 == done.returncode, done.stderr
    assert "500 records of 100 bytes to the cluster" in done.stdout
    assert "compression lz4" in done.stdout
    assert "bench" not in cli("topics", "list").stdout
