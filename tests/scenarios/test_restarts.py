"""Brokers that stop, are killed, and come back with what they had, or with less."""

from __future__ import annotations

import asyncio
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from pyproducer import AsyncProducer
from pyproducer.broker import Broker
from tests.helpers.processes import free_ports
from tests.helpers.read_back import read_foreign
from tests.helpers.scenario import Scenario
from tests.helpers.source_tree import ROOT
from tests.scenarios.conftest import count

SMALL = {"batch_max_records": 2}


class Restartable:
    """A broker that can be stopped and started at the same place under a rig's hands."""

    def __init__(self, data_dir: Path) -> None:
        self._data_dir = data_dir
        [self._port] = free_ports(1)
        self.rig = Scenario(self._made(), ["t", "one"])
        self.rig.broker.start()

    def _made(self) -> Broker:
        return Broker({"t": 3, "one": 1}, data_dir=self._data_dir, port=self._port)

    async def restart(self, pause: float = 0.05) -> None:
        """Stop it cleanly and start another on its data."""
        await asyncio.to_thread(self.rig.broker.stop)
        await asyncio.sleep(pause)
        self.rig.broker = self._made()
        await asyncio.to_thread(self.rig.broker.start)
        self.rig.injected += 1


@pytest.fixture
async def restartable(tmp_path: Path, request: pytest.FixtureRequest) -> AsyncIterator[Restartable]:
    made = Restartable(tmp_path)
    try:
        async with made.rig.pulse():
            yield made
    finally:
        made.rig.broker.stop()
    count(request, made.rig)


@pytest.mark.parametrize("idempotent", [True, False])
async def test_restarts_under_load(restartable: Restartable, idempotent: bool):
    """
    A broker that is stopped and started again with its data costs retries and no record.
    """
    rig = restartable.rig
    options = {**SMALL, "enable_idempotence": idempotent}
    async with rig.producer(**options) as producer, rig.load(producer) as load:
        for _ in range(4):
            await load.acknowledged(20)
            await restartable.restart()
        await load.acknowledged(40)

    assert rig.errors() == []
    rig.check(idempotent=idempotent)


async def test_restart_while_answers_are_lost(restartable: Restartable):
    """
    The broker remembers the producer's sequence over a restart: what it had, it has once.
    """
    rig = restartable.rig
    options = {**SMALL, "request_timeout_ms": 200}
    async with rig.producer(**options) as producer, rig.load(producer) as load:
        for _ in range(4):
            await load.acknowledged(20)
            fault = rig.faults.drop_response("Produce", times=None)
            await rig.struck(fault, 3)
            fault.cancel()
            await restartable.restart()
        await load.acknowledged(40)

    assert rig.errors() == []
    rig.check()


async def test_away_for_longer_than_the_delivery_timeout(restartable: Restartable):
    """
    Records of the time without a broker fail in time, and those after it are delivered.
    """
    rig = restartable.rig
    options = {**SMALL, "delivery_timeout_ms": 500, "request_timeout_ms": 200}
    async with rig.producer(**options) as producer, rig.load(producer) as load:
        await load.acknowledged(20)
        await restartable.restart(0.9)
        await load.acknowledged(40)

    errors = rig.errors()
    assert errors
    assert all(error.maybe_written == (error.attempts > 0) for error in errors)
    assert all(error.retriable for error in errors)
    rig.check()


class Process:
    """A broker in a process of its own, which can be killed."""

    def __init__(self, data_dir: Path) -> None:
        [self.port] = free_ports(1)
        self._command = [
            *(sys.executable, "-m", "pyproducer.broker", "--port", str(self.port)),
            *("--data-dir", str(data_dir), "--topic", "t:3"),
        ]
        self._popen: subprocess.Popen[str] | None = None

    def start(self) -> None:
        """It takes connections when this returns."""
        self._popen = subprocess.Popen(self._command, cwd=ROOT, stdout=subprocess.PIPE, text=True)
        assert self._popen.stdout is not None
        assert self._popen.stdout.readline().startswith("listening on ")

    def end(self, number: signal.Signals = signal.SIGKILL) -> None:
        """Send it the signal and see it end."""
        if self._popen is not None:
            self._popen.send_signal(number)
            self._popen.communicate(timeout=20)
            self._popen = None

    def signal(self, number: signal.Signals) -> None:
        """Send it the signal."""
        assert self._popen is not None
        self._popen.send_signal(number)


@pytest.mark.parametrize(
    "numbers",
    [
        [signal.SIGKILL, signal.SIGKILL, signal.SIGTERM],
        [signal.SIGSTOP, signal.SIGSTOP, signal.SIGKILL],
    ],
    ids=["killed", "stopped"],
)
async def test_process_that_is_killed_or_stopped(
    broker: Broker, tmp_path: Path, request: pytest.FixtureRequest, numbers: list[signal.Signals]
):
    """
    SIGKILL loses nothing that was acknowledged; SIGSTOP for longer than a request is no loss.
    """
    process = Process(tmp_path)
    rig = Scenario(broker, ["t"])
    options = {**SMALL, "delivery_timeout_ms": 10_000, "reconnect_backoff_max_ms": 20}
    await asyncio.to_thread(process.start)
    try:
        async with (
            rig.pulse(),
            rig.producer(f"127.0.0.1:{process.port}", **options) as producer,
            rig.load(producer) as load,
        ):
            for number in numbers:
                await load.acknowledged(30)
                rig.injected += 1
                if number == signal.SIGSTOP:
                    process.signal(number)
                    await asyncio.sleep(0.6)
                    process.signal(signal.SIGCONT)
                else:
                    await asyncio.to_thread(process.end, number)
                    await asyncio.to_thread(process.start)
            await load.acknowledged(60)
        read = await asyncio.to_thread(read_foreign, f"127.0.0.1:{process.port}", ["t"])
    finally:
        process.end()

    assert rig.errors() == []
    rig.check(read=read)
    count(request, rig)


async def test_broker_that_comes_back_empty(restartable: Restartable, tmp_path: Path):
    """
    A broker in the place of another, with other data, is written to: the old data is gone with it.
    """
    rig = restartable.rig
    async with rig.producer(**SMALL) as producer, rig.load(producer) as load:
        await load.acknowledged(20)
        await asyncio.to_thread(rig.broker.stop)
        before = list(rig.history.entries)
        restartable._data_dir = tmp_path / "other"
        rig.broker = restartable._made()
        await asyncio.to_thread(rig.broker.start)
        rig.injected += 1
        await load.acknowledged(40)

    assert rig.errors() == []
    verdict = rig.check(durable=False)
    # Nothing is gone but what the first one had.
    assert {entry.number for entry in verdict.lost} <= {entry.number for entry in before}
    assert set(verdict.lost) <= set(before)


async def test_start_before_the_broker(tmp_path: Path):
    """
    A producer whose start found no broker can be started again when there is one.
    """
    [port] = free_ports(1)
    producer = AsyncProducer(f"127.0.0.1:{port}", max_block_ms=200)
    begun = time.monotonic()
    with pytest.raises(ConnectionError):
        await producer.start()
    assert time.monotonic() - begun < 10
    with Broker({"one": 1}, data_dir=tmp_path, port=port):
        await producer.start()
        assert 0 == (await producer.send("one", b"x")).offset
        await producer.close()
