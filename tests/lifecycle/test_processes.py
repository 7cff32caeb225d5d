"""Processes that Python's own libraries start, and processes that end in a hurry."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.helpers.programs import run

WORKERS = Path(__file__).parent / "programs" / "workers.py"
METHODS = ["spawn"] if sys.platform == "win32" else ["fork", "spawn", "forkserver"]


def work(broker, method, way):
    """Run the program, and look that it ends well and in silence."""
    done = subprocess.run(
        [sys.executable, "-W", "ignore:.*fork:DeprecationWarning", str(WORKERS), method, way],
        env={
            **os.environ,
            "SERVERS": broker.bootstrap_servers,
            "PYTHONPATH": str(WORKERS.parents[3]),
        },
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, ""), done.stderr


@pytest.mark.parametrize("way", ["process", "pool", "futures"])
@pytest.mark.parametrize("method", METHODS)
def test_children_that_close_nothing(broker, method, way):
    """
    Records that a child of multiprocessing has queued leave at its end, though nothing closes its
    producer and it ends past the interpreter's own exit handlers.
    """
    work(broker, method, way)

    assert sorted(f"{n} {i}" for n in range(4) for i in range(10)) == sorted(
        record.value.decode() for record in broker.records("t")
    )


@pytest.mark.parametrize("method", METHODS)
def test_pool_of_a_parent_with_a_started_producer(broker, method):
    """
    In forked workers the parent's started producer is refused, in spawned ones it is another; the
    parent goes on.
    """
    work(broker, method, "started")

    assert ["parent before", "parent after"] == [r.value.decode() for r in broker.records("one")]


def test_process_that_ends_at_once(broker):
    """
    os._exit() neither hangs nor complains; what was acknowledged before it is there.
    """
    ended = run(
        """
        import os, sys
        from pyproducer import SyncProducer

        producer = SyncProducer(sys.argv[1], linger_ms=60_000)
        producer.send("one", "acknowledged")
        producer.enqueue("one", "lost")
        os._exit(5)
        """,
        broker.bootstrap_servers,
    )

    assert (ended.code, ended.err) == (5, "")
    assert [record.value for record in broker.records("one")] == [b"acknowledged"]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this system")
def test_forked_child_that_ends_at_once(broker):
    """
    A fork that leaves by os._exit() takes nothing of the parent's producer with it.
    """
    ended = run(
        """
        import os, sys
        from pyproducer import SyncProducer

        producer = SyncProducer(sys.argv[1], linger_ms=60_000)
        producer.send("one", "before")
        producer.enqueue("one", "queued")
        for _ in range(3):
            pid = os.fork()
            if pid == 0:
                os._exit(7)
            assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 7
        producer.enqueue("one", "after")
        producer.close()
        """,
        broker.bootstrap_servers,
        options=("-W", "error", "-W", "ignore:.*fork:DeprecationWarning"),
    )

    assert (ended.code, ended.err) == (0, "")
    assert [b"before", b"queued", b"after"] == [record.value for record in broker.records("one")]


@pytest.mark.parametrize("call", ["enqueue", "send"])
def test_daemon_threads_that_still_send(broker, call):
    """
    A program whose daemon threads go on sending while it ends neither hangs nor complains, and
    what they were told is delivered is there once.
    """
    ended = run(
        """
        import sys, threading, time
        from pyproducer import ProducerError, SyncProducer

        producer = SyncProducer(sys.argv[1])
        told = []

        def work(name):
            number = 0
            while True:
                try:
                    if sys.argv[2] == "send":
                        producer.send("one", f"{name} {number}")
                        told.append(f"{name} {number}")
                    else:
                        producer.enqueue(
                            "one",
                            f"{name} {number}",
                            on_delivery=lambda d, v=f"{name} {number}": told.append(v),
                        )
                except ProducerError:
                    return
                number += 1

        def tell():
            producer.close()
            sys.stdout.write("\\n".join(told))
            sys.stdout.flush()

        import atexit
        atexit.register(tell)
        for name in range(4):
            threading.Thread(target=work, args=(name,), daemon=True).start()
        time.sleep(0.3)
        """,
        broker.bootstrap_servers,
        call,
    )
    stored = [record.value.decode() for record in broker.records("one")]

    assert (ended.code, ended.err) == (0, "")
    told = ended.out.split("\n")
    assert len(told) > 4
    assert len(stored) == len(set(stored))
    # Under enqueue all that was accepted is told of; a send may be cut off after its record left.
    assert set(told) <= set(stored)
    if call == "enqueue":
        assert len(told) == len(stored)
