"""Which whole segments at the old end of a log have had their time, or are too many."""

from __future__ import annotations

from pyproducer.broker.log.config import LogConfig
from pyproducer.broker.log.segment_list import SegmentList

__all__ = ["start_by_policy", "start_by_size", "start_by_time"]


def start_by_policy(
    segments: SegmentList, config: LogConfig, high_watermark: int, now_ms: int
) -> int:
    """Where the log starts once ``cleanup.policy`` was obeyed."""
    if "delete" not in config.cleanup_policy:
        return segments.first.base_offset
    return max(
        start_by_time(segments, config, high_watermark, now_ms),
        start_by_size(segments, config, high_watermark),
    )


def start_by_time(
    segments: SegmentList, config: LogConfig, high_watermark: int, now_ms: int
) -> int:
    """Where the log starts once segments older than ``retention.ms`` are gone.

    Oldest first, up to the first that stays: a record from the future pins its segment and
    all that follow. The last segment goes too if all of it is old.
    """
    start = segments.first.base_offset
    if config.retention_ms < 0:
        return start
    for segment in segments:
        youngest = segment.largest.timestamp
        if youngest < 0:
            # Without a timestamp a segment is as old as our knowledge of its file.
            youngest = segment.created_ms
        if (
            not segment.size
            or segment.next_offset > high_watermark
            or now_ms - youngest <= config.retention_ms
        ):
            break
        start = segment.next_offset
    return start


def start_by_size(segments: SegmentList, config: LogConfig, high_watermark: int) -> int:
    """Where the log starts once it is as little above ``retention.bytes`` as segments allow.

    What remains is never below the limit, and the last segment stays.
    """
    start = segments.first.base_offset
    if config.retention_bytes < 0:
        return start
    left = segments.size
    for segment in segments:
        left -= segment.size
        if (
            segment is segments.active
            or left < config.retention_bytes
            or segment.next_offset > high_watermark
        ):
            break
        start = segment.next_offset
    return start
