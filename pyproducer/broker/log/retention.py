"""Which whole segments at the old end of a log have had their time, or are too many."""

from __future__ import annotations

from pyproducer.broker.errors import Refused
from pyproducer.broker.log.config import LogConfig
from pyproducer.broker.log.segment_list import SegmentList
from pyproducer.protocol.error_codes import ErrorCode

__all__ = ["start_by_policy", "start_by_request", "start_by_size", "start_by_time"]


def start_by_request(offset: int, config: LogConfig, high_watermark: int) -> int:
    """Where the log starts once DeleteRecords was obeyed, which names -1 for the high watermark.

    Raises:
        Refused: POLICY_VIOLATION unless ``delete`` is in cleanup.policy, OFFSET_OUT_OF_RANGE
            above the high watermark.
    """
    if "delete" not in config.cleanup_policy:
        raise Refused(ErrorCode.POLICY_VIOLATION, "cleanup.policy has no delete")
    if offset == -1:
        return high_watermark
    if offset < 0 or offset > high_watermark:
        raise Refused(ErrorCode.OFFSET_OUT_OF_RANGE, f"{offset} is not in [0, {high_watermark}]")
    return offset


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

    What remains is never below the limit, so that the last segment goes with a limit of 0 only.
    """
    start = segments.first.base_offset
    if config.retention_bytes < 0:
        return start
    left = segments.size
    for segment in segments:
        left -= segment.size
        if (
            not segment.size
            or left < config.retention_bytes
            or segment.next_offset > high_watermark
        ):
            break
        start = segment.next_offset
    return start
