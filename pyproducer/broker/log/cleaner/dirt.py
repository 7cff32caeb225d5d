"""Which part of a log may be cleaned, and how much of it is dirty."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from pyproducer.broker.log.config import NO_LIMIT, LogConfig
from pyproducer.broker.log.segment import Segment

__all__ = ["Dirt", "dirt_of"]


class Dirt(NamedTuple):
    """The dirty part of a log: what was written since it was last cleaned, and may be cleaned.

    Attributes:
        first: First dirty offset.
        end: First offset that may not be cleaned; a segment starts there.
        clean_bytes: Bytes of the segments that start below ``first``.
        dirty_bytes: Bytes of the segments from ``first`` to ``end``.
        overdue: Whether some of it is older than max.compaction.lag.ms.
    """

    first: int
    end: int
    clean_bytes: int
    dirty_bytes: int
    overdue: bool

    @property
    def ratio(self) -> float:
        """Share of dirty bytes, 0 where there are none."""
        total = self.clean_bytes + self.dirty_bytes
        return self.dirty_bytes / total if total else 0.0

    def worth_cleaning(self, config: LogConfig) -> bool:
        """Whether there is too much of it, or it is too old."""
        if self.overdue and self.dirty_bytes:
            return True
        return self.ratio > config.min_cleanable_dirty_ratio


def dirt_of(
    segments: Sequence[Segment],
    config: LogConfig,
    *,
    start_offset: int,
    stable_offset: int,
    cleaned_to: int | None,
    now_ms: int,
) -> Dirt:
    """The dirt of a log.

    Args:
        segments: All of the log's, the active one last.
        config: The log's settings.
        start_offset: Where the log starts.
        stable_offset: Its last stable offset: nothing from there on is touched.
        cleaned_to: Where the last cleaning ended, or None without one.
        now_ms: The broker's clock.

    Raises:
        OSError: a segment cannot be read.
        CorruptRecord: likewise.
    """
    *sealed, active = segments
    first = start_offset
    if cleaned_to is not None and start_offset <= cleaned_to <= active.next_offset:
        first = cleaned_to
    dirty = [segment for segment in sealed if segment.next_offset > first]
    limit = min(stable_offset, active.base_offset)
    if config.min_compaction_lag_ms > 0:
        youngest = now_ms - config.min_compaction_lag_ms
        too_young = (one.base_offset for one in dirty if one.largest.timestamp > youngest)
        limit = min(limit, next(too_young, limit))
    limit = max(first, limit)
    # A segment is cleaned as a whole or not at all.
    end = next((one.base_offset for one in sealed if one.next_offset > limit), active.base_offset)
    return Dirt(
        first,
        end,
        sum(one.size for one in sealed if one.base_offset < first),
        sum(one.size for one in dirty if one.base_offset < end),
        _overdue(dirty, config, now_ms),
    )


def _overdue(dirty: Sequence[Segment], config: LogConfig, now_ms: int) -> bool:
    """Whether a record in these segments has waited for longer than it may."""
    if config.max_compaction_lag_ms >= NO_LIMIT:
        return False
    oldest = now_ms - config.max_compaction_lag_ms
    return any(0 < one.first_batch_timestamp() < oldest for one in dirty)
