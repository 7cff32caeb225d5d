"""What the conformance tests found, as one table."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from tests.helpers.peers import PEERS


class Row(NamedTuple):
    """One thing tried: so many records sent, so many read, and whether they were the same."""

    writer: str
    broker: str
    reader: str
    codec: str
    acks: str
    sent: int
    read: int
    difference: str | None


@dataclass
class Scoreboard:
    """Rows and remarks in the order they came.

    Attributes:
        readers: names of the clients that read what any client wrote.
    """

    readers: Sequence[str] = PEERS
    rows: list[Row] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def add(self, row: Row) -> None:
        """Keep the row; raise AssertionError if what was read is not what was sent."""
        self.rows.append(row)
        assert row.difference is None, row.difference

    def note(self, text: str) -> None:
        """Keep a text of one or more lines to be shown below the table."""
        self.notes.append(text)

    def lines(self) -> list[str]:
        """The table: rows that differ only in codec or acks share a line, their numbers summed."""
        groups: dict[tuple[str, str, str], list[Row]] = {}
        for row in self.rows:
            groups.setdefault((row.writer, row.broker, row.reader), []).append(row)
        table = [("writer", "broker", "reader", "codecs", "acks", "sent", "read", "equal")]
        for (writer, broker, reader), rows in groups.items():
            wrong = sum(row.difference is not None for row in rows)
            table.append(
                (
                    writer,
                    broker,
                    reader,
                    " ".join(dict.fromkeys(row.codec for row in rows)),
                    " ".join(dict.fromkeys(row.acks for row in rows)),
                    f"{sum(row.sent for row in rows):,}",
                    f"{sum(row.read for row in rows):,}",
                    f"{wrong} of {len(rows)} DIFFER"
                    if wrong
                    else f"yes, {len(rows)} of {len(rows)}",
                )
            )
        widths = [max(map(len, column)) for column in zip(*table, strict=True)]
        return ["  ".join(map(str.ljust, line, widths)).rstrip() for line in table]
