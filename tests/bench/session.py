"""One run of the benchmark: the processes that it keeps, and the way rounds are taken."""

from __future__ import annotations

import contextlib
import itertools
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self

from tests.bench.clients import CLIENTS
from tests.bench.driver_process import DriverFailed, DriverProcess
from tests.bench.series import Key, Results
from tests.bench.sinks import SINKS, Sink
from tests.bench.workloads import Workload
from tests.helpers.processes import PeerFailed, PeerMissing

#: How many records a client sends before its speed is known.
_FIRST, _FIRST_SLOW = 20_000, 1_000
_MOST_RECORDS = 2_000_000
#: A round's values, so that the buffers of all clients hold them.
_MOST_BYTES = 600_000_000


@dataclass(frozen=True)
class Scale:
    """How thorough a run is.

    Attributes:
        rounds: of every row.
        seconds: that one client should take in one round.
        quick: only what the goals need.
    """

    rounds: int = 5
    seconds: float = 1.0
    quick: bool = False


class Session:
    """Starts drivers and sinks when they are first needed, and ends them with the ``with`` block."""

    def __init__(self, scale: Scale, results: Results) -> None:
        self.scale = scale
        self.results = results
        self._stack = contextlib.ExitStack()
        self._drivers: dict[tuple[Any, ...], DriverProcess] = {}
        self._sinks: dict[str, Sink] = {}
        self._missing: dict[str, str] = {}
        self._topics = itertools.count()
        self._began = time.monotonic()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._stack.close()

    def say(self, text: str) -> None:
        """Tell whoever waits how far we are."""
        print(f"[{time.monotonic() - self._began:5.0f} s] {text}", file=sys.stderr, flush=True)

    def leave_out(self, what: str, why: str) -> None:
        """Say, here and in the report, that something is not measured."""
        text = f"{what} is not measured: {why}"
        if text not in self.results.notes:
            self.say(text)
        self.results.note(text)

    def sink(self, name: str) -> Sink:
        """A running sink.

        Raises:
            PeerMissing: it cannot run here; said once in the report.
        """
        if name in self._missing:
            raise PeerMissing(self._missing[name])
        if name not in self._sinks:
            try:
                self._sinks[name] = self._stack.enter_context(SINKS[name]())
            except (PeerMissing, PeerFailed, OSError, ImportError) as error:
                self._missing[name] = str(error)
                self.leave_out(f"sink {name}", str(error))
                raise PeerMissing(str(error)) from error
        return self._sinks[name]

    def driver(self, client: str) -> DriverProcess:
        """The process that a client runs in."""
        who = CLIENTS[client]
        # Each way of calling has its own, lest what one leaves behind disturbs the next.
        place = (client,)
        if place not in self._drivers:
            self._drivers[place] = self._stack.enter_context(DriverProcess(who.driver, env=who.env))
        return self._drivers[place]

    def forget(self, client: str) -> None:
        """Have the next job of a client done by a new process."""
        self._drivers.pop((client,), None)

    def topic(self, sink: Sink, partitions: int) -> str:
        """A new topic."""
        name = f"bench-{next(self._topics)}"
        sink.create_topics({name: partitions})
        return name

    def job(self, sink: Sink, topic: str, client: str, workload: Workload) -> dict[str, Any]:
        """A job's words, but for what to do and how much."""
        return {
            "bootstrap_servers": sink.bootstrap_servers,
            "topic": topic,
            "how": CLIENTS[client].how,
            **workload.job,
        }

    def throughput(self, measure: str, workload: Workload, *, rounds: int | None = None) -> None:
        """Take the rounds of one row: all its clients in turns, each round in another order."""
        try:
            sink = self.sink(workload.sink)
        except PeerMissing:
            return
        topic = self.topic(sink, workload.partitions)
        counts: dict[str, int] = {}
        for client in workload.clients:
            with contextlib.suppress(DriverFailed):
                counts[client] = self._calibrate(sink, topic, client, workload)
        taking_part = list(counts)
        for number in range(rounds or self.scale.rounds):
            self.say(f"{measure}: {workload.name}, round {number + 1}")
            for client in rotated(taking_part, number):
                try:
                    answer = self._once(sink, topic, client, workload, counts[client])
                except DriverFailed as error:
                    self._failed(client, workload, error)
                    continue
                self._keep(measure, workload, client, answer)

    def _calibrate(self, sink: Sink, topic: str, client: str, workload: Workload) -> int:
        """Warm the client up, and return how many records it sends in the time of a round."""
        count = _FIRST_SLOW if CLIENTS[client].slow else _FIRST
        count = max(50, min(count, _MOST_BYTES // workload.size // 20))
        try:
            for _ in range(2):
                answer = self._once(sink, topic, client, workload, count)
                rate = answer["acknowledged"] / answer["seconds"]
                most = min(_MOST_RECORDS, _MOST_BYTES // workload.size)
                count = max(50, min(most, int(rate * self.scale.seconds)))
        except DriverFailed as error:
            self._failed(client, workload, error)
            raise
        return count

    def _once(
        self, sink: Sink, topic: str, client: str, workload: Workload, count: int
    ) -> dict[str, Any]:
        """One client's round; it holds that all was acknowledged, and that the sink has it."""
        before = sink.count(topic, workload.partitions)
        used = sink.cpu_seconds()
        job = self.job(sink, topic, client, workload)
        answer = self.driver(client).do({**job, "op": "throughput", "count": count})
        answer["sink_cpu"] = sink.cpu_seconds() - used
        if answer["acknowledged"] != count:
            raise DriverFailed(f"{client}: {answer['acknowledged']} of {count} acknowledged")
        if workload.settings.acks != 0:
            found = sink.count(topic, workload.partitions) - before
            if found != count + answer["extra"]:
                raise DriverFailed(f"{client}: the sink has {found} of {count} records")
        return answer

    def _keep(self, measure: str, workload: Workload, client: str, answer: dict[str, Any]) -> None:
        count, million = answer["acknowledged"], answer["acknowledged"] / 1_000_000
        for metric, figure in (
            ("records_per_s", count / answer["seconds"]),
            ("cpu_s_per_million", answer["cpu"] / million),
            ("sink_cpu_s_per_million", answer["sink_cpu"] / million),
            ("records", count),
        ):
            self.results.add(Key(measure, workload.name, workload.sink, client, metric), figure)

    def _failed(self, client: str, workload: Workload, error: DriverFailed) -> None:
        last = str(error).strip().splitlines()[-1]
        self.leave_out(f"{CLIENTS[client].name} in {workload.name!r}", last)
        self.forget(client)


def rotated(things: Sequence[str], number: int) -> list[str]:
    """The things beginning with another one each time, so that none is always after the same."""
    at = number % len(things) if things else 0
    return [*things[at:], *things[:at]]
