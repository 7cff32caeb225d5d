"""Forks: gunicorn's preload, Celery's prefork, multiprocessing."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap

import pytest

from pyproducer.broker import Broker

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this system")

PROLOGUE = """
import asyncio, os, sys, threading, time
from pyproducer import *

SERVERS = {servers!r}


def in_child(function):
    "Run a function in a forked child; its outcome is the child's exit code."
    pid = os.fork()
    if pid == 0:
        code = 1
        try:
            function()
            code = 0
        except BaseException as error:
            import traceback
            traceback.print_exc()
        finally:
            sys.stderr.flush()
            os._exit(code)
    for _ in range(1000):
        done, status = os.waitpid(pid, os.WNOHANG)
        if done:
            assert status == 0, status
            return
        time.sleep(0.01)
    os.kill(pid, 9)
    os.waitpid(pid, 0)
    raise AssertionError("the child hangs")


def refused(call):
    start = time.monotonic()
    try:
        call()
    except ForkedProducer as error:
        assert "fork" in str(error)
        assert time.monotonic() - start < 1
    else:
        raise AssertionError(call)
"""


def run(broker, program):
    text = PROLOGUE.format(servers=broker.bootstrap_servers) + textwrap.dedent(program)
    done = subprocess.run(
        [sys.executable, "-W", "error", "-W", "ignore:.*fork:DeprecationWarning", "-c", text],
        capture_output=True,
        text=True,
        timeout=40,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, ""), done.stderr
    return sorted(record.value.decode() for record in broker.records("one"))


@pytest.fixture
def broker():
    with Broker({"one": 1}) as running:
        yield running


def test_made_before_the_fork(broker):
    """
    A producer made at import time, and not used before the fork, works in parent and children.
    """
    assert ["child 0", "child 1", "parent"] == run(
        broker,
        """
        producer = SyncProducer(SERVERS)
        topic = producer.topic("one")

        def work(number):
            topic.send(f"child {number}")
            producer.close()

        for number in range(2):
            in_child(lambda: work(number))
        producer.send("one", "parent")
        producer.close()
        """,
    )


def test_started_before_the_fork(broker):
    """
    In a child every call of a started producer raises ForkedProducer at once; the parent goes
    on, its records untouched.
    """
    assert ["after", "before", "in flight"] == run(
        broker,
        """
        producer = SyncProducer(SERVERS, linger_ms=None)
        topic = producer.topic("one")
        producer.send("one", "before")
        pending = producer.enqueue_nowait("one", "in flight")

        def work():
            for call in (
                lambda: producer.send("one", "x"),
                lambda: producer.enqueue("one", "x"),
                lambda: producer.enqueue_nowait("one", "x"),
                lambda: producer.send_many("one", ["x"]),
                lambda: producer.enqueue_many("one", ["x"]),
                lambda: producer.partitions_for("one"),
                lambda: topic.send("x"),
                lambda: topic.enqueue_nowait("x"),
                producer.flush,
                producer.start,
                pending.result,
                pending.exception,
                producer.close,
            ):
                refused(call)
            producer.metrics()
            repr(producer)

        in_child(work)
        producer.flush()
        pending.result()
        producer.send("one", "after")
        producer.close()
        """,
    )


def test_new_producer_in_the_child(broker):
    """
    A child of a process with a started producer may make its own.
    """
    assert ["child", "parent"] == run(
        broker,
        """
        producer = SyncProducer(SERVERS)
        producer.send("one", "parent")

        def work():
            with SyncProducer(SERVERS) as mine:
                mine.send("one", "child")

        in_child(work)
        producer.close()
        """,
    )


def test_child_that_ends_normally(broker):
    """
    A child that leaves by sys.exit, through its exit handlers, neither hangs nor warns nor
    touches the parent's records.
    """
    assert ["after", "before"] == run(
        broker,
        """
        producer = SyncProducer(SERVERS, linger_ms=None)
        producer.send("one", "before")
        pid = os.fork()
        if pid == 0:
            sys.exit(7)
        assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 7
        producer.enqueue_nowait("one", "after")
        producer.close()
        """,
    )


def test_fork_while_threads_send(broker):
    """
    A fork while other threads hold the producer's locks leaves no lock held in the child.
    """
    values = run(
        broker,
        """
        producer = SyncProducer(SERVERS)
        producer.start()
        stop = False

        def work(name):
            number = 0
            while not stop:
                producer.enqueue("one", f"{name} {number}")
                number += 1

        threads = [threading.Thread(target=work, args=(name,)) for name in range(3)]
        for thread in threads:
            thread.start()

        def child():
            refused(lambda: producer.send("one", "child"))
            refused(producer.flush)
            refused(producer.close)

        for _ in range(15):
            in_child(child)
        stop = True
        for thread in threads:
            thread.join()
        producer.close()
        """,
    )

    assert len(values) == len(set(values)) > 3
    assert "child" not in values


def test_multiprocessing(broker):
    """
    multiprocessing's fork: workers with the module's unused producer deliver.
    """
    assert sorted(f"worker {n}" for n in range(4)) == run(
        broker,
        """
        import multiprocessing

        producer = SyncProducer(SERVERS)

        def work(number):
            producer.send("one", f"worker {number}")
            producer.close()

        context = multiprocessing.get_context("fork")
        workers = [context.Process(target=work, args=(n,)) for n in range(4)]
        for worker in workers:
            worker.start()
        for worker in workers:
            worker.join(20)
            assert worker.exitcode == 0
        """,
    )


def test_asyncio_producer(broker):
    """
    A started asyncio producer raises ForkedProducer in the child; the parent goes on.
    """
    assert ["after", "before"] == run(
        broker,
        """
        async def main():
            async with AsyncProducer(SERVERS, linger_ms=None) as producer:
                await producer.send("one", "before")
                pending = producer.enqueue_nowait("one", "after")

                def work():
                    refused(lambda: producer.enqueue_nowait("one", "x"))
                    for call in (
                        lambda: producer.send("one", "x"),
                        lambda: producer.enqueue_many("one", ["x"]),
                        lambda: producer.flush(),
                        lambda: producer.start(),
                        lambda: producer.close(),
                    ):
                        coroutine = call()
                        refused(lambda: coroutine.send(None))
                    refused(lambda: pending.__await__().__next__())

                in_child(work)
                await producer.flush()
                assert pending.done()

        asyncio.run(main())
        """,
    )
