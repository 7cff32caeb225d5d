"""The results as text for a terminal."""

from __future__ import annotations

from collections.abc import Iterator

from tests.bench.clients import CLIENTS
from tests.bench.series import Key, Results, Summary


def rate(summary: Summary) -> str:
    """A rate with its least and greatest round."""
    return f"{amount(summary.median):>10} ({amount(summary.low)} .. {amount(summary.high)})"


def amount(figure: float) -> str:
    """A figure in three digits, with k and M for thousands and millions."""
    for limit, unit in ((1_000_000, "M"), (1_000, "k")):
        if abs(figure) >= limit:
            return f"{figure / limit:.3g} {unit}"
    return f"{figure:.3g}"


def throughput_lines(results: Results) -> Iterator[str]:
    """Each row of the throughput, a line for each client."""
    rows: dict[tuple[str, str], list[str]] = {}
    for series in results.select(measure="throughput", metric="records_per_s"):
        rows.setdefault((series.key.workload, series.key.sink), []).append(series.key.client)
    for (workload, sink), clients in rows.items():
        yield f"\n{workload} ({sink})"
        yield f"  {'':<38}{'records/s':>10} {'(least .. greatest)':<22}{'CPU s per million':>18}"
        for client in clients:
            [series] = results.select(
                measure="throughput", workload=workload, sink=sink, client=client,
                metric="records_per_s",
            )  # fmt: skip
            cpu = results.median(Key("throughput", workload, sink, client, "cpu_s_per_million"))
            yield (
                f"  {CLIENTS[client].name:<38}{rate(series.summary):<33}"
                f"{'' if cpu is None else f'{cpu:18.2f}'}"
            )


def lines(results: Results) -> Iterator[str]:
    """The whole report."""
    yield from throughput_lines(results)
    for series in results.select():
        if (
            series.key.measure != "throughput"
            and not series.key.metric.startswith(("sink", "records "))
            and series.key.metric != "records"
        ):
            yield f"{' / '.join(series.key):<70} {rate(series.summary)}"
    for note in results.notes:
        yield f"note: {note}"
