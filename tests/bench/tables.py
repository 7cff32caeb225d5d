"""The results as tables, for a terminal and for the page alike."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from tests.bench.clients import CLIENTS
from tests.bench.goals import verdicts
from tests.bench.series import Key, Results, Summary, summarize
from tests.bench.sinks import SINK_NAMES

#: Heading of each metric, in the order of the columns. Others are kept in the JSON alone.
METRICS = {
    "records_per_s": "records/s",
    "cpu_s_per_million": "CPU s per million",
    "sink_cpu_s_per_million": "server CPU s per million",
    "p50_us": "p50, us",
    "p99_us": "p99, us",
    "p50_ms": "p50, ms",
    "p99_ms": "p99, ms",
    "p99.9_ms": "p99.9, ms",
    "worst_ms": "worst of a round, ms",
    "greatest_ms": "worst of all, ms",
    "p99.9_held_ms": "p99.9 running, ms",
    "greatest_held_ms": "worst running, ms",
    "bytes_per_record": "bytes per record",
    "start_ms": "start to ready, ms",
    "idle_mib": "idle, MiB",
    "idle_cpu_percent": "idle CPU, %",
    "ms": "ms",
}

#: Title of each measure, and what a reader has to know to read it.
MEASURES = {
    "throughput": (
        "Throughput",
        (
            "From the first call until every outcome is known and read; connecting and the first record "
            "are not timed. CPU is that of the client's process, all its threads included."
        ),
    ),
    "latency": (
        "Round trip of one record",
        (
            "One record at a time, `linger_ms=0`, 300 to warm up and 1,500 measured in each round. "
            "Bare asyncio writes the same request to the same server without any client."
        ),
    ),
    "trickle": (
        "A trickle",
        "From `enqueue` to the outcome at a steady low rate, 5 ms of linger.",
    ),
    "stall": (
        "Stalls of the event loop",
        (
            "A ticker of 1 ms beside a loop of `await enqueue` that never sleeps, 2 s a round, "
            "acks=all, idempotent, the default buffer of 64 MiB, the garbage collector as it is. "
            "Without a client: the same ticker beside nothing, and beside a loop that is busy with "
            "nothing for 1 ms at a time, alone and while two threads do nothing but compress. The percentile is over the ticks of all rounds. "
            "Running is the part of a tick in which the loop's thread had the processor: what a stall "
            "has beyond it, the machine gave to others."
        ),
    ),
    "memory": (
        "Memory of a queued record",
        (
            "How much the process grows by, divided by a million records of 100 bytes that are queued "
            "while the broker is gone. The list that holds the kept handles is in it."
        ),
    ),
    "partitions": (
        "Partitions",
        (
            "The cost of a record of 100 bytes as the topic has more partitions. With 10,000 partitions "
            "one after the other, a batch holds few records."
        ),
    ),
    "waiters": (
        "Waiting callers",
        (
            "Tasks that each `await send` and so wait for outcomes, and tasks in `await enqueue` with a "
            "buffer of 4 MiB, waiting for room; both beside tasks that wait for bare futures."
        ),
    ),
    "delay": (
        "A distant broker",
        (
            "acks=all, idempotent. The server holds each answer back for 50 ms, without holding up what follows. With five "
            "requests of 1 MiB in flight, 105 MB/s is all that any client can reach."
        ),
    ),
    "imports": ("Imports", "The statement alone, in a new interpreter."),
    "brokers": (
        "Brokers",
        (
            "Fed by confluent-kafka with callbacks, 1 KB, acks=1. Start is from making the process to "
            "the first answer; memory and CPU are taken a second later."
        ),
    ),
}


@dataclass(frozen=True)
class Table:
    """Cells as text, the first row of headings apart; ``left`` columns hold words."""

    title: str
    note: str
    headings: Sequence[str]
    rows: Sequence[Sequence[str]]
    left: int = 1


def amount(value: float) -> str:
    """Three digits, with k and M for thousands and millions."""
    for limit, unit in ((999_500, " M"), (9_995, " k")):
        if abs(value) >= limit:
            return f"{value / (1_000_000 if unit == ' M' else 1_000):.3g}{unit}"
    if abs(value) >= 999.5:
        return f"{value:,.0f}"
    return f"{value:.3g}"


def spread(summary: Summary) -> str:
    """The median, and the least and the greatest round where there are several."""
    if summary.low == summary.high:
        return amount(summary.median)
    return f"{amount(summary.median)} ({amount(summary.low)} .. {amount(summary.high)})"


def name(client: str) -> str:
    """A client as a reader knows it; what is no client is named by itself."""
    return CLIENTS[client].name if client in CLIENTS else client


def goals(results: Results) -> Table:
    """Every goal with what came of it."""
    return Table(
        "Goals",
        "",
        ("what", "against", "goal", "measured", "", "in the same run"),
        [
            (one.goal.what, one.goal.against, one.goal.words, one.measured, one.words, one.beside)
            for one in verdicts(results)
        ],
        left=2,
    )


def tables(results: Results) -> Iterator[Table]:
    """A table for each measure, in the order in which they are explained."""
    for measure, (title, note) in MEASURES.items():
        places = dict.fromkeys(
            (series.key.workload, series.key.sink, series.key.client)
            for series in results.select(measure=measure)
        )
        if not places:
            continue
        has = {series.key.metric for series in results.select(measure=measure)}
        metrics = [metric for metric in METRICS if metric in has]
        several = len({sink for _, sink, _ in places}) > 1
        rows = []
        for workload, sink, client in sorted(places, key=_grouped(list(places))):
            cells = [workload, *([SINK_NAMES[sink]] if several else []), name(client)]
            for metric in metrics:
                rounds = results.rounds(Key(measure, workload, sink, client, metric))
                cells.append(spread(summarize(rounds)) if rounds else "")
            rows.append(cells)
        headings = ["", *(["server"] if several else []), "", *(METRICS[one] for one in metrics)]
        yield Table(title, note, headings, rows, left=3 if several else 2)


def _grouped(
    places: Sequence[tuple[str, str, str]],
) -> Callable[[tuple[str, str, str]], tuple[int, int, int]]:
    """Sorts by where a workload, then a server in it, was met first."""
    first: dict[tuple[str, ...], int] = {}
    for number, (workload, sink, _) in enumerate(places):
        first.setdefault((workload,), number)
        first.setdefault((workload, sink), number)
    order = {place: number for number, place in enumerate(places)}
    return lambda place: (first[place[:1]], first[place[:2]], order[place])
