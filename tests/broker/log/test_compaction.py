"""Compaction of one log: what goes, what stays, and what never changes (M1 to M5, I11, G4)."""

from __future__ import annotations

import pytest

from pyproducer.broker.errors import Refused
from pyproducer.broker.log.cleaner.settings import CleanerSettings
from pyproducer.broker.log.producer_state import EndMarker
from pyproducer.protocol.error_codes import ErrorCode
from pyproducer.records.batch import DELETE_HORIZON_BIT
from pyproducer.records.codec import Codec
from tests.helpers.compaction import Rig
from tests.helpers.partition_logs import NOW, TP, batches_of, records_of, state_of

DAY = 86_400.0
ABORT, COMMIT = EndMarker(False, 0), EndMarker(True, 0)


def test_m2_newest_record_of_each_key_survives(tmp_path):
    """
    Of each key the highest offset stays, where it was; the log's start and end are what they were.
    """
    rig = Rig(tmp_path)
    rig.put(("a", "1"), ("b", "1"), ("a", "2"))
    rig.put(("c", "1"), ("b", "2"))
    rig.seal()
    rig.put(("a", "3"))

    assert 1 == rig.clean()
    assert [(2, "a", "2"), (3, "c", "1"), (4, "b", "2"), (5, "a", "3")] == rig.rows()
    assert (0, 6) == (rig.log.log_start_offset, rig.log.log_end_offset)
    assert 5 == rig.cleaner.cleaned_to(TP)
    assert 0 == rig.clean()


def test_m2_reading_goes_on_from_any_offset(tmp_path):
    """
    A fetch at an offset that is gone gets what comes next, and every batch in between is whole.
    """
    rig = Rig(tmp_path, segment_bytes=400)
    for at in range(30):
        rig.put((f"k{at % 3}", str(at)), ("x", str(at)))
    rig.seal()
    rig.clean()

    left = rig.rows()
    assert [54, 56, 58, 59] == [row.offset for row in left]
    for offset in range(60):
        seen = [one.offset for one in records_of(rig.log, offset) if one.offset >= offset]
        assert [row.offset for row in left if row.offset >= offset] == seen


@pytest.mark.parametrize("codec", list(Codec))
def test_m2_batches_keep_what_they_are(tmp_path, codec):
    """
    Base offset, last offset delta, sequence, producer, epoch, codec and times stay; gaps inside.
    """
    rig = Rig(tmp_path)
    rig.put(("a", "1"), ("b", "1"), ("a", "2"), codec=codec, producer=(9, 3, 40), time=NOW - 5)
    rig.put(("b", "2"), codec=codec)
    rig.seal()
    [before, _] = batches_of(rig.log)
    rig.clean()
    [after, _] = batches_of(rig.log)

    after.verify()
    assert before.header._replace(batch_length=0, crc=0, record_count=1) == after.header._replace(
        batch_length=0, crc=0
    )
    assert [(2, NOW - 5, b"a", b"2")] == [
        (one.offset, one.timestamp_ms, one.key, one.value) for one in after.records()
    ]


def test_m2_the_last_batch_of_the_range_stays_without_records(tmp_path):
    """
    Where the newest offsets of the range are all superseded, an empty batch keeps their place.
    """
    rig = Rig(tmp_path)
    rig.put(("a", "1"))
    producer = (5, 0, 0)
    rig.put(("b", "1"), ("b", "2"), producer=producer, transactional=True)
    rig.log.append_marker(5, 0, ABORT, leader_epoch=0)
    rig.put(("c", "1"))
    rig.put(("c", "2"), producer=(5, 0, 2), transactional=True)
    rig.log.append_marker(5, 0, ABORT, leader_epoch=0)
    rig.log.forget_producers()
    rig.seal()
    rig.clean()
    rig.clock.pass_time(2 * DAY)
    rig.put(("z", "1"))
    rig.seal()
    rig.clean()

    assert [(0, "a", "1"), (4, "c", "1"), (7, "z", "1")] == rig.rows()
    bases = rig.log.segment_base_offsets
    rig.restart(clean=False)
    assert (bases, 8) == (rig.log.segment_base_offsets, rig.log.log_end_offset)


def test_m1_the_active_segment_is_never_touched(tmp_path):
    """
    Only what is in closed segments goes, and only because of what is in closed segments.
    """
    rig = Rig(tmp_path)
    rig.put(("a", "1"), ("a", "2"))
    before = rig.rows()

    assert 0 == rig.clean()
    rig.seal()
    rig.put(("a", "3"))
    assert 1 == rig.clean()
    assert [(1, "a", "2"), (2, "a", "3")] == rig.rows()
    assert 2 == len(before)


def test_m1_nothing_from_the_last_stable_offset_on(tmp_path):
    """
    A segment in which a transaction is open stays as it is, and so do all after it.
    """
    rig = Rig(tmp_path)
    rig.put(("a", "1"), ("a", "2"))
    rig.seal()
    rig.put(("b", "1"), ("b", "2"), producer=(5, 0, 0), transactional=True)
    rig.seal()
    rig.put(("a", "3"), ("a", "4"))
    rig.seal()
    rig.clean()

    assert [1, 2, 3, 4, 5] == [row.offset for row in rig.rows()]
    assert 2 == rig.cleaner.cleaned_to(TP)
    rig.log.append_marker(5, 0, COMMIT, leader_epoch=0)
    rig.clean()
    assert [3, 5] == [row.offset for row in rig.rows()]


def test_m1_young_records_wait(tmp_path):
    """
    Segments with a record younger than min.compaction.lag.ms, and all after them, stay.
    """
    rig = Rig(tmp_path, min_compaction_lag_ms=1000)
    rig.put(("a", "1"), ("a", "2"), time=NOW - 2000)
    rig.seal()
    rig.put(("a", "3"), ("a", "4"))
    rig.seal()
    rig.clean()

    assert [1, 2, 3] == [row.offset for row in rig.rows()]
    rig.clock.pass_time(1.001)
    rig.clean()
    assert [3] == [row.offset for row in rig.rows()]


def test_m1_only_when_dirty_enough(tmp_path):
    """
    The dirty share must exceed min.cleanable.dirty.ratio, not just reach it.
    """
    rig = Rig(tmp_path, min_cleanable_dirty_ratio=0.5)
    rig.put(("a", "1"))
    rig.seal()
    assert 1 == rig.clean()
    rig.put(("b", "1"))
    rig.seal()

    assert (0.5, 0) == (rig.cleaner.dirt(TP).ratio, rig.clean())
    rig.put(("c", "1"))
    rig.seal()
    assert 1 == rig.clean()


def test_m1_whatever_the_ratio_once_it_is_too_old(tmp_path):
    """
    A record older than max.compaction.lag.ms makes a log worth it, and closes its segment.
    """
    rig = Rig(tmp_path, min_cleanable_dirty_ratio=1.0, max_compaction_lag_ms=1000)
    rig.put(("a", "1"), ("a", "2"))
    rig.put(("a", "3"), time=NOW + 1001)

    assert [0, 2] == rig.log.segment_base_offsets
    assert 0 == rig.clean()
    rig.clock.pass_time(1.001)
    assert 1 == rig.clean()
    assert [1, 2] == [row.offset for row in rig.rows()]


def test_m2_small_segments_become_one(tmp_path):
    """
    Neighbours that fit into segment.bytes together are one segment afterwards.
    """
    rig = Rig(tmp_path, segment_bytes=1000)
    for at in range(40):
        rig.put(("a", "v" * 90), (f"k{at}", str(at)))
    rig.seal()
    before = rig.log.segment_base_offsets
    rig.clean()
    rig.put(("b", "1"))
    rig.seal()
    rig.clean()
    after = rig.log.segment_base_offsets

    assert len(after) < len(before) * 2 / 3
    assert set(after) <= {*before, 81}
    assert [f"k{at}" for at in range(39)] == [row.key for row in rig.rows()][:39]
    files = {path.name.partition(".")[0] for path in rig.log.directory.glob("0*.log")}
    assert files == {f"{base:020d}" for base in after}
    snapshots = {int(path.stem) for path in rig.log.directory.glob("*.snapshot")}
    assert snapshots <= set(after)


def test_m3_tombstones_stay_for_their_time_after_the_first_cleaning(tmp_path):
    """
    The first cleaning that sees a tombstone sets its horizon, and later ones keep to it.
    """
    rig = Rig(tmp_path)
    rig.put(("a", "1"), ("b", None), ("a", None), ("c", "1"), time=NOW - 50 * 86_400_000)
    rig.seal()
    rig.clean()
    [batch] = batches_of(rig.log)

    assert [(1, "b", None), (2, "a", None), (3, "c", "1")] == rig.rows()
    assert batch.header.attributes & DELETE_HORIZON_BIT
    assert NOW + 86_400_000 == batch.header.base_timestamp
    assert [NOW - 50 * 86_400_000] * 3 == [one.timestamp_ms for one in batch.records()]
    for passed, left in ((DAY - 1, 3), (1, 1)):
        rig.clock.pass_time(passed)
        rig.put(("z", "1"))
        rig.seal()
        rig.clean()
        assert left == sum(row.key != "z" for row in rig.rows())
    [batch, *_] = batches_of(rig.log)
    assert NOW + 86_400_000 == batch.header.base_timestamp


def test_m4_aborted_data_goes_at_once_and_its_marker_later(tmp_path):
    """
    Records of an aborted transaction go, and hide no older record; the marker stays until they
    are gone and its time has passed.
    """
    rig = Rig(tmp_path)
    rig.put(("a", "1"))
    rig.put(("a", "2"), ("b", "2"), producer=(5, 0, 0), transactional=True)
    rig.log.append_marker(5, 0, ABORT, leader_epoch=0)
    rig.put(("c", "1"))
    rig.log.forget_producers()
    rig.seal()

    def step() -> tuple[list[int], list[int], int]:
        rig.put(("z", "1"))
        rig.seal()
        rig.clean()
        listed = sum(len(one.aborted) for one in rig.log.storage[1])
        markers = [one.header.base_offset for one in batches_of(rig.log) if one.header.is_control]
        return [row.offset for row in rig.rows() if row.key != "z"], markers, listed

    assert ([0, 4], [3], 1) == step()
    assert ([0, 4], [3], 0) == step()
    rig.clock.pass_time(DAY - 1)
    assert ([0, 4], [3], 0) == step()
    rig.clock.pass_time(1)
    assert ([0, 4], [], 0) == step()


def test_m4_committed_markers_stay_as_long_as_their_data(tmp_path):
    """
    A commit marker is kept while a record of its transaction is, and its horizon long after that.
    """
    rig = Rig(tmp_path)
    rig.put(("a", "1"), producer=(5, 0, 0), transactional=True)
    rig.log.append_marker(5, 0, COMMIT, leader_epoch=0)
    rig.log.forget_producers()
    rig.seal()

    def markers() -> int:
        rig.put(("z", "1"))
        rig.seal()
        rig.clean()
        return sum(one.header.is_control for one in batches_of(rig.log))

    rig.clock.pass_time(3 * DAY)
    assert 1 == markers()
    rig.put(("a", "2"))
    assert 1 == markers()
    assert 1 == markers()
    rig.clock.pass_time(DAY)
    assert 0 == markers()


def test_m4_keyless_records_are_dropped(tmp_path):
    """
    Records without a key, from before the topic was compacted, go.
    """
    rig = Rig(tmp_path, cleanup_policy=frozenset({"delete"}))
    rig.put((None, "1"), ("a", "1"), (None, "2"))
    rig.seal()
    assert 0 == rig.clean()
    rig.config["cleanup_policy"] = frozenset({"compact"})
    rig.restart()
    rig.clean()

    assert [(1, "a", "1")] == rig.rows()


def test_i11_last_batch_of_each_live_producer_is_kept(tmp_path):
    """
    A producer whose records are all superseded goes on with its sequence after a restart without
    its snapshots, and a repetition of its last batch is still known.
    """
    rig = Rig(tmp_path)
    rig.put(("a", "1"), ("a", "2"), producer=(7, 2, 0))
    rig.put(("a", "3"), ("a", "4"), producer=(7, 2, 2))
    rig.put(("a", "5"))
    rig.seal()
    rig.clean()
    rig.put(("b", "1"))

    assert [4, 5] == [row.offset for row in rig.rows()]
    assert [0, 1] == [len(list(one.records())) for one in batches_of(rig.log)][:2]
    before = state_of(rig.log)
    rig.log.abandon()
    for path in rig.log.directory.glob("*.snapshot"):
        path.unlink()
    rig.start()
    assert before[7][1][-1:] == state_of(rig.log)[7][1]
    assert 2 == rig.put(("a", "3"), ("a", "4"), producer=(7, 2, 2))
    assert 6 == rig.put(("a", "6"), producer=(7, 2, 4))


def test_i11_marker_that_tells_a_producers_epoch_is_kept(tmp_path):
    """
    Where the epoch was raised by a marker alone, that marker stays whole while the producer lives.
    """
    rig = Rig(tmp_path)
    rig.put(("a", "1"), producer=(7, 2, 0), transactional=True)
    rig.log.append_marker(7, 3, ABORT, leader_epoch=0)
    rig.put(("b", "1"))
    for _ in range(3):
        rig.seal()
        rig.clean()
        rig.clock.pass_time(2 * DAY)
        rig.put(("z", "1"))
    rig.log.abandon()
    for path in rig.log.directory.glob("*.snapshot"):
        path.unlink()
    rig.start()

    assert 3 == state_of(rig.log)[7][0]
    with pytest.raises(Refused) as caught:
        rig.put(("a", "2"), producer=(7, 2, 1), transactional=True)
    assert ErrorCode.INVALID_PRODUCER_EPOCH == caught.value.code


def test_g4_deleted_records_go_in_a_compacted_log_too(tmp_path):
    """
    Segments below the log's start are removed whatever the policy, once no cleaner is at them;
    compact alone refuses to move the start.
    """
    rig = Rig(tmp_path, cleanup_policy=frozenset({"delete"}), segment_bytes=200, retention_ms=-1)
    for at in range(10):
        rig.put((f"k{at}", "v" * 40))
    rig.log.delete_records_before(5)
    rig.log.replacing = True
    assert 0 == rig.log.drop_passed()
    rig.log.replacing = False
    rig.log.config = type(rig.log.config)(cleanup_policy=frozenset({"compact"}))

    with pytest.raises(Refused) as caught:
        rig.log.delete_records_before(7)
    assert ErrorCode.POLICY_VIOLATION == caught.value.code
    assert 5 == rig.log.drop_passed()
    assert (5, [5, 6, 7, 8, 9]) == (rig.log.log_start_offset, rig.log.segment_base_offsets)


def test_m5_compact_and_delete_do_both(tmp_path):
    """
    Old segments go by age, and what remains is compacted.
    """
    rig = Rig(
        tmp_path,
        cleanup_policy=frozenset({"compact", "delete"}),
        retention_ms=1000,
    )
    rig.put(("a", "1"), ("b", "1"), time=NOW - 5000)
    rig.seal()
    rig.put(("c", "1"), ("c", "2"))
    rig.seal()

    assert rig.log.retain()
    assert 1 == rig.log.drop_passed()
    rig.clean()
    assert [(3, "c", "2")] == rig.rows()
    assert 2 == rig.log.log_start_offset


def test_a_map_too_small_takes_several_turns(tmp_path):
    """
    Where not all keys fit, a part is cleaned at a time, and at the end all of it is.
    """
    rig = Rig(tmp_path, settings=CleanerSettings(dedupe_buffer_size=24 * 5, io_buffer_size=1))
    for round_ in range(3):
        for at in range(0, 20, 2):
            rig.put((f"k{at}", str(round_)), (f"k{at + 1}", str(round_)))
    rig.seal()
    rig.put(("y", "1"))

    assert rig.clean() > 3
    assert list(range(40, 61)) == [row.offset for row in rig.rows()]


def test_a_batch_with_more_keys_than_the_map_is_cleaned_all_the_same(tmp_path):
    """
    One batch always fits, or a small map would never get past it.
    """
    rig = Rig(tmp_path, settings=CleanerSettings(dedupe_buffer_size=24))
    rig.put(*((f"k{at}", "1") for at in range(50)))
    rig.put(*((f"k{at}", "2") for at in range(50)))
    rig.seal()
    rig.clean()

    assert list(range(50, 100)) == [row.offset for row in rig.rows()]


def test_a_corrupt_batch_is_not_written_anew(tmp_path):
    """
    A batch whose CRC is wrong stops the cleaning of its log, and stays as the evidence it is.
    """
    rig = Rig(tmp_path)
    rig.put(("a", "1"), ("a", "2"))
    rig.seal()
    path = rig.log.directory / f"{0:020d}.log"
    data = bytearray(path.read_bytes())
    data[-2] ^= 1
    path.write_bytes(data)

    assert 0 == rig.clean()
    assert bytes(data) == path.read_bytes()
    assert 0 == rig.clean()
    assert {".log", ".index", ".timeindex", ".snapshot", ""} >= {
        one.suffix for one in rig.log.directory.iterdir()
    }


def test_nothing_to_clean_leaves_the_files_alone(tmp_path):
    """
    A segment in which nothing is superseded is not written anew.
    """
    rig = Rig(tmp_path)
    rig.put(("a", "1"), ("b", "1"))
    rig.seal()
    before = (rig.log.directory / f"{0:020d}.log").stat().st_ino

    assert 1 == rig.clean()
    assert before == (rig.log.directory / f"{0:020d}.log").stat().st_ino


def test_what_is_clean_is_known_after_a_restart(tmp_path):
    """
    The checkpoint is Kafka's, and a new start goes on from it.
    """
    rig = Rig(tmp_path)
    rig.put(("a", "1"), ("a", "2"))
    rig.seal()
    rig.clean()
    rig.restart()

    assert "0\n1\norders 0 2\n" == (tmp_path / "cleaner-offset-checkpoint").read_text()
    assert (2, 0) == (rig.cleaner.cleaned_to(TP), rig.clean())


def test_lookups_pass_over_empty_batches(tmp_path):
    """
    The youngest record, and the first after a time, are found although the batch that the index
    names has none.
    """
    rig = Rig(tmp_path)
    rig.put(("a", "1"), time=NOW - 3)
    rig.put(("b", "1"), time=NOW + 5, producer=(7, 0, 0))
    rig.put(("b", "2"), time=NOW)
    rig.seal()
    rig.clean()
    youngest = rig.log.max_timestamp_offset()
    first = rig.log.offset_for_timestamp(NOW - 1)

    assert youngest == (2, NOW)
    assert first == (2, NOW)
