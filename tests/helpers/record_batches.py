"""Records and batches for the tests of everything that reads or writes them."""

from __future__ import annotations

from hypothesis import strategies as st

from pyproducer.records.record import Record

#: 1_700_000_000_000 is 2023-11-14T22:13:20Z.
NOON = 1_700_000_000_000

names = st.text(st.characters(codec="utf-8"), max_size=12)
contents = st.none() | st.binary(max_size=200)
headers = st.lists(st.tuples(names, contents), max_size=4).map(tuple)
timestamps = st.integers(0, 2**42) | st.integers(-(2**40), 2**62)


@st.composite
def record_lists(draw: st.DrawFn, max_size: int = 12) -> list[Record]:
    """Lists of at least one record, with the offsets 0, 1, 2 and so on."""
    fields = st.tuples(timestamps, contents, contents, headers)
    drawn = draw(st.lists(fields, min_size=1, max_size=max_size))
    return [
        Record(index, timestamp, key=key, value=value, headers=pairs)
        for index, (timestamp, key, value, pairs) in enumerate(drawn)
    ]


def every_shape(base_offset: int = 0) -> list[Record]:
    """One record of each shape: nulls, empties, headers, times that go back, sizes of varints."""
    shapes: list[Record] = [
        Record(0, NOON, key=b"key", value=b"value"),
        Record(0, NOON + 5, key=None, value=b"no key"),
        Record(0, NOON - 70_000, key=b"tombstone", value=None),
        Record(0, NOON, key=b"", value=b""),
        Record(0, NOON, key=None, value=None),
        Record(0, NOON + 2**33, key=b"later", value=b"x" * 63),
        Record(0, NOON, key=b"k" * 64, value=b"y" * 64),
        Record(0, NOON, key=b"\x00\xff", value=bytes(range(256)) * 40),
        Record(0, NOON, key=b"h", value=b"v", headers=(("trace", b"1"), ("trace", b"2"))),
        Record(0, NOON, key=b"h", value=b"v", headers=(("", b""), ("null", None))),
        Record(0, NOON, key=b"h", value=b"v", headers=(("gr\u00fc\u00df \U0001f600", b"\xff"),)),
        Record(
            0, NOON, key=b"h", value=b"v", headers=tuple((f"n{i}", b"z" * i) for i in range(70))
        ),
        Record(0, NOON, key=b"big", value=b"abc 123 " * 30_000),
    ]
    return [record._replace(offset=base_offset + index) for index, record in enumerate(shapes)]
