"""Which segments are cleaned into one, so that a log of small remainders does not stay one."""

from __future__ import annotations

from collections.abc import Iterable

from pyproducer.broker.log.config import LogConfig
from pyproducer.broker.log.segment import MAX_RELATIVE_OFFSET, Segment

__all__ = ["group_segments"]


def group_segments(segments: Iterable[Segment], config: LogConfig) -> list[list[Segment]]:
    """The segments in order, in groups that each fit into one segment even if nothing goes."""
    groups: list[list[Segment]] = []
    for segment in segments:
        if groups and _fits(groups[-1], segment, config):
            groups[-1].append(segment)
        else:
            groups.append([segment])
    return groups


def _fits(group: list[Segment], segment: Segment, config: LogConfig) -> bool:
    together = [*group, segment]
    return (
        sum(one.size for one in together) <= config.segment_bytes
        and sum(one.offset_index.size for one in together) <= config.segment_index_bytes
        and sum(one.time_index.size for one in together) <= config.segment_index_bytes
        and segment.next_offset - 1 - group[0].base_offset <= MAX_RELATIVE_OFFSET
    )
