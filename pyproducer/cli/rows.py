"""CSV rows out of lines: a quoted field may go on over line breaks."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from pyproducer.cli.found import TOO_LONG, Found, Item, Rejected
from pyproducer.cli.lines import Line

__all__ = ["RowJoiner"]

#: Lines that a quoted field may span before its quote counts as never closed.
_MAX_LINES: Final = 1000
_NEVER_CLOSED: Final = "a quote opens on this line and never closes as it should"


class RowJoiner:
    """Lines in, rows out, each with the number of its first line and no key.

    A quote that never closes costs its own line only: the lines behind it are read again as rows
    of their own.

    Args:
        delimiter: the character between fields.
        limit: bytes of the longest row.

    Attributes:
        size: bytes of the row that is open.
    """

    def __init__(self, delimiter: str, limit: int) -> None:
        self.size = 0
        self._limit = limit
        self._lines: list[Line] = []
        other = re.escape(delimiter.encode())
        quoted = rb'"(?:[^"]++|"")*+'
        field = rb'(?:%b"|[^"%b]*+)' % (quoted, other)
        # Nothing in these is tried twice.
        self._whole = re.compile(rb"(?:%b%b)*+%b" % (field, other, field))
        self._open = re.compile(rb"(?:%b%b)*+%b" % (field, other, quoted))

    def feed(self, line: Line) -> Iterator[Found]:
        """The rows that end with this line; none if it leaves a quote open."""
        if line.data is None:
            yield from self.end()
            yield Rejected(line.number, TOO_LONG)
            return
        # Without a quote nothing opens and nothing closes.
        quoted = b'"' in line.data
        if not self._lines and not quoted:
            yield Item(line.number, None, line.data.removesuffix(b"\r"))
            return
        self._lines.append(line)
        self.size += len(line.data) + 1
        if quoted:
            row = b"\n".join(one.data or b"" for one in self._lines).removesuffix(b"\r")
            # Whoever reads a single line that is no row can say more than that it is none.
            if self._whole.fullmatch(row) or (len(self._lines) == 1 and not self._opens(row)):
                number = self._lines[0].number
                self._lines, self.size = [], 0
                yield Item(number, None, row)
                return
            if not self._opens(row):
                yield from self._drop_first()
                return
        if len(self._lines) >= _MAX_LINES or self.size > self._limit:
            yield from self._drop_first()

    def _opens(self, row: bytes) -> bool:
        return self._open.fullmatch(row) is not None

    def end(self) -> Iterator[Found]:
        """What is left of lines whose quote has not closed."""
        while self._lines:
            yield from self._drop_first()

    def _drop_first(self) -> Iterator[Found]:
        [first, *rest], self._lines, self.size = self._lines, [], 0
        yield Rejected(first.number, _NEVER_CLOSED)
        for line in rest:
            yield from self.feed(line)
