"""What a broker shows to who holds it, and how time passes in it."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Callable, Sequence
from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING, TypeVar

from pyproducer.broker.broker_clock import checked_span
from pyproducer.broker.expectations import Expected, difference
from pyproducer.broker.inspection import BrokerRecord, read_all, records_of, wait_until_held
from pyproducer.broker.running import RunningBroker
from pyproducer.errors import UsageError

if TYPE_CHECKING:
    from pyproducer.broker.node import Node
    from pyproducer.broker.state import BrokerState
    from pyproducer.loop_thread import LoopThread
    from pyproducer.model import TopicPartition

T = TypeVar("T")

#: Seconds between two looks of `wait_until`.
_PAUSE = 0.002


class BrokerView:
    """A broker that may be running, to be looked at."""

    _thread: LoopThread | None
    _running: RunningBroker | None

    def records(
        self, topic: str, partition: int | None = None, *, committed: bool = False
    ) -> list[BrokerRecord]:
        """What a consumer could read now, by partition and offset.

        Args:
            topic: Name of the topic.
            partition: One partition only; None is all.
            committed: Leave out records of transactions that are open or were aborted, as a
                consumer does with `isolation.level=read_committed`.

        Raises:
            UnknownTopic: There is no such topic or partition.
            UsageError: The broker is not running in the background.
        """
        background = self._background()
        parts = background.call(
            lambda: read_all(self._node(), topic, partition, committed=committed)
        )
        return [record for index, batches in parts for record in records_of(index, batches)]

    def wait_for(
        self, topic: str, n: int = 1, timeout: float = 10.0, *, committed: bool = False
    ) -> list[BrokerRecord]:
        """Blocks until the topic holds at least `n` records; returns all of them.

        Args:
            topic: Name of the topic.
            n: How many records there must be.
            timeout: Seconds to wait.
            committed: As for `records`.

        Raises:
            TimeoutError: There are fewer; says how many.
            UnknownTopic: There is no such topic.
            UsageError: The broker is not running in the background.
        """
        background, node = self._background(), self._node()
        background.call(lambda: wait_until_held(node, topic, n, timeout, committed=committed))
        return self.records(topic, committed=committed)

    def assert_log(
        self,
        topic: str,
        partition: int,
        expected: Sequence[Expected],
        *,
        committed: bool = False,
    ) -> None:
        """The partition holds exactly these records, in this order.

        Args:
            topic: Name of the topic.
            partition: Number of the partition.
            expected: Of each record its value, (key, value), or all of it as a `BrokerRecord`.
                Texts stand for their UTF-8 bytes, None for null.
            committed: As for `records`.

        Raises:
            AssertionError: It holds something else; shows what is where.
            ConfigError: That is no record.
            UnknownTopic: There is no such topic or partition.
            UsageError: The broker is not running in the background.
        """
        __tracebackhide__ = True  # pytest shows the line of the test
        found = self.records(topic, partition, committed=committed)
        if text := difference(f"{topic}-{partition}", found, expected):
            raise AssertionError(text)

    def state(self) -> BrokerState:
        """What it is at this moment: time, topics, partitions, producers, groups, connections.

        Raises:
            UsageError: The broker is not running in the background.
        """
        return self._background().call(lambda: self._changed(None, 0.0))[0]

    def wait_until(
        self, predicate: Callable[[BrokerState], object], timeout: float = 10.0
    ) -> BrokerState:
        """Blocks until the predicate is true of the broker's state, and returns that state.

        It is asked on this thread, at once and whenever something has happened in the broker.

        Args:
            predicate: Is given the state.
            timeout: Seconds to wait, by real time.

        Raises:
            TimeoutError: It is still false; says what the broker is then.
            UsageError: The broker is not running in the background.
        """
        background = self._background()
        deadline = time.monotonic() + timeout
        count = None
        while True:
            left = deadline - time.monotonic()
            state, count = background.call(partial(self._changed, count, left))
            if predicate(state):
                return state
            if time.monotonic() >= deadline:
                raise TimeoutError(f"not so within {timeout} s; the broker has\n{state.summary()}")

    def committed_offsets(self, group: str) -> dict[TopicPartition, int]:
        """The next offset to read that a consumer group has committed for each partition.

        Offsets in a transaction count once it is committed.

        Args:
            group: Its id; one that never committed, or is not there, has none.

        Raises:
            UsageError: The broker is not running in the background.
        """
        return self._background().call(lambda: self._committed_offsets(group))

    def tick(
        self,
        delta: timedelta | None = None,
        /,
        *,
        days: float = 0,
        hours: float = 0,
        minutes: float = 0,
        seconds: float = 0,
        milliseconds: float = 0,
    ) -> None:
        """So much time has passed in the broker, and all that it brings is done: nobody waits.

        Retention, compaction, forgotten producers and offsets, transactions and sessions that
        time out, files of deleted topics: each comes at its time on the way, whatever the
        intervals at which the broker looks otherwise. Records written from now on have the later
        time. Clients live outside, where no time passes: their connections stay, as does what
        they wait for by their own clocks. The clock stays ahead over a stop and a start.

        It blocks for as long as the work takes. In a coroutine it may be called too, since the
        broker has a thread of its own; `atick` lets the loop go on meanwhile.

        Args:
            delta: How much; what the others say is added.
            days: As of a `timedelta`, like those that follow.
            hours: Likewise.
            minutes: Likewise.
            seconds: Likewise.
            milliseconds: Likewise.

        Raises:
            ConfigError: That is no span, or time would go back.
            UsageError: The broker is not running in the background.
        """
        parts = {"days": days, "hours": hours, "minutes": minutes}
        parts |= {"seconds": seconds, "milliseconds": milliseconds}
        span = checked_span(delta, parts)
        self._background().call(lambda: self._tick(span))

    async def atick(self, delta: timedelta | None = None, /, **parts: float) -> None:
        """As `tick`, with the same arguments, for coroutines; and the one form with `serve`.

        A broker that serves on this loop could not work while a call blocks it.

        Raises:
            ConfigError: That is no span, or time would go back.
            UsageError: The broker is not running.
        """
        if self._thread is not None:
            await asyncio.to_thread(self.tick, delta, **parts)
        else:
            self._node()
            await self._tick(checked_span(delta, parts))

    async def _changed(self, count: int | None, seconds: float) -> tuple[BrokerState, int]:
        """The state once more has happened than so much, or time is up; and how much has."""
        running, pulse = self._run(), self._node().pulse
        if count is not None:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(seconds):
                    await pulse.after(count)
            # Somebody who waits for one thing must not be asked about each of a million others.
            await asyncio.sleep(_PAUSE)
        return running.state(), pulse.count

    async def _tick(self, seconds: float) -> None:
        await self._run().housekeeping.pass_time(seconds)

    def _run(self) -> RunningBroker:
        if self._running is None:
            raise UsageError("the broker is not running")
        return self._running

    def _node(self) -> Node:
        return self._run().node

    def _call_with_node(self, use: Callable[[Node], T]) -> T:
        """What `use` returns, which is called with the node on its loop."""

        async def called() -> T:
            return use(self._node())

        return self._background().call(called)

    def _background(self) -> LoopThread:
        if self._thread is None:
            raise UsageError(
                "the broker is not running in the background: use `with`, `async with` or start()"
            )
        return self._thread

    async def _committed_offsets(self, group: str) -> dict[TopicPartition, int]:
        return {place: one.offset for place, one in self._node().groups.offsets(group).items()}
