"""The documentation's page of performance: its tables and plots, made from the results.

The page is written by hand but for what stands between the marks.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

from tests.bench.driver_process import ROOT
from tests.bench.plots import Bar, Group, chart
from tests.bench.series import Results, summarize
from tests.bench.tables import Table, goals, name, tables

PAGE = ROOT / "docs/pages/performance.md"
FOLDER = ROOT / "docs/pages/performance"
RESULTS = FOLDER / "results.json"

#: Colors by who it is, so that a client has the same one in every plot.
_COLORS = {
    "ours.enqueue": 0, "ours.send": 0, "ours.nowait": 1, "ours.many": 1, "ours.sync": 2,
    "ours.sync_send": 2, "pure.enqueue": 2, "confluent.callback": 3, "confluent.plain": 4,
    "confluent.aio": 4, "aiokafka": 5, "kafka-python": 6, "java": 7, "franz-go": 7, "floor": 7,
    "floor.keeping": 7, "floor.idle": 7, "floor.nothing": 7, "floor.batches": 7, "floor.compressing": 7,
}  # fmt: skip


def write(results: Results) -> None:
    """The page, its plots and the results beside it say what ``results`` say."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    results.save(RESULTS)
    # What the file says, which has fewer digits, is what everybody can make the page from.
    results = Results.load(RESULTS)
    for file, image in plots(results).items():
        (FOLDER / file).write_text(image)
    PAGE.write_text(filled(PAGE.read_text(), results))


def filled(page: str, results: Results) -> str:
    """The page's text with everything between its marks made anew."""
    for mark, lines in (("goals", _goals(results)), ("results", _results(results))):
        begin, end = f"<!-- {mark}: made by make bench -->", f"<!-- end of {mark} -->"
        before, found, rest = page.partition(begin)
        _, closed, after = rest.partition(end)
        if not found or not closed:
            raise ValueError(f"the page has no place for the {mark}")
        page = "".join([before, begin, "\n\n", "\n".join(lines), "\n\n", end, after])
    return page


def markdown(table: Table) -> Iterator[str]:
    """A table with a line for each row; words to the left, figures to the right."""
    yield "| " + " | ".join(table.headings) + " |"
    yield (
        "|"
        + "|".join(
            "---" if number < table.left else "---:" for number in range(len(table.headings))
        )
        + "|"
    )
    for row in table.rows:
        yield "| " + " | ".join(row) + " |"


def _goals(results: Results) -> Iterator[str]:
    yield from markdown(goals(results))


def _results(results: Results) -> Iterator[str]:
    yield from _about(results)
    images = plots(results)
    for table in tables(results):
        yield ""
        yield f"### {table.title}"
        yield ""
        yield re.sub(r"(?<=\.) ", "\n", table.note)
        for file in images:
            if file.startswith(_slug(table.title)):
                yield ""
                yield f"![{table.title}](performance/{file})"
        yield ""
        yield from markdown(table)
    if results.notes:
        yield ""
        yield "### What is missing"
        yield ""
        yield from (f"- {note}" for note in results.notes)


def _about(results: Results) -> Iterator[str]:
    facts = results.about
    yield (
        f"Measured on {facts['date']}: {facts['processor']}, {facts['cores']} cores, "
        f"{facts['memory_gib']} GiB, {facts['system']}, Python {facts['python']}; "
        f"{facts['rounds']} rounds, load {facts['load_before']:.2f} before the run."
    )
    yield ", ".join(f"{who} {version}" for who, version in facts["versions"].items()) + "."
    yield "All figures are in [results.json](performance/results.json), round by round."


def plots(results: Results) -> Mapping[str, str]:
    """Every plot that there are figures for, by the name of its file."""
    found = {}
    for title, file, measure, metric, unit, workloads in _PLOTS:
        groups = list(_groups(results, measure, metric, workloads))
        if groups:
            found[f"{file}.svg"] = chart(title, unit, groups)
    return found


def _groups(
    results: Results, measure: str, metric: str, workloads: tuple[str, ...]
) -> Iterator[Group]:
    for workload in workloads:
        bars = [
            Bar(name(one.key.client), summarize(one.rounds), _COLORS.get(one.key.client, 7))
            for one in results.select(
                measure=measure, workload=workload, sink="mock", metric=metric
            )
        ]
        if bars:
            yield Group(workload.rpartition(", ")[2] if len(workloads) > 1 else "", bars)


def _slug(title: str) -> str:
    return title.lower().replace(" ", "-")


#: Title, file, measure, metric, unit, workloads.
_PLOTS = (
    ("Throughput, 100 B, acks=1", "throughput-clients", "throughput", "records_per_s",
     "records per second", ("100 B",)),
    ("CPU of the client, 100 B, acks=1", "throughput-cpu", "throughput", "cpu_s_per_million",
     "seconds per million records", ("100 B",)),
    ("Throughput by codec, 100 B, acks=all, idempotent", "throughput-codecs", "throughput",
     "records_per_s", "records per second",
     tuple(f"100 B, acks=all, idempotent, {codec}"
           for codec in ("none", "lz4", "snappy", "zstd", "gzip"))),
    ("Throughput by size of the value", "throughput-sizes", "throughput", "records_per_s",
     "records per second", ("10 B", "1 KB", "10 KB", "100 KB")),
    ("Round trip of one record, median", "round-trip-of-one-record-p50", "latency", "p50_us",
     "microseconds", ("single record",)),
    ("Round trip of one record, p99", "round-trip-of-one-record-p99", "latency", "p99_us",
     "microseconds", ("single record",)),
    ("Stalls of the event loop, p99.9", "stalls-of-the-event-loop", "stall", "p99.9_ms",
     "milliseconds", ("none", "lz4", "snappy", "zstd", "gzip", "no client")),
    ("Memory of a queued record of 100 B", "memory-of-a-queued-record", "memory",
     "bytes_per_record", "bytes", ("handles dropped", "handles kept")),
)  # fmt: skip
