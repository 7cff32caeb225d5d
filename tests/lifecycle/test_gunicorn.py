"""gunicorn with preload: one module, loaded before the fork, whose producer its workers use."""

from __future__ import annotations

import http.client
import os
import re
import signal
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.helpers.processes import ChildProcess

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="gunicorn needs a Unix")

PROGRAMS = Path(__file__).parent / "programs"
RECORDS = 10


class Gunicorn:
    """gunicorn with two workers, for the ``with`` block."""

    def __init__(self, tmp_path, application, *arguments, **env):
        self._child = ChildProcess(
            [
                *(sys.executable, "-m", "gunicorn", "--preload", "--workers", "2"),
                *("--bind", "127.0.0.1:0", "--chdir", str(PROGRAMS), "--graceful-timeout", "20"),
                *("--config", "python:web", *arguments, application),
            ],
            log=tmp_path / "gunicorn.log",
            env={"PYTHONPATH": f"{PROGRAMS}{os.pathsep}{PROGRAMS.parents[2]}", **env},
        )
        self.port = 0

    def __enter__(self):
        self._child.wait_until(self._listens, timeout=20)
        return self

    def __exit__(self, *args):
        self._child.stop()

    def _listens(self):
        found = re.search(r"Listening at: http://127\.0\.0\.1:(\d+)", self.output())
        if found is not None:
            self.port = int(found[1])
        return found is not None and self.output().count("Booting worker") == 2

    def output(self):
        """All that it logged."""
        return self._child.output()

    def get(self, path):
        """Ask for a path; the answer's text."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=20)
        try:
            connection.request("GET", path)
            response = connection.getresponse()
            text = response.read().decode()
        finally:
            connection.close()
        assert response.status == 200, text
        return text

    def terminate(self):
        """Ask it to end as a supervisor does, and wait until it has."""
        os.kill(self._child.pid, signal.SIGTERM)
        self._child.stop()
        return self._child.code


def ask_until_both_answered(server):
    """Requests from many clients at once until two processes have answered; how many."""
    asked, pids = 0, set()
    end = time.monotonic() + 20
    with ThreadPoolExecutor(8) as clients:
        while len(pids) < 2 and time.monotonic() < end:
            pids |= set(clients.map(server.get, (f"/{asked + n}" for n in range(24))))
            asked += 24
    assert len(pids) == 2
    return asked


WORKERS = {
    "sync": ("web:queueing", "--worker-class", "sync"),
    "gthread": ("web:queueing", "--worker-class", "gthread", "--threads", "4"),
    "uvicorn": ("web:asgi", "--worker-class", "uvicorn.workers.UvicornWorker"),
}


@pytest.mark.parametrize("worker", WORKERS.values(), ids=WORKERS.keys())
def test_graceful_stop_delivers_all(broker, tmp_path, worker):
    """
    Records of all workers arrive exactly once, those too that only the workers' end sends; the
    module's producer starts in each worker with its first use.
    """
    with Gunicorn(tmp_path, *worker, SERVERS=broker.bootstrap_servers) as server:
        asked = ask_until_both_answered(server)
        before = len(broker.records("t"))
        code = server.terminate()
        log = server.output()

    expected = sorted(f"/{n} {i}" for n in range(asked) for i in range(RECORDS))
    assert expected == sorted(record.value.decode() for record in broker.records("t"))
    # Nothing but the end of the workers has sent any of them.
    assert before == 0
    assert (code, "Traceback" in log) == (0, False), log


def test_started_before_the_fork(broker, tmp_path):
    """
    A producer that the master has used raises ForkedProducer in the workers, at every call and at
    once; the master goes on, and ends well, and a worker may have its own.
    """
    env = {"SERVERS": broker.bootstrap_servers, "STARTED_BEFORE_FORK": "1"}
    with Gunicorn(tmp_path, "web:refused", **env) as server:
        began = time.monotonic()
        found = server.get("/")
        assert time.monotonic() - began < 10
        code = server.terminate()
        log = server.output()

    assert ["ForkedProducer"] * 4 == found.split()
    assert ["master before", "worker's own", "master after"] == [
        record.value.decode() for record in broker.records("one")
    ]
    assert (code, "Traceback" in log) == (0, False), log
