"""One run of the benchmark: the processes that it keeps, and the way rounds are taken."""

from __future__ import annotations

import contextlib
import itertools
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self, TypeVar

from tests.bench.clients import CLIENTS
from tests.bench.driver_process import DriverFailed, DriverProcess
from tests.bench.even_ground import level
from tests.bench.foreign import COMMANDS
from tests.bench.series import Key, Results
from tests.bench.sinks import SINKS, Sink
from tests.bench.workloads import Workload
from tests.helpers.processes import PeerFailed, PeerMissing

T = TypeVar("T")

#: How many records a client sends before its speed is known.
_FIRST, _FIRST_SLOW = 20_000, 1_000
_MOST_RECORDS = 3_000_000
#: A round's values, so that the buffers of all clients hold them.
_MOST_BYTES = 600_000_000
#: What a server may take for a byte of values that it keeps.
_KEPT = 1.5


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


@dataclass
class _Place:
    """One client in one row."""

    workload: Workload
    sink: Sink
    topic: str
    client: str
    count: int = 0


class Session:
    """Starts drivers and sinks when they are first needed, and ends them with the ``with`` block.

    Attributes:
        measure: that is being taken; what is left out is said of it.
    """

    def __init__(self, scale: Scale, results: Results) -> None:
        self.scale = scale
        self.results = results
        self.measure = ""
        self._stack = contextlib.ExitStack()
        self._drivers: dict[str, DriverProcess] = {}
        self._sinks: dict[str, Sink] = {}
        self._stacks: dict[str, contextlib.ExitStack] = {}
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
        text = f"{self.measure}: {what} is not measured: {why}"
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
                stack = self._stack.enter_context(contextlib.ExitStack())
                self._sinks[name] = stack.enter_context(SINKS[name]())
                self._stacks[name] = stack
            except (PeerMissing, PeerFailed, OSError, ImportError) as error:
                self._missing[name] = str(error)
                self.leave_out(f"sink {name}", str(error))
                raise PeerMissing(str(error)) from error
        return self._sinks[name]

    def driver(self, client: str) -> DriverProcess:
        """The process that a client runs in.

        Raises:
            PeerMissing: its language is not installed here.
            PeerFailed: it could not be built.
        """
        who = CLIENTS[client]
        # Each way of calling has its own, lest what one leaves behind disturbs the next.
        if client not in self._drivers:
            command = COMMANDS[who.driver]() if who.foreign else None
            self._drivers[client] = self._stack.enter_context(
                DriverProcess(who.driver, command=command, env=who.env)
            )
        return self._drivers[client]

    def forget(self, client: str) -> None:
        """Have the next job of a client done by a new process."""
        self._drivers.pop(client, None)

    def stop(self, name: str) -> None:
        """End a sink that no later measure needs: an idle one still takes time now and then."""
        stack = self._stacks.pop(name, None)
        if stack is not None:
            del self._sinks[name]
            stack.close()

    def topic(self, sink: Sink, partitions: int) -> str:
        """A new topic."""
        name = f"bench-{next(self._topics)}"
        sink.create_topics({name: partitions})
        return name

    def ask(
        self,
        client: str,
        operation: str,
        sink: Sink,
        topic: str,
        workload: Workload,
        *,
        on_checkpoint: Callable[[dict[str, Any]], None] | None = None,
        **words: Any,
    ) -> dict[str, Any]:
        """The answer of a client's driver to one job.

        Raises:
            DriverFailed: it gave none.
        """
        job = {
            "op": operation,
            "how": CLIENTS[client].how,
            "bootstrap_servers": sink.bootstrap_servers,
            "sink": sink.name,
            "topic": topic,
            **workload.job,
            **words,
        }
        return self.driver(client).do(job, on_checkpoint=on_checkpoint)

    def failed(self, client: str, workload: Workload, error: Exception) -> None:
        """Say that a client has no figure here, and why; its next job gets a new process."""
        last = str(error).strip().splitlines()[-1]
        self.leave_out(f"{CLIENTS[client].name} in {workload.name!r} ({workload.sink})", last)
        self.forget(client)

    def throughput(self, measure: str, *workloads: Workload, seconds: float = 1.0) -> None:
        """Take the rounds of some rows: all clients of all of them in turns.

        Args:
            measure: under which name the figures are kept.
            workloads: rows to be compared with each other; one round goes through all.
            seconds: how long a client's round should take, in rounds of the run's scale.
        """
        places = list(self._places(workloads, seconds))
        for number in range(self.scale.rounds):
            self.say(f"{measure}: {workloads[0].name} round {number + 1} of {self.scale.rounds}")
            for place in rotated(places, number):
                self._round(measure, place)

    def _places(self, workloads: Sequence[Workload], seconds: float) -> Iterator[_Place]:
        """Everyone who can take part, warm, and with as many records as fill a round."""
        for workload in workloads:
            try:
                sink = self.sink(workload.sink)
            except PeerMissing:
                continue
            topic = self.topic(sink, workload.partitions)
            for client in workload.clients:
                place = _Place(workload, sink, topic, client)
                try:
                    place.count = self._calibrated(place, seconds * self.scale.seconds)
                except (DriverFailed, PeerMissing, PeerFailed) as error:
                    self.failed(client, workload, error)
                else:
                    yield place

    def _calibrated(self, place: _Place, seconds: float) -> int:
        """Warm the client up, and return how many records it sends in so many seconds."""
        size = place.workload.size
        if place.workload.count:
            place.count = place.workload.count
            self._once(place)
            return place.count
        most = min(_MOST_RECORDS, _MOST_BYTES // size)
        place.count = _FIRST_SLOW if CLIENTS[place.client].slow else _FIRST
        place.count = max(50, min(place.count, most // 20))
        # A just-in-time compiler wants to see some rounds before it has done its work.
        for _ in range(5 if CLIENTS[place.client].foreign else 2):
            answer = self._once(place)
            rate = place.count / answer["seconds"]
            place.count = max(50, min(most, int(rate * seconds)))
        return place.count

    def _round(self, measure: str, place: _Place) -> None:
        if place.sink.keeps:
            level(int(place.count * place.workload.size * _KEPT))
        try:
            answer = self._once(place)
        except DriverFailed as error:
            self.failed(place.client, place.workload, error)
            return
        million = place.count / 1_000_000
        workload = place.workload
        for metric, figure in (
            ("records_per_s", place.count / answer["seconds"]),
            ("cpu_s_per_million", answer["cpu"] / million),
            ("sink_cpu_s_per_million", answer["sink_cpu"] / million),
            ("records", place.count),
        ):
            key = Key(measure, workload.name, workload.sink, place.client, metric)
            self.results.add(key, figure)

    def _once(self, place: _Place) -> dict[str, Any]:
        """One client's round; it holds that all was acknowledged, and that the sink has it."""
        sink, workload, count = place.sink, place.workload, place.count
        before = sink.count(place.topic, workload.partitions)
        used = sink.cpu_seconds()
        with delayed(sink, workload.delay_ms):
            answer = self.ask(
                place.client, workload.operation, sink, place.topic, workload, count=count
            )
        answer["sink_cpu"] = sink.cpu_seconds() - used
        if answer["acknowledged"] != count:
            raise DriverFailed(f"{answer['acknowledged']} of {count} records were acknowledged")
        if workload.settings.acks != 0 and answer["extra"]:
            found = sink.count(place.topic, workload.partitions) - before
            if found != count + answer["extra"]:
                raise DriverFailed(f"the sink took {found} of {count} records")
        return answer


@contextlib.contextmanager
def delayed(sink: Sink, milliseconds: int) -> Iterator[None]:
    """The sink answers so much later inside the block."""
    if milliseconds == 0:
        yield
        return
    assert sink.delay is not None, f"{sink.name} cannot be delayed"
    sink.delay(milliseconds)
    try:
        yield
    finally:
        sink.delay(0)


def rotated(things: Sequence[T], number: int) -> list[T]:
    """The things beginning with another one each time, so that none is always after the same."""
    at = number % len(things) if things else 0
    return [*things[at:], *things[:at]]
