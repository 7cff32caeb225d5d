"""Segments of which compaction has left nothing but the batch that says where they end."""

from __future__ import annotations

from pathlib import Path

from pyproducer.records.reader import iter_batches
from tests.helpers.compaction import Rig
from tests.helpers.partition_logs import batches_of


def test_readers_are_given_what_comes_after_them(tmp_path: Path):
    """
    A read gives records where there are any behind the offset, and empty batches only where they
    are the last of what may be read.
    """
    rig = Rig(tmp_path, segment_bytes=300)
    for number in range(20):
        rig.put(("a", f"{number}" + "-" * 200))
    rig.seal()
    rig.put(("b", "1"))
    rig.clean()
    assert 20 < len(rig.log.segment_base_offsets)
    assert [19, 20] == [row.offset for row in rig.rows()]

    for offset in range(20):
        [batch] = iter_batches(rig.log.read(offset, 1 << 20))
        assert (19, 1) == (batch.header.base_offset, batch.header.record_count)
    assert [19, 20] == [one.header.base_offset for one in batches_of(rig.log)]
    [empty] = iter_batches(rig.log.read(7, 1 << 20, max_offset=19))
    assert (18, 0) == (empty.header.base_offset, empty.header.record_count)
