"""Offsets by time (statement E4)."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from pyproducer.broker.log.lookup import FoundOffset
from pyproducer.model import TimestampType
from pyproducer.records.codec import Codec
from tests.helpers.partition_logs import NOW, open_log, put
from tests.helpers.virtual_time import VirtualTime


def test_e4_first_record_at_or_after_a_time(tmp_path):
    """
    The answer is a record, also in the middle of a compressed batch.
    """
    log = open_log(tmp_path)
    put(log, times=[NOW, NOW + 10, NOW + 5], codec=Codec.GZIP)
    put(log, times=[NOW + 7, NOW + 20], codec=Codec.LZ4)

    assert [(0, 0), (1, 10), (1, 10), (4, 20), None] == [
        found and (found.offset, found.timestamp - NOW)
        for found in (log.offset_for_timestamp(NOW + t) for t in (-5, 1, 10, 11, 21))
    ]


def test_e4_nothing_above_the_limit(tmp_path):
    """
    A record that may not be read yet is not found.
    """
    log = open_log(tmp_path)
    put(log, times=[NOW, NOW + 10])

    assert log.offset_for_timestamp(NOW + 10, max_offset=1) is None
    assert (0, NOW) == log.offset_for_timestamp(NOW, max_offset=1)


def test_e4_deleted_records_are_not_found(tmp_path):
    """
    The search starts at the log start, also inside a batch.
    """
    log = open_log(tmp_path)
    put(log, times=[NOW + 9, NOW, NOW + 3])
    log.delete_records_before(1)

    assert (2, NOW + 3) == log.offset_for_timestamp(NOW + 1)
    assert (2, NOW + 3) == log.max_timestamp_offset()


def test_e4_log_append_time(tmp_path):
    """
    Where the broker sets the time, all records of a batch have it and the first is found.
    """
    clock = VirtualTime()
    log = open_log(tmp_path, clock=clock, message_timestamp_type=TimestampType.LOG_APPEND_TIME)
    put(log, times=[1, 2, 3])
    clock.pass_time(1)
    put(log, times=[1, 2, 3])
    now = clock.wall_ms()

    assert (3, now) == log.offset_for_timestamp(now - 999) == log.max_timestamp_offset()


def test_e4_max_timestamp_of_an_empty_log(tmp_path):
    """
    An empty log has no youngest record.
    """
    assert open_log(tmp_path).max_timestamp_offset() is None


@given(
    st.lists(st.lists(st.integers(-1, 40), min_size=1, max_size=4), min_size=1, max_size=15),
    st.integers(0, 12),
    st.booleans(),
    st.sampled_from([0, 1, 200]),
)
@settings(max_examples=80)
def test_e4_lookups_agree_with_a_list(tmp_path_factory, batches, start, restart, interval):
    """
    Over any segments and indexes the answers are those of a search through all records.
    """
    path = tmp_path_factory.mktemp("log")
    settings_of_log = {"segment_bytes": 400, "index_interval_bytes": interval}
    log = open_log(path, **settings_of_log)
    times = []
    for stamps in batches:
        put(log, times=stamps)
        times.extend(stamps)
    start = log.delete_records_before(min(start, len(times)))
    if restart:
        log.close()
        log = open_log(path, clean=True, log_start_offset=start, **settings_of_log)
    left = [FoundOffset(offset, time) for offset, time in enumerate(times) if offset >= start]
    for wanted in range(42):
        expected = next((one for one in left if one.timestamp >= wanted), None)

        assert expected == log.offset_for_timestamp(wanted)
    youngest = max(left, key=lambda one: (one.timestamp, -one.offset), default=None)

    assert youngest == log.max_timestamp_offset()
