"""Partitions that only note how transactions ended on them."""

from __future__ import annotations

from pyproducer.broker.errors import Refused
from pyproducer.broker.log.producer_state import EndMarker
from pyproducer.model import TopicPartition


class MemoryMarkers:
    """A place for markers in memory; partitions may refuse them.

    Attributes:
        written: what was written, in order: place, producer id, epoch, marker.
        failing: the error of each place that has one.
    """

    def __init__(self) -> None:
        self.written: list[tuple[TopicPartition, int, int, EndMarker]] = []
        self.failing: dict[TopicPartition, int] = {}

    def write(self, place: TopicPartition, producer_id: int, epoch: int, marker: EndMarker) -> None:
        if place in self.failing:
            raise Refused(self.failing[place], "as told")
        self.written.append((place, producer_id, epoch, marker))
