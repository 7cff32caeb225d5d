from __future__ import annotations

import re
import signal
import urllib.request

import pytest

from pyproducer import SyncProducer
from tests.helpers.command_line import one_line, run_cli, start_cli
from tests.helpers.processes import free_ports


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=lambda one: one.name)
def test_serves_until_a_signal(tmp_path, number):
    """
    It says where it listens, serves, and ends cleanly with its records on disk.
    """
    [http] = free_ports(1)
    words = ["broker", "--port", 0, "--data-dir", tmp_path, "--topic", "a.b:2", "--http-port", http]
    process = start_cli(*words)
    with process:
        line = process.stdout.readline().decode()
        found = re.fullmatch(r"listening on (127\.0\.0\.1:[0-9]+)\n", line)
        assert found, line
        with SyncProducer(found[1]) as producer:
            assert 0 == producer.send("a.b", b"x", partition=1).offset
        with urllib.request.urlopen(f"http://127.0.0.1:{http}/health", timeout=10) as answer:
            assert 200 == answer.status
        process.send_signal(number)
        output, errors = process.communicate(timeout=20)

    assert (0, b"", b"") == (process.returncode, output, errors)
    assert b"x" in (tmp_path / "a.b-1" / f"{0:020d}.log").read_bytes()


def test_port_in_use(broker):
    """
    A port that is taken ends with 1 and one line.
    """
    done = run_cli("broker", "--port", broker.port)

    assert (1, "") == (done.returncode, done.stdout)
    assert str(broker.port) in one_line(done.stderr)


def test_bad_topic():
    """
    A topic that cannot be is wrong usage.
    """
    done = run_cli("broker", "--port", 0, "--topic", "a:many")

    assert (2, "") == (done.returncode, done.stdout)
    assert "a:many" in one_line(done.stderr)
