"""What is to be reached, as data: every figure with its limit, and how it comes from the results."""

from __future__ import annotations

import statistics
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import NamedTuple, Protocol

from tests.bench.series import Key, Results

ROOM = 1.15  #: "within 15 %"

#: Records a second that batches of 1 MB of them allow, five of each of four partitions in 50 ms.
#: A broker remembers no more of a producer, so that more of them could be there twice.
_IN_FLIGHT = 4 * 5 * (1_000_000 // 110) / 0.05


class Figure(NamedTuple):
    """What was measured; ``low`` and ``high`` are of single rounds where those can be paired."""

    value: float
    low: float | None = None
    high: float | None = None


class Measured(Protocol):
    """How a figure is computed."""

    def of(self, results: Results) -> Figure | None:
        """The figure; None if a part of it was not measured."""


@dataclass(frozen=True)
class Median:
    """The middle round of a series."""

    key: Key

    def of(self, results: Results) -> Figure | None:
        rounds = results.rounds(self.key)
        return Figure(statistics.median(rounds), min(rounds), max(rounds)) if rounds else None


@dataclass(frozen=True)
class Ratio:
    """Median by median. The spread is of the ratios within each round."""

    over: Key
    under: Key

    def of(self, results: Results) -> Figure | None:
        over, under = results.rounds(self.over), results.rounds(self.under)
        if not over or not under or not all(under):
            return None
        value = statistics.median(over) / statistics.median(under)
        if len(over) != len(under):
            return Figure(value)
        pairs = [one / other for one, other in zip(over, under, strict=True)]
        return Figure(value, min(pairs), max(pairs))


@dataclass(frozen=True)
class Share:
    """Of the median of a series, what a rate that is known beforehand makes."""

    rate: float
    under: Key

    def of(self, results: Results) -> Figure | None:
        under = results.median(self.under)
        return Figure(self.rate / under) if under else None


@dataclass(frozen=True)
class RatioBeyond:
    """Median by median of what two series have more than two others: a cost above its floor."""

    over: Key
    over_floor: Key
    under: Key
    under_floor: Key

    def of(self, results: Results) -> Figure | None:
        keys = (self.over, self.over_floor, self.under, self.under_floor)
        medians = [results.median(key) for key in keys]
        if any(one is None for one in medians):
            return None
        over, over_floor, under, under_floor = (float(one or 0) for one in medians)
        return Figure((over - over_floor) / (under - under_floor))


@dataclass(frozen=True)
class RatioToSum:
    """Median by median: a cost to that of its parts, each measured alone."""

    over: Key
    parts: tuple[Key, ...]

    def of(self, results: Results) -> Figure | None:
        medians = [results.median(key) for key in (self.over, *self.parts)]
        if any(one is None for one in medians):
            return None
        over, *parts = (float(one or 0) for one in medians)
        return Figure(over / sum(parts))


@dataclass(frozen=True)
class Greatest:
    """The worst of several figures, all of which must be there."""

    parts: tuple[Measured, ...]

    def of(self, results: Results) -> Figure | None:
        found = [part.of(results) for part in self.parts]
        known = [figure for figure in found if figure is not None]
        return max(known) if known and len(known) == len(found) else None


class Bound(NamedTuple):
    """What nobody can get past, or what a peer reaches: measured in the same run."""

    what: str
    measured: Measured


@dataclass(frozen=True)
class Goal:
    """One line of the table.

    Attributes:
        what: is measured.
        against: what it is compared with; empty for plain figures.
        limit: the figure to reach.
        least: True if the figure has to be at least the limit, False if at most.
        unit: of figure and limit; ``x`` for ratios.
        bound: the same figure of somebody else, to judge the goal by.
    """

    what: str
    against: str
    limit: float
    least: bool
    unit: str
    measured: Measured
    bound: Bound | None = None

    @property
    def words(self) -> str:
        """The limit as a reader expects it."""
        return f"{'>=' if self.least else '<='} {self.limit:g}{self._unit}"

    @property
    def _unit(self) -> str:
        return "x" if self.unit == "x" else f" {self.unit}"

    def judge(self, results: Results) -> Verdict:
        """The figure, and whether it is good enough."""
        figure = self.measured.of(results)
        if figure is None:
            return Verdict(self, None, None)
        enough = figure.value >= self.limit if self.least else figure.value <= self.limit
        return Verdict(self, figure, enough, self.bound and self.bound.measured.of(results))


@dataclass(frozen=True)
class Verdict:
    """A goal and what came of it; ``met`` is None where nothing was measured."""

    goal: Goal
    figure: Figure | None
    met: bool | None
    bound: Figure | None = None

    @property
    def words(self) -> str:
        return {True: "met", False: "NOT met", None: "not measured"}[self.met]

    @property
    def beside(self) -> str:
        """The figure that it is judged by, in words; empty for none."""
        if self.goal.bound is None or self.bound is None:
            return ""
        return f"{self.goal.bound.what}: {self.bound.value:.3g}{self.goal._unit}"

    @property
    def measured(self) -> str:
        """The figure, and the spread of the rounds."""
        if self.figure is None:
            return "-"
        unit = self.goal._unit
        spread = ""
        low, high = self.figure.low, self.figure.high
        if low is not None and high is not None and low != high:
            spread = f" ({low:.3g} .. {high:.3g})"
        return f"{self.figure.value:.3g}{unit}{spread}"


def rate(workload: str, client: str, *, measure: str = "throughput", sink: str = "mock") -> Key:
    """Records a second."""
    return Key(measure, workload, sink, client, "records_per_s")


def cpu(workload: str, client: str, *, measure: str = "throughput") -> Key:
    """Processor time per million records."""
    return Key(measure, workload, "mock", client, "cpu_s_per_million")


def _faster(what: str, workload: str, client: str, peer: str, against: str, limit: float) -> Goal:
    return Goal(
        what, against, limit, True, "x", Ratio(rate(workload, client), rate(workload, peer))
    )


_CALLBACK = "confluent-kafka, callback"


def _throughput() -> Iterator[Goal]:
    what = "enqueue per record, every outcome read, 100 B, acks=1"
    for peer, against, limit in (
        ("confluent.callback", _CALLBACK, 4),
        ("confluent.plain", "confluent-kafka, no callback", 2),
        ("aiokafka", "aiokafka", 20),
        ("kafka-python", "kafka-python", 50),
        ("confluent.aio", "AIOProducer", 150),
    ):
        nothing = Ratio(rate("100 B", "floor.nothing"), rate("100 B", peer))
        yield replace(
            _faster(what, "100 B", "ours.enqueue", peer, against, limit),
            bound=Bound("an empty coroutine", nothing),
        )
    callback = "confluent.callback"
    yield _faster(
        "enqueue_nowait, a callback per record", "100 B", "ours.nowait", callback, _CALLBACK, 3
    )
    for codec, limit in (("lz4", 3), ("zstd", 2)):
        for client, name in (("ours.enqueue", "enqueue"), ("ours.nowait", "enqueue_nowait")):
            yield _faster(
                f"{name}, acks=all, idempotent, {codec}",
                f"100 B, acks=all, idempotent, {codec}",
                client,
                callback,
                _CALLBACK,
                limit,
            )
    yield _faster("enqueue_many, 100 B", "100 B", "ours.many", callback, _CALLBACK, 8)
    yield _faster("enqueue, 1 KB", "1 KB", "ours.enqueue", callback, _CALLBACK, 1.5)
    yield _faster(
        "SyncProducer.enqueue, one thread, 100 B", "100 B", "ours.sync", callback, _CALLBACK, 3
    )
    yield Goal(
        "CPU per million records, enqueue, 100 B",
        _CALLBACK,
        0.25,
        False,
        "x",
        Ratio(cpu("100 B", "ours.enqueue"), cpu("100 B", callback)),
    )
    yield _faster(
        "pure Python twin, enqueue, 100 B", "100 B", "pure.enqueue", "aiokafka", "aiokafka", 1
    )
    yield _faster(
        "JSON dicts through JsonSerializer", "JSON", "ours.enqueue", callback,
        "confluent-kafka with json.dumps", 3,
    )  # fmt: skip


def _latency() -> Iterator[Goal]:
    for percent in (50, 99):
        for client, peer, against, limit in (
            ("ours.send", "confluent.callback", "confluent-kafka", 1.0),
            ("ours.send", "aiokafka", "aiokafka", 0.6),
            ("ours.sync_send", "confluent.callback", "confluent-kafka", 1.5),
        ):
            name = "send" if client == "ours.send" else "SyncProducer send"
            metric = f"p{percent}_us"
            yield Goal(
                f"{name}, round trip, p{percent}",
                against,
                limit,
                False,
                "x",
                Ratio(
                    Key("latency", "single record", "mock", client, metric),
                    Key("latency", "single record", "mock", peer, metric),
                ),
            )
    for records in ("1", "1,000"):
        key = Key("trickle", f"{records} records/s", "mock", "ours.enqueue", "p99_ms")
        yield Goal(f"trickle of {records} records/s, p99", "", 20, False, "ms", Median(key))
    codecs = ("none", "lz4", "zstd", "snappy", "gzip")
    for metric, name, limit in (
        ("p99.9_ms", "p99.9", 5),
        ("greatest_ms", "worst", 20),
        ("p99.9_held_ms", "p99.9, running", 5),
        ("greatest_held_ms", "worst, running", 20),
    ):
        ours, floor = (
            Greatest(tuple(Median(Key("stall", codec, "mock", who, metric)) for codec in some))
            for who, some in (("ours.enqueue", codecs), ("floor.compressing", codecs[1:]))
        )
        floor = Greatest((floor, Median(Key("stall", "no client", "mock", "floor", metric))))
        bound = Bound("an empty loop, alone and beside two threads that compress", floor)
        yield Goal(f"loop stall, any codec, {name}", "", limit, False, "ms", ours, bound)


def _growth(choice: str, client: str) -> Greatest:
    """How much more of the processor a record takes as its topic has more partitions."""
    one, *more = (
        cpu(f"{choice}, {count}", client, measure="partitions") for count in ("1", "100", "10,000")
    )
    return Greatest(tuple(Ratio(many, one) for many in more))


def _waiting(client: str) -> RatioBeyond:
    """How much more a record takes, beyond asyncio's own, where 10,000 tasks wait for outcomes."""
    many, many_floor, few, few_floor = (
        cpu(f"for outcomes, {count}", who, measure="waiters")
        for count in ("10,000", "100")
        for who in (client, "floor")
    )
    return RatioBeyond(many, many_floor, few, few_floor)


def _costs() -> Iterator[Goal]:
    for workload, limit in (("handles dropped", 132), ("handles kept", 200)):
        key = Key("memory", workload, "mock", "ours.enqueue", "bytes_per_record")
        yield Goal(
            f"memory per queued 100 B record, {workload}", "", limit, False, "B", Median(key)
        )
    spread = "one after the other"
    floor = Ratio(
        *(
            cpu(f"{spread}, {count}", client, measure="partitions")
            for count, client in (("10,000", "floor.batches"), ("1", "ours.enqueue"))
        )
    )
    for choice, bound in (
        (
            "chosen by the client",
            Bound("confluent-kafka", _growth("chosen by the client", "confluent.callback")),
        ),
        (spread, Bound("batches of 16 without a producer", floor)),
    ):
        yield Goal(
            f"CPU per record, 100 and 10,000 partitions {choice}",
            "1 partition",
            ROOM,
            False,
            "x",
            _growth(choice, "ours.enqueue"),
            bound,
        )
    yield Goal(
        "CPU per record, beyond asyncio's own, 10,000 waiters for outcomes",
        "100 waiters",
        ROOM,
        False,
        "x",
        _waiting("ours.send"),
        Bound("bare asyncio, records and results kept", _waiting("floor.keeping")),
    )
    one, many = (
        cpu(f"for room, {count}", "ours.enqueue", measure="waiters") for count in ("1", "10,000")
    )
    yield Goal(
        "CPU per record, 10,000 waiters for room in the buffer",
        "1 waiter, and asyncio's own waking of 10,000",
        ROOM,
        False,
        "x",
        RatioToSum(many, (one, cpu("for room, 10,000", "floor", measure="waiters"))),
    )
    way = "requests in flight as the client chooses"
    for partitions, before in (("", ""), (", 16 partitions", "16 partitions, ")):
        with_, without = (
            rate(f"{before}{way}, {wait} ms", "ours.enqueue", measure="delay") for wait in (50, 0)
        )
        bound = Bound("five batches of each partition", Share(_IN_FLIGHT, without))
        yield Goal(
            f"throughput with 50 ms of added round trip{partitions}",
            "without",
            0.8,
            True,
            "x",
            Ratio(with_, without),
            None if partitions else bound,
        )


def _programs() -> Iterator[Goal]:
    for sink, against in (("tansu", "Tansu"), ("kafka", "Apache Kafka")):
        ours, theirs = (
            rate("1 KB", "confluent.callback", measure="brokers", sink=one)
            for one in ("ours", sink)
        )
        yield Goal(
            "broker fed by confluent-kafka, 1 KB, acks=1", against, 1, True, "x",
            Ratio(ours, theirs),
        )  # fmt: skip
    for metric, name, limit, unit in (
        ("start_ms", "broker: start to ready", 300, "ms"),
        ("idle_mib", "broker: idle memory", 80, "MiB"),
    ):
        key = Key("brokers", "start and idle", "ours", "broker", metric)
        yield Goal(name, "", limit, False, unit, Median(key))
    for statement in ("import pyproducer", "from pyproducer import AsyncProducer"):
        key = Key("imports", "import", "none", statement, "ms")
        yield Goal(statement, "", 120, False, "ms", Median(key))


GOALS: tuple[Goal, ...] = (*_throughput(), *_latency(), *_costs(), *_programs())


def verdicts(results: Results) -> list[Verdict]:
    """What came of every goal."""
    return [goal.judge(results) for goal in GOALS]
