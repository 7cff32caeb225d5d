"""The results as text for a terminal."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict

from tests.bench.series import Results
from tests.bench.tables import Table, goals, tables
from tests.bench.workloads import Settings


def lines(results: Results) -> Iterator[str]:
    """All tables; the goals come last, where a terminal shows them."""
    yield "Settings of all clients, where a row does not name others:"
    yield "  " + ", ".join(f"{word}={value}" for word, value in asdict(Settings()).items())
    for table in tables(results):
        yield ""
        yield from text(table)
    yield ""
    yield from text(goals(results))
    if results.notes:
        yield ""
    for note in results.notes:
        yield f"note: {note}"


def text(table: Table) -> Iterator[str]:
    """One table, words to the left and figures to the right."""
    widths = [
        max(len(cell) for cell in column)
        for column in zip(table.headings, *table.rows, strict=True)
    ]
    yield f"{table.title}:"
    before = ""
    for cells in (table.headings, *table.rows):
        # A workload is named once, where its rows begin.
        shown = ["" if cells[0] == before else cells[0], *cells[1:]]
        before = cells[0]
        yield (
            "  "
            + "  ".join(
                cell.ljust(width) if number < table.left else cell.rjust(width)
                for number, (cell, width) in enumerate(zip(shown, widths, strict=True))
            ).rstrip()
        )
