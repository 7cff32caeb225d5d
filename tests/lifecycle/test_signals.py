"""Ctrl-C and SIGTERM, in programs as users write them, with every warning an error.

Each program prints "ready", is sent the signal, and prints at its end how many of its records were
accepted, delivered and failed; nothing else may be said but what Python itself says of the signal.
"""

from __future__ import annotations

import signal
import sys
import time

import pytest

from pyproducer.protocol.api import ApiKey
from tests.helpers.programs import Program
from tests.helpers.scripted_broker import ScriptedBroker, Silence

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="signals of a Unix")

STRICT = ("-X", "dev", "-W", "error")

PROLOGUE = """
import asyncio, atexit, logging, os, signal, sys, threading, time
from pyproducer import *

logging.basicConfig(level=logging.ERROR, format="%(name)s %(message)s")
servers, way, close_timeout_ms = sys.argv[1], sys.argv[2], int(sys.argv[3])
accepted = delivered = failed = 0

def tell(delivery):
    global delivered, failed
    if delivery.exception() is None:
        delivered += 1
    else:
        failed += 1

def report():
    print(f"{accepted} {delivered} {failed}", flush=True)

options = dict(linger_ms=50, close_timeout_ms=close_timeout_ms, max_block_ms=20_000,
               buffer_memory=2_000_000)
"""

ASYNC = """
async def work(producer):
    global accepted
    if way == "enqueue":
        while True:
            await producer.enqueue("t", f"{accepted}", on_delivery=tell)
            accepted += 1
            if accepted == 500:
                print("ready", flush=True)
    for _ in range(500):
        await producer.enqueue("t", f"{accepted}", on_delivery=tell)
        accepted += 1
    if way == "group":
        async with asyncio.TaskGroup() as group:
            group.create_task(asyncio.sleep(60))
            print("ready", flush=True)
    print("ready", flush=True)
    if way == "flush":
        while True:
            await producer.flush()
            await asyncio.sleep(0)
    await asyncio.sleep(60)

async def main():
    if os.environ.get("HANDLER") == "cancel":
        task = asyncio.current_task()
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
    async with AsyncProducer(servers, **options) as producer:
        await work(producer)

if os.environ.get("HANDLER") == "exit":
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(9))
try:
    asyncio.run(main())
except asyncio.CancelledError:
    sys.exit(9)
finally:
    report()
"""

SYNC = """
def work(producer):
    global accepted
    if way == "enqueue":
        while True:
            delivery = producer.enqueue("t", f"{accepted}", on_delivery=tell)
            accepted += 1
            if accepted == 500:
                print("ready", flush=True)
    for _ in range(500):
        producer.enqueue("t", f"{accepted}", on_delivery=tell)
        accepted += 1
    print("ready", flush=True)
    if way == "flush":
        while True:
            producer.flush()
    if way == "send":
        while True:
            producer.send("one", "x")
    time.sleep(60)

if os.environ.get("HANDLER") == "exit":
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(9))
try:
    if way == "module":
        producer = SyncProducer(servers, **options)
        atexit.register(report)
        work(producer)
    with SyncProducer(servers, **options) as producer:
        work(producer)
finally:
    if way != "module":
        report()
"""

FACES = {"async": ASYNC, "sync": SYNC}


def ended(face, servers, way, number, *, close_timeout_ms=20_000, handler="", again=False):
    """Run a program, send it a signal (``again``: one more while it closes); how it ended."""
    env = {"HANDLER": handler}
    with Program(
        PROLOGUE + FACES[face], servers, way, str(close_timeout_ms), options=STRICT, env=env
    ) as program:
        assert program.line() == "ready"
        time.sleep(0.05)
        program.signal(number)
        if again:
            time.sleep(0.5)
            program.signal(number)
        return program.end()


def complaints(err):
    """What a program said that is not Python's own traceback of Ctrl-C."""
    own = (" ", "Traceback", "During", "asyncio.exceptions.CancelledError")
    return [line for line in err.splitlines() if line and not line.startswith(own)]


def counts(done):
    """(accepted, delivered, failed), as the program's last line says."""
    return tuple(map(int, done.out.split("\n")[-2].split()))


WAYS = [
    ("async", "enqueue"),
    ("async", "sleep"),
    ("async", "flush"),
    ("async", "group"),
    ("sync", "enqueue"),
    ("sync", "sleep"),
    ("sync", "flush"),
    ("sync", "send"),
]


@pytest.mark.parametrize(("face", "way"), WAYS)
def test_interrupt(broker, face, way):
    """
    Ctrl-C anywhere in the block: what was accepted is delivered, then KeyboardInterrupt ends the
    program as ever.
    """
    done = ended(face, broker.bootstrap_servers, way, signal.SIGINT)
    accepted, delivered, failed = counts(done)
    stored = [record.value for record in broker.records("t")]

    assert complaints(done.err) == ["KeyboardInterrupt"], done.err
    assert done.code == -signal.SIGINT
    # The signal may strike between the acceptance and the counting, and in a callback before it
    # counts.
    assert delivered - accepted in {-1, 0, 1}
    assert (failed, len(stored) - delivered in {0, 1}) == (0, True)
    assert len(stored) == len(set(stored)) >= 500


@pytest.mark.parametrize(
    ("face", "way", "handler"),
    [
        ("async", "enqueue", "cancel"),
        ("async", "sleep", "cancel"),
        # Not in the middle of a loop that is busy: there asyncio itself loses a task's next step
        # where a handler raises between its taking the step from its line and making it.
        ("async", "sleep", "exit"),
        ("sync", "enqueue", "exit"),
        ("sync", "send", "exit"),
    ],
)
def test_terminate_with_a_handler(broker, face, way, handler):
    """
    SIGTERM where a handler cancels the task or raises SystemExit: what was accepted is delivered,
    nothing is said, and the exit code is the program's own.
    """
    done = ended(face, broker.bootstrap_servers, way, signal.SIGTERM, handler=handler)
    accepted, delivered, failed = counts(done)

    assert (done.code, done.err, failed) == (9, "", 0)
    # The signal may strike between the acceptance and the counting, and in a callback before it
    # counts.
    assert delivered - accepted in {-1, 0, 1}
    assert len(broker.records("t")) - delivered in {0, 1}


@pytest.mark.parametrize("face", FACES)
def test_terminate_without_a_handler(broker, face):
    """
    SIGTERM without a handler ends a program on the spot; what it had been told is there, once.
    """
    done = ended(face, broker.bootstrap_servers, "sleep", signal.SIGTERM)
    stored = [record.value for record in broker.records("t")]

    assert (done.code, done.err) == (-signal.SIGTERM, "")
    assert len(stored) == len(set(stored))


def test_interrupt_without_a_block(broker):
    """
    Ctrl-C where nothing closes the producer but the program's end.
    """
    done = ended("sync", broker.bootstrap_servers, "module", signal.SIGINT)

    assert counts(done) == (500, 500, 0)
    assert len(broker.records("t")) == 500
    assert done.code == -signal.SIGINT
    [first, *more] = complaints(done.err)
    # -W error makes an exception of the warning that the end of the program gives.
    assert first == "KeyboardInterrupt"
    assert all("ResourceWarning" in line or "atexit" in line for line in more), done.err


@pytest.fixture
def silent():
    """A broker that answers no Produce request."""
    with ScriptedBroker({"t": 3, "one": 1}, {ApiKey.PRODUCE: lambda _: Silence()}) as broker:
        yield broker


@pytest.mark.parametrize(
    ("face", "way"),
    [("async", "enqueue"), ("async", "sleep"), ("async", "flush"), ("sync", "enqueue"),
     ("sync", "sleep"), ("sync", "flush"), ("sync", "send")],
)  # fmt: skip
def test_interrupt_where_the_broker_is_silent(silent, face, way):
    """
    Ctrl-C in any wait, with a broker that answers nothing: each record has failed, and its
    callback knows, within close_timeout_ms.
    """
    began = time.monotonic()
    done = ended(face, silent.bootstrap_servers, way, signal.SIGINT, close_timeout_ms=700)
    accepted, delivered, failed = counts(done)

    assert time.monotonic() - began < 15
    assert done.code == -signal.SIGINT
    assert (delivered, failed - accepted in {0, 1}) == (0, True)
    lines = complaints(done.err)
    assert lines.count("KeyboardInterrupt") == 1
    rest = [line for line in lines if line != "KeyboardInterrupt"]
    # All failures are the callbacks' to tell, but for the send's that was cut off.
    assert all("while closing after" in line or "nobody waits" in line for line in rest), done.err


@pytest.mark.parametrize("face", FACES)
def test_second_interrupt_ends_the_close(silent, face):
    """
    A second Ctrl-C does not wait for close_timeout_ms: each record fails at once.
    """
    began = time.monotonic()
    done = ended(
        face, silent.bootstrap_servers, "sleep", signal.SIGINT, close_timeout_ms=60_000, again=True
    )

    assert time.monotonic() - began < 20
    assert done.code == -signal.SIGINT
    assert counts(done) == (500, 0, 500)
    assert "Exception ignored" not in done.err
    assert "never retrieved" not in done.err
