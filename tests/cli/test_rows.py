from __future__ import annotations

import csv
import io

from hypothesis import given
from hypothesis import strategies as st

from pyproducer.cli.found import Item, Rejected
from pyproducer.cli.lines import Line
from pyproducer.cli.rows import RowJoiner

FIELD = st.text('ab,"\n;', max_size=8)


def rows(data: bytes, *, delimiter: str = ",", limit: int = 1000) -> list:
    joiner = RowJoiner(delimiter, limit)
    lines = data.split(b"\n")
    found = [
        one
        for number, line in enumerate(lines, 1)
        for one in joiner.feed(Line(number, None if b"LONG" in line else line))
    ]
    return found + list(joiner.end())


@given(st.lists(st.lists(FIELD, min_size=1, max_size=4), min_size=1, max_size=6))
def test_rows_of_a_csv_writer(table):
    """
    What Python's writer makes of any fields is cut at the ends of its rows and nowhere else.
    """
    written = []
    for row in table:
        out = io.StringIO()
        csv.writer(out, lineterminator="\n").writerow(row)
        written.append(out.getvalue().removesuffix("\n").encode())

    assert written == [one.value for one in rows(b"\n".join(written))]


@given(st.binary().map(lambda data: data.replace(b"\r", b"")))
def test_no_line_is_forgotten(data):
    """
    Whatever the bytes: each line is in a row or refused, in order, and none twice.
    """
    covered = []
    for one in rows(data):
        lines = one.value.count(b"\n") + 1 if isinstance(one, Item) else 1
        covered += range(one.line, one.line + lines)

    assert list(range(1, data.count(b"\n") + 2)) == covered


def test_a_quote_that_never_closes_costs_one_line():
    """
    The lines behind it are rows of their own, at the end, at the limit and before a long line.
    """
    assert [Rejected, Item, Item] == [type(one) for one in rows(b'a,"b\nc,d\ne,f')]
    assert [Rejected, Item] == [type(one) for one in rows(b'a,"b\n' + b"c" * 40, limit=30)]
    assert [(Rejected, 1), (Item, 2), (Rejected, 3), (Item, 4)] == [
        (type(one), one.line) for one in rows(b'a,"b\nc,d\nLONG\ne,f')
    ]


def test_other_delimiters():
    """
    A quote opens after the delimiter in use and after no other character.
    """
    assert [b'a|"b\nc"'] == [one.value for one in rows(b'a|"b\nc"', delimiter="|")]
    assert [1, 2] == [one.line for one in rows(b'a,"b\nc"', delimiter="|")]
