"""Writers that go on while things go wrong, and the verdict over what they were told.

async with rig.producer() as producer, rig.load(producer) as load:
    await load.acknowledged(50)
    with rig.faults.leaderless("t", 0) as fault:
        await rig.struck(fault)
    await load.acknowledged(50)
rig.check()
"""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Any, Final

from pyproducer import AsyncProducer
from pyproducer.broker import Broker
from pyproducer.broker.faults.fault import Fault
from pyproducer.errors import DeliveryError
from tests.helpers.history import GRACE, Counts, Entry, History, ReadBack, Verdict, check
from tests.helpers.read_back import read_broker

#: Everything that waits in a producer, made short; but a machine that stands still for a second
#: or two must not fail records of tests in which none may fail.
QUICK: Final[dict[str, Any]] = {
    "delivery_timeout_ms": 8000,
    "request_timeout_ms": 400,
    "max_block_ms": 2000,
    "linger_ms": 2,
    "retry_backoff_ms": 5,
    "retry_backoff_max_ms": 50,
    "reconnect_backoff_ms": 5,
    "reconnect_backoff_max_ms": 50,
    "socket_connection_setup_timeout_ms": 400,
}

#: Seconds that a test waits for what must come.
PATIENCE: Final = 15.0

#: How often waiting looks, and the pulse of the loop beats, in seconds.
_STEP: Final = 0.005
_PULSE: Final = 0.05


async def until(ready: Callable[[], object], what: str = "it") -> None:
    """Return once ``ready()`` is true; an error names what did not come."""
    end = time.monotonic() + PATIENCE
    while not ready():
        assert time.monotonic() < end, f"{what} did not come within {PATIENCE} s"
        await asyncio.sleep(_STEP)


class _Recorded:
    """A broker's faults, each of them noted in a list."""

    def __init__(self, rig: Scenario) -> None:
        self._rig = rig

    def __getattr__(self, name: str) -> Callable[..., Any]:
        method = getattr(self._rig.broker.faults, name)

        def call(*args: Any, **options: Any) -> Any:
            made = method(*args, **options)
            if isinstance(made, Fault):
                self._rig.set_faults.append(made)
            return made

        return call


class Load:
    """Writers that are at it; see `Scenario.load`."""

    def __init__(self, history: History) -> None:
        self._history = history
        self.stopping = False

    async def acknowledged(self, count: int) -> None:
        """Return once so many more records are acknowledged."""
        wanted = self._history.acknowledged + count
        await until(lambda: self._history.acknowledged >= wanted, f"{count} acknowledgements")

    async def settled(self, count: int) -> None:
        """Return once so many more records have an outcome, whatever it is."""

        def settled() -> int:
            return sum(1 for entry in self._history.entries if entry.told)

        wanted = settled() + count
        await until(lambda: settled() >= wanted, f"{count} outcomes")


class Scenario:
    """A broker, producers on it, and the history of what they wrote.

    Attributes:
        broker: may be put in the place of another, as after a restart.
        history: of all records that were written through this object.
        faults: the broker's, counted.
        injected: faults that the broker knows nothing of, such as a proxy's.
        counts: of the checks so far.
    """

    def __init__(self, broker: Broker, topics: Sequence[str]) -> None:
        self.broker = broker
        self.topics = list(topics)
        self.history = History()
        self.set_faults: list[Fault] = []
        self.faults: Any = _Recorded(self)
        self.injected = 0
        self.counts = Counts()
        self.stood_still = 0.0
        self._timeout = 0.0

    def options(self, **options: Any) -> dict[str, Any]:
        """Options of a producer whose records have to be settled in its delivery timeout."""
        merged = {**QUICK, **options}
        self._timeout = max(self._timeout, merged["delivery_timeout_ms"] / 1000)
        return merged

    def producer(self, servers: str | None = None, **options: Any) -> AsyncProducer:
        """A producer that waits for nothing long."""
        return AsyncProducer(servers or self.broker.bootstrap_servers, **self.options(**options))

    @asynccontextmanager
    async def load(
        self,
        producer: AsyncProducer,
        *,
        writers: Sequence[str] = ("a", "b", "c"),
        topic: str = "t",
        partitions: int = 3,
        size: int = 60,
        pause: float = 0.004,
        burst: int = 4,
    ) -> AsyncIterator[Load]:
        """Each writer writes bursts of records to a partition of its own, one after the other.

        On leaving they stop, and everything is flushed.
        """
        load = Load(self.history)

        async def write(writer: str, partition: int) -> None:
            while not load.stopping:
                for _ in range(burst):
                    await self.history.enqueue(
                        producer, writer, topic, size=size, partition=partition
                    )
                await asyncio.sleep(pause)

        tasks = [
            asyncio.create_task(write(writer, number % partitions))
            for number, writer in enumerate(writers)
        ]
        try:
            yield load
        finally:
            load.stopping = True
            await asyncio.gather(*tasks)
        await producer.flush()

    async def write(
        self, producer: AsyncProducer, count: int, *, topic: str = "one", **where: Any
    ) -> list[Entry]:
        """One writer enqueues so many records and waits for none."""
        return [await self.history.enqueue(producer, "w", topic, **where) for _ in range(count)]

    async def struck(self, fault: Fault, hits: int = 1) -> None:
        """Return once the fault has struck so often."""
        await until(lambda: fault.hits >= hits, f"hit {hits} of {fault!r}")

    async def missed(self, fault: Fault, producer: AsyncProducer) -> None:
        """Return once the producer knows of a leader that is not there: was told, or asked."""
        topic = producer._appender.topic(fault.settings["topic"])
        await until(
            lambda: fault.hits or any(part.queue.leader < 0 for part in topic.partitions or ()),
            f"news of {fault!r}",
        )

    def errors(self) -> list[DeliveryError]:
        """What records failed with, all of which have to be delivery errors that say where."""
        found = []
        for entry in self.history.entries:
            error = entry.error
            if error is None:
                continue
            assert isinstance(error, DeliveryError), repr(error)
            assert error.topic == entry.topic
            assert error.elapsed >= 0
            assert error.partition is None or f"{error.topic}-{error.partition}" in str(error)
            found.append(error)
        return found

    def read(self) -> list[ReadBack]:
        """What the broker holds now."""
        return read_broker(self.broker, self.topics)

    def check(
        self,
        *,
        idempotent: bool = True,
        durable: bool = True,
        read: list[ReadBack] | None = None,
        again: bool = False,
    ) -> Verdict:
        """Every outcome agrees with what the broker holds, and came in time.

        Args:
            idempotent: as for `history.check`.
            durable: likewise.
            read: what was read; None reads it from the broker.
            again: the same records were checked before, and are not counted twice.
        """
        # Where the whole process had to wait for a processor, so had the producer.
        self.history.delivery_timeout = self._timeout + self.stood_still
        verdict = check(
            self.history,
            self.read() if read is None else read,
            faults=self.injected + sum(fault.hits for fault in self.set_faults),
            idempotent=idempotent,
            durable=durable,
        )
        if not again:
            self.counts += verdict.counts
        verdict.assert_clean()
        return verdict

    @asynccontextmanager
    async def pulse(self) -> AsyncIterator[None]:
        """Notes for how long the loop stood still beyond what is usual, meanwhile."""

        async def beat() -> None:
            while True:
                before = time.monotonic()
                await asyncio.sleep(_PULSE)
                late = time.monotonic() - before - _PULSE
                if late > GRACE / 5:
                    self.stood_still += late

        task = asyncio.create_task(beat())
        try:
            yield
        finally:
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task

    def properties(self) -> dict[str, int]:
        """The counts, as a report of pytest carries them."""
        return dataclasses.asdict(self.counts)
