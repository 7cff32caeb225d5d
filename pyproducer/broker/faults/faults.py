"""What a test can have go wrong in a broker: `broker.faults`."""

from __future__ import annotations

import asyncio
import concurrent.futures
import itertools
import os
import threading
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Literal, TypeAlias, TypeVar

from pyproducer.broker.faults.fault import Fault
from pyproducer.broker.faults.injector import Injector
from pyproducer.broker.faults.places import PLACES
from pyproducer.errors import ConfigError, UsageError
from pyproducer.protocol.api import API, ApiKey
from pyproducer.protocol.error_codes import ErrorCode
from pyproducer.protocol.schema import LATEST

if TYPE_CHECKING:
    from pyproducer.broker.faults.disk import FillableDisk
    from pyproducer.broker.node import Node
    from pyproducer.broker.partition import Partition
    from pyproducer.broker.server import Server

T = TypeVar("T")
#: Kafka's name of an API, such as "Produce", or its number.
ApiName: TypeAlias = str | int

#: Most seconds that an answer may be late: a thousand years.
_LONGEST: Final = 31_557_600_000
#: Seconds that the broker's loop may take to do what another thread asks for.
_PATIENCE: Final = 10.0


@dataclass(frozen=True)
class _Running:
    """The broker while it runs, and the loop it runs on."""

    loop: asyncio.AbstractEventLoop
    process: int
    thread: int
    node: Node
    server: Server
    disk: FillableDisk


class Faults:
    """Faults of one broker. All threads may use it, also before the broker runs.

    Each method sets one fault and returns its handle, which counts its strikes and ends it. What is
    set is in force for every request that comes later, over a stop and start of the broker too.

    A request meets at most one fault of each method, the oldest that concerns it; two failures of
    the same API thus follow each other. They strike once unless told otherwise; `times=None` is
    until cancelled.

    APIs are named as in Kafka's protocol ("Produce", "InitProducerId"), errors likewise
    ("NOT_LEADER_OR_FOLLOWER"), or both by number.
    """

    def __init__(self) -> None:
        self.injector = Injector()
        self._lock = threading.Lock()
        self._numbers = itertools.count(1)
        self._active: dict[int, Fault] = {}
        self._running: _Running | None = None

    @property
    def active(self) -> tuple[Fault, ...]:
        """Those that may still strike, in the order in which they were set."""
        with self._lock:
            return tuple(self._active.values())

    def clear(self) -> None:
        """No fault is in force: what is paused goes on, leaders are back, the disk has room."""
        for fault in self.active:
            fault.cancel()

    # Answers.

    def fail(
        self,
        api: ApiName,
        code: int | str,
        *,
        when: Literal["before", "after"] = "before",
        topic: str | None = None,
        partition: int | None = None,
        times: int | None = 1,
    ) -> Fault:
        """The next request of an API is answered with an error code.

        The code is where the API carries it: for Produce, Fetch, ListOffsets, OffsetCommit and
        their like at each partition, for Metadata and CreateTopics at each topic, for
        InitProducerId, JoinGroup and others once for all. A request strikes once however many
        partitions it fails; those that do not match are served. A Produce request with acks=0
        has no answer: its connection is closed.

        Args:
            api: The API.
            code: The error code; any but 0.
            when: "before" leaves the request undone. "after" does all that it asks for and then
                says it had failed; what does fail keeps its own error.
            topic: Only for this topic; None is all.
            partition: Only for this partition; None is all.
            times: How many requests; None is until cancelled.

        Raises:
            ConfigError: The broker does not serve the API, or its answers have no place for an
                error about a topic or partition; or the code is none.
        """
        key = _api(api)
        place = PLACES[key]
        name = API[key].name
        if topic is not None and not place.by_topic:
            raise ConfigError(f"an error of {name} is not about a topic", option="topic")
        if partition is not None and not place.by_partition:
            raise ConfigError(f"an error of {name} is not about a partition", option="partition")
        if when not in {"before", "after"}:
            raise ConfigError(f"when is 'before' or 'after', not {when!r}", option="when")
        return self._set(
            "fail",
            times,
            api=name,
            code=_code(code),
            when=when,
            topic=_text(topic),
            partition=_index(partition),
        )

    def drop_response(self, api: ApiName | None, times: int | None = 1) -> Fault:
        """The next request of an API is worked on, and its answer is never sent.

        The connection stays, and later requests on it are answered. A client that waits for
        answers in their order sees them come out of it.

        Args:
            api: The API; None is any.
            times: How many answers; None is until cancelled.

        Raises:
            ConfigError: The broker does not serve the API.
        """
        return self._set("drop_response", times, api=_name(api))

    def delay(self, api: ApiName | None, seconds: float, times: int | None = None) -> Fault:
        """Requests of an API are worked on, and answered later.

        What its connection asks behind it waits too, as Kafka answers in order.

        Args:
            api: The API; None is any.
            seconds: How much later.
            times: How many answers; None is until cancelled.

        Raises:
            ConfigError: The broker does not serve the API, or the time is negative or more than
                a thousand years.
        """
        _at_least(0, seconds, "seconds")
        if seconds > _LONGEST:
            raise ConfigError(f"seconds is at most {_LONGEST}, not {seconds}", option="seconds")
        return self._set("delay", times, api=_name(api), seconds=seconds)

    def cut(
        self, api: ApiName | None = None, *, after_bytes: int | None = None, times: int | None = 1
    ) -> Fault:
        """The next answer of an API breaks off in its middle, and its connection is closed.

        Args:
            api: The API; None is any.
            after_bytes: How much of the answer is sent, its 4 bytes of size included, and at most
                all but the last byte; None is half.
            times: How many answers; None is until cancelled.

        Raises:
            ConfigError: The broker does not serve the API, or the number is negative.
        """
        if after_bytes is not None:
            _at_least(0, _integer(after_bytes, "after_bytes"), "after_bytes")
        return self._set("cut", times, api=_name(api), after_bytes=after_bytes)

    def throttle(self, api: ApiName | None, ms: int, times: int | None = 1) -> Fault:
        """The next answer of an API tells the client to pause, and the broker holds it to that.

        As in Kafka since KIP-219 the answer goes out at once, with `throttle_time_ms`, and the
        connection's next request is begun that much later.

        Args:
            api: The API; None is any.
            ms: Milliseconds.
            times: How many answers; None is until cancelled.

        Raises:
            ConfigError: The broker does not serve the API, its answers have no throttle time, or
                the time is not from 1 to 2147483647.
        """
        name = _name(api)
        _at_least(1, _integer(ms, "ms"), "ms")
        if ms >= 1 << 31:
            raise ConfigError(f"ms is at most 2147483647, not {ms}", option="ms")
        if name is not None and "throttle_time_ms" not in (API[_api(name)].response.wire_fields()):
            raise ConfigError(f"an answer of {name} has no throttle time", option="api")
        return self._set("throttle", times, api=name, ms=ms)

    # Connections.

    def close_connections(self) -> Fault:
        """Every connection is closed at once; hits are how many there were.

        Raises:
            UsageError: The broker is not running.
        """
        return self._done("close_connections", lambda running: running.server.close_all())

    def pause(self) -> Fault:
        """The broker stands still as after SIGSTOP, until `resume`; what it gets, it keeps.

        Connections can still be made, as the kernel makes them. Nothing is answered, and requests
        under way do not get their answers. Only the HTTP side and this object still work. Hits are
        the times something was held back.
        """
        return self._set("pause", None)

    def resume(self) -> int:
        """The broker goes on where it paused; says how many pauses this ended."""
        pauses = [fault for fault in self.active if fault.kind == "pause"]
        for fault in pauses:
            fault.cancel()
        return len(pauses)

    # State.

    def forget_producers(self, topic: str | None = None, partition: int | None = None) -> Fault:
        """Partitions forget their idempotent producers, as after `producer.id.expiration.ms`.

        A batch that is sent again is not recognised any more. Producers with an open transaction
        are kept. Hits are how many were forgotten, on all partitions together.

        Args:
            topic: Only this topic; None is all.
            partition: Only the partition with this number; None is all.

        Raises:
            ConfigError: There is no such topic or partition.
            UsageError: The broker is not running.
        """
        _text(topic)
        _index(partition)

        def forget(running: _Running) -> int:
            found = _partitions(running.node, topic, partition)
            if not found and topic is not None:
                raise ConfigError(f"the broker has no {topic}, {partition=}", option="topic")
            return sum(one.log.forget_producers() for one in found)

        return self._done("forget_producers", forget, topic=topic, partition=partition)

    def refuse_unknown_producers(
        self, topic: str | None = None, partition: int | None = None, *, times: int | None = None
    ) -> Fault:
        """A producer that a partition does not know has to begin with sequence 0.

        Otherwise its batch gets UNKNOWN_PRODUCER_ID, as from brokers that are stricter than Kafka
        is. Without this fault any first sequence is taken.

        Args:
            topic: Only this topic; None is all.
            partition: Only the partition with this number; None is all.
            times: How many requests; None is until cancelled.
        """
        return self._set(
            "refuse_unknown_producers",
            times,
            api="Produce",
            topic=_text(topic),
            partition=_index(partition),
        )

    def leaderless(self, topic: str, partition: int | None = None) -> Fault:
        """Partitions have no leader until this is cancelled.

        Metadata says leader -1 and LEADER_NOT_AVAILABLE; who asks this broker all the same gets
        NOT_LEADER_OR_FOLLOWER. When the leader is back, its epoch has grown. Hits are the
        partitions of requests that were turned away.

        Args:
            topic: The topic.
            partition: One partition; None is all of them.
        """
        if topic is None:
            raise ConfigError("which topic has no leader?", option="topic")
        return self._set("leaderless", None, topic=_text(topic), partition=_index(partition))

    def disk_full(self) -> Fault:
        """Every write to disk fails with ENOSPC, until this is cancelled.

        Producers get KAFKA_STORAGE_ERROR and the logs stay as they are. Hits are the writes that
        failed.
        """
        return self._set("disk_full", None)

    # The broker's side.

    def prepare(self, disk: FillableDisk) -> None:
        """The broker starts, and this is its disk."""
        if any(fault.kind == "disk_full" for fault in self.active):
            disk.fill(self._write_failed)

    def bind(self, node: Node, server: Server, disk: FillableDisk) -> None:
        """The broker runs, on the loop of the caller."""
        self._running = _Running(
            asyncio.get_running_loop(), os.getpid(), threading.get_ident(), node, server, disk
        )

    def unbind(self) -> None:
        """The broker ends; what waits for the end of a pause goes on."""
        self._running = None

    def find(self, number: int) -> Fault | None:
        """The active fault with that id."""
        with self._lock:
            return self._active.get(number)

    def _set(self, kind: str, times: int | None, **settings: Any) -> Fault:
        if times is not None:
            _at_least(1, _integer(times, "times"), "times")
        if kind not in {"pause", "leaderless", "disk_full"}:
            settings["times"] = times
        fault = self._new(kind, times, settings)
        with self._lock:
            self._active[fault.id] = fault
        self.injector.add(fault)
        if kind in {"pause", "leaderless", "disk_full"}:
            # When this returns, the loop has nothing under way that has not seen it.
            self._on_loop(lambda running: self._begun(fault, running), None)
        return fault

    def _done(self, kind: str, act: Callable[[_Running], int], **settings: Any) -> Fault:
        def refuse() -> int:
            raise UsageError(f"{kind}() needs a running broker")

        hits = self._on_loop(act, refuse)
        fault = self._new(kind, 0, settings)
        fault.cancel()
        fault.strike(hits)
        return fault

    def _new(self, kind: str, times: int | None, settings: dict[str, Any]) -> Fault:
        return Fault(next(self._numbers), kind, settings, times=times, ended=self._ended)

    def _begun(self, fault: Fault, running: _Running) -> None:
        if not fault.active:
            return
        if fault.kind == "disk_full":
            running.disk.fill(self._write_failed)
        elif fault.kind == "leaderless":
            for partition in _concerned(running.node, fault):
                # A fetch that waits there is told at once.
                partition.retire()

    def _ended(self, fault: Fault) -> None:
        with self._lock:
            self._active.pop(fault.id, None)
        self.injector.remove(fault)
        if fault.kind in {"pause", "leaderless", "disk_full"}:
            self._on_loop(lambda running: self._over(fault, running), None)

    def _write_failed(self) -> None:
        for fault in self.active:
            if fault.kind == "disk_full":
                fault.strike()

    def _over(self, fault: Fault, running: _Running) -> None:
        if fault.kind == "pause":
            self.injector.open_gate()
        elif fault.kind == "leaderless":
            for partition in _concerned(running.node, fault):
                running.node.elect(partition)
        elif not any(one.kind == "disk_full" for one in self.active):
            running.disk.free()

    def _on_loop(self, act: Callable[[_Running], T], otherwise: Callable[[], T] | None) -> Any:
        """Does it on the broker's loop, from whatever thread; `otherwise` if there is none."""
        running = self._running
        if running is None or running.process != os.getpid():
            # It does not run, or the parent of this fork runs it.
            return None if otherwise is None else otherwise()
        if threading.get_ident() == running.thread:
            return act(running)
        result: concurrent.futures.Future[T] = concurrent.futures.Future()

        def run() -> None:
            try:
                result.set_result(act(running))
            except BaseException as error:
                result.set_exception(error)

        try:
            running.loop.call_soon_threadsafe(run)
        except RuntimeError:
            # The loop was closed in this very moment.
            return None if otherwise is None else otherwise()
        return result.result(_PATIENCE)


def _partitions(node: Node, topic: str | None, index: int | None) -> list[Partition]:
    names = [one.name for one in node.topics] if topic is None else [topic]
    return [
        partition
        for name in names
        for partition in node.partitions(name)
        if index is None or partition.index == index
    ]


def _concerned(node: Node, fault: Fault) -> list[Partition]:
    return _partitions(node, fault.settings["topic"], fault.settings["partition"])


def _api(api: ApiName) -> ApiKey:
    # Here, since the handlers import the node and the node its faults.
    from pyproducer.broker.handlers.table import ROUTES

    served = {API[route.api_key].name: ApiKey(route.api_key) for route in ROUTES}
    if isinstance(api, str):
        key = served.get(api)
        if key is not None and key in PLACES:
            return key
        near = _nearest(api, served)
        hint = f"; did you mean {near!r}?" if near else ""
    else:
        if not isinstance(api, bool) and api in served.values():
            return ApiKey(api)
        hint = ""
    raise ConfigError(f"the broker serves no API {api!r}{hint}", option="api")


def _nearest(name: str, known: Iterable[str]) -> str | None:
    """What was meant, where that can be told."""
    import difflib  # loading it takes longer than most brokers ever need it

    near = difflib.get_close_matches(name, [*known], 1)
    return near[0] if near else None


def _name(api: ApiName | None) -> str | None:
    return None if api is None else API[_api(api)].name


def _code(code: int | str) -> str | int:
    """The code by its name, or as a number if it has none."""
    if isinstance(code, str):
        if code not in ErrorCode.__members__:
            near = _nearest(code, ErrorCode.__members__)
            hint = f"; did you mean {near}?" if near else ""
            raise ConfigError(f"Kafka has no error {code!r}{hint}", option="code")
        code = ErrorCode[code]
    number = int(_integer(code, "code"))
    if number == 0 or not -(1 << 15) <= number <= LATEST:
        raise ConfigError(f"{code!r} is no error code", option="code")
    try:
        return ErrorCode(number).name
    except ValueError:
        return number


def _integer(value: int, name: str) -> int:
    if isinstance(value, bool) or not isinstance(value, int):
        raise ConfigError(f"{name} is an integer, not {value!r}", option=name)
    return value


def _at_least(least: int, value: float, name: str) -> None:
    if isinstance(value, bool) or not isinstance(value, int | float) or not value >= least:
        raise ConfigError(f"{name} is a number from {least} on, not {value!r}", option=name)


def _index(partition: int | None) -> int | None:
    if partition is not None:
        _at_least(0, _integer(partition, "partition"), "partition")
    return partition


def _text(topic: str | None) -> str | None:
    if topic is not None and not isinstance(topic, str):
        raise ConfigError(f"topic is a name, not {topic!r}", option="topic")
    return topic
