"""Celery's prefork pool: a module's producer in the processes of the pool."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.helpers.processes import ChildProcess

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this system")

PROGRAMS = Path(__file__).parent / "programs"


class Celery:
    """A Celery worker with two processes, for the ``with`` block."""

    def __init__(self, folder, broker, **env):
        for name in ("queue", "control", "done"):
            (folder / name).mkdir()
        self._done = folder / "done"
        self._env = {
            "PYTHONPATH": f"{PROGRAMS}{os.pathsep}{PROGRAMS.parents[2]}",
            "FOLDER": str(folder),
            "SERVERS": broker.bootstrap_servers,
            **env,
        }
        self._child = ChildProcess(
            [
                *(sys.executable, "-m", "celery", "--workdir", str(PROGRAMS), "-A", "tasks"),
                *("worker", "--pool", "prefork", "--concurrency", "2", "--loglevel", "info"),
                *("--without-gossip", "--without-mingle", "--without-heartbeat"),
            ],
            log=folder / "celery.log",
            env=self._env,
        )

    def __enter__(self):
        self._child.wait_until(lambda: "ready." in self.output(), timeout=30)
        return self

    def __exit__(self, *args):
        self._child.stop()

    def output(self):
        """All that it logged."""
        return self._child.output()

    def run(self, name, count):
        """Have tasks run; returns how many processes took part."""
        subprocess.run(
            [sys.executable, str(PROGRAMS / "tasks.py"), name, str(count)],
            check=True,
            timeout=30,
            env={**os.environ, **self._env},
        )
        self._child.wait_until(lambda: len(self._found()) == count, timeout=30)
        return len({name.split("-")[0] for name in self._found()})

    def _found(self):
        return [path.name for path in self._done.iterdir()]

    def terminate(self):
        """A warm shutdown; the exit code."""
        os.kill(self._child.pid, signal.SIGTERM)
        self._child.stop()
        return self._child.code


def test_warm_shutdown_delivers_all(broker, tmp_path):
    """
    Records of all tasks arrive exactly once, those too that only worker_process_shutdown sends.
    """
    with Celery(tmp_path, broker) as worker:
        assert worker.run("queue", 30) == 2
        before = len(broker.records("t"))
        code = worker.terminate()
        log = worker.output()

    expected = sorted(f"{n} {i}" for n in range(30) for i in range(10))
    assert expected == sorted(record.value.decode() for record in broker.records("t"))
    assert before == 0
    assert (code, "Traceback" in log) == (0, False), log


def test_started_before_the_fork(broker, tmp_path):
    """
    A producer that Celery's parent has used raises ForkedProducer in tasks; the parent goes on.
    """
    with Celery(tmp_path, broker, STARTED_BEFORE_FORK="1") as worker:
        worker.run("refused", 4)
        code = worker.terminate()
        log = worker.output()

    first, *told, last = (record.value.decode() for record in broker.records("one"))
    assert (first, last) == ("parent before", "parent after")
    assert [f"{n} ForkedProducer ForkedProducer ForkedProducer" for n in range(4)] == sorted(told)
    assert (code, "Traceback" in log) == (0, False), log
