"""The sparse indexes: lookups, bytes on disk, refusal of what cannot be theirs."""

from __future__ import annotations

import struct
from bisect import bisect_right

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pyproducer.broker.log.filesystem import RealFileSystem
from pyproducer.broker.log.index import (
    CorruptIndexError,
    OffsetIndex,
    OffsetPosition,
    TimeIndex,
    TimestampOffset,
)

FS = RealFileSystem(sync=False)


def offset_index(tmp_path, base=1000, max_bytes=1 << 20):
    index = OffsetIndex(FS, tmp_path / "i.index", base, max_bytes)
    index.clear()
    return index


def time_index(tmp_path, base=1000, max_bytes=1 << 20):
    index = TimeIndex(FS, tmp_path / "i.timeindex", base, max_bytes)
    index.clear()
    return index


def test_offset_entries_have_kafkas_layout(tmp_path):
    """
    An entry is relative offset and position, four big-endian bytes each.
    """
    index = offset_index(tmp_path)
    index.append(1005, 4200)
    index.append(1009, 9000)
    index.write_behind()

    assert struct.pack(">iiii", 5, 4200, 9, 9000) == index.path.read_bytes()


def test_time_entries_have_kafkas_layout(tmp_path):
    """
    An entry is a timestamp of eight bytes and a relative offset of four.
    """
    index = time_index(tmp_path)
    index.maybe_append(1_700_000_000_000, 1005)
    index.maybe_append(1_700_000_000_000, 1006)
    index.maybe_append(1_700_000_000_001, 1007)
    index.write_behind()

    assert (
        struct.pack(">qiqi", 1_700_000_000_000, 5, 1_700_000_000_001, 7) == index.path.read_bytes()
    )


@given(
    st.lists(st.tuples(st.integers(1, 50), st.integers(1, 5000)), max_size=40),
    st.integers(900, 4000),
    st.booleans(),
)
def test_lookups_agree_with_a_list(tmp_path_factory, steps, target, sealed):
    """
    Whether in memory or on disk, a lookup finds the last entry at or before its target.
    """
    index = offset_index(tmp_path_factory.mktemp("index"))
    offset, position, entries = 1000, 0, []
    for offset_step, position_step in steps:
        offset += offset_step
        position += position_step
        entries.append(OffsetPosition(offset, position))
        index.append(offset, position)
    if sealed:
        index.seal()
    by_offset = bisect_right(entries, target, key=lambda entry: entry.offset)
    by_position = bisect_right(entries, target, key=lambda entry: entry.position)

    assert entries == index.entries()
    assert (entries[by_offset - 1].position if by_offset else 0) == index.position_of(target)
    assert (entries[by_position - 1].position if by_position else 0) == index.position_before(
        target
    )


def test_time_lookup_never_skips_an_equal_timestamp(tmp_path):
    """
    The search for a time starts before the batch that first reached it.
    """
    index = time_index(tmp_path)
    index.maybe_append(10, 1003)
    index.maybe_append(20, 1009)

    assert [1000, 1000, 1003, 1003, 1009] == [index.offset_before(t) for t in (5, 10, 11, 20, 21)]


def test_sealed_index_keeps_nothing_in_memory_and_takes_no_entry(tmp_path):
    """
    A sealed index answers from disk, and an entry for it is a mistake.
    """
    index = offset_index(tmp_path)
    index.append(1001, 100)
    index.seal()

    assert OffsetPosition(1001, 100) == index.last
    with pytest.raises(ValueError, match="sealed"):
        index.append(1002, 200)


def test_full_counts_entries_not_bytes(tmp_path):
    """
    An offset index is full at segment.index.bytes, a time index one entry earlier.
    """
    offsets, times = offset_index(tmp_path, max_bytes=17), time_index(tmp_path, max_bytes=36)
    offsets.append(1001, 1)
    times.maybe_append(1, 1001)

    assert (False, False) == (offsets.full, times.full)
    offsets.append(1002, 2)
    times.maybe_append(2, 1002)

    assert (True, True) == (offsets.full, times.full)


@pytest.mark.parametrize("growing", [True, False])
@pytest.mark.parametrize(
    "content",
    [
        b"1234567",
        struct.pack(">iiii", 5, 100, 4, 200),
        struct.pack(">iiii", 5, 200, 6, 100),
        struct.pack(">ii", -1, 0),
    ],
    ids=["length", "offsets fall", "positions fall", "negative"],
)
def test_impossible_files_are_refused(tmp_path, content, growing):
    """
    A file that no log has written is not trusted.
    """
    index = offset_index(tmp_path)
    index.path.write_bytes(content)
    with pytest.raises(CorruptIndexError):
        index.open(growing=growing)


def test_empty_time_index_has_no_time(tmp_path):
    """
    Without an entry the last time is -1 at the segment's base.
    """
    assert TimestampOffset(-1, 1000) == time_index(tmp_path).last
