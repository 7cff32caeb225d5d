"""Offsets committed inside transactions that have not ended yet."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import NamedTuple

from pyproducer.broker.groups.model import CommittedOffset
from pyproducer.model import TopicPartition

Offsets = dict[TopicPartition, CommittedOffset]


class _Write(NamedTuple):
    order: int
    committed: CommittedOffset


class PendingOffsets:
    """Those of one partition of the offsets topic, by producer and by group.

    Of several writes to the same place the latest counts, inside of transactions or not,
    whichever transaction ends last.
    """

    def __init__(self) -> None:
        self._producers: dict[int, dict[str, dict[TopicPartition, _Write]]] = {}
        self._writes = 0

    def __len__(self) -> int:
        """How many producers have a transaction open here."""
        return len(self._producers)

    @property
    def group_ids(self) -> frozenset[str]:
        """The groups that have any."""
        return frozenset(name for groups in self._producers.values() for name in groups)

    def add(
        self, producer_id: int, group_id: str, offsets: Mapping[TopicPartition, CommittedOffset]
    ) -> None:
        """The offsets are the group's as soon as the producer's transaction is committed."""
        self._writes += 1
        places = self._producers.setdefault(producer_id, {}).setdefault(group_id, {})
        for place, committed in offsets.items():
            places[place] = _Write(self._writes, committed)

    def commit(self, producer_id: int) -> dict[str, Offsets]:
        """The producer has no open transaction; returns what it wrote in it, by group."""
        ended = self._producers.pop(producer_id, {})
        for group_id, places in ended.items():
            for place, write in places.items():
                self._supersede(group_id, place, write.order)
        return {
            group_id: {place: write.committed for place, write in places.items()}
            for group_id, places in ended.items()
        }

    def abort(self, producer_id: int) -> None:
        """The producer has no open transaction, and what it wrote in it does not count."""
        self._producers.pop(producer_id, None)

    def of_group(self, group_id: str) -> frozenset[TopicPartition]:
        """The partitions whose next offset is not decided."""
        return frozenset(
            place for groups in self._producers.values() for place in groups.get(group_id, ())
        )

    def supersede(self, group_id: str, partitions: Iterable[TopicPartition]) -> None:
        """Whatever becomes of their transactions, these offsets do not count."""
        for place in partitions:
            self._supersede(group_id, place, self._writes + 1)

    def forget(self, group_id: str) -> None:
        """None of the group's offsets count."""
        for groups in self._producers.values():
            groups.pop(group_id, None)

    def _supersede(self, group_id: str, place: TopicPartition, before: int) -> None:
        for groups in self._producers.values():
            places = groups.get(group_id, {})
            if place in places and places[place].order < before:
                del places[place]
