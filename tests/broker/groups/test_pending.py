"""Offsets in transactions, in memory and in what is replayed."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from pyproducer.broker.groups.config import GroupConfig
from pyproducer.broker.groups.coordinator import GroupCoordinator
from pyproducer.broker.groups.model import CommittedOffset
from pyproducer.broker.state_topic import Writer
from pyproducer.model import TopicPartition
from tests.helpers.memory_store import MemoryStore
from tests.helpers.virtual_time import VirtualTime

T0 = TopicPartition("t", 0)
A, B = Writer(1, 0), Writer(2, 0)


class Desk:
    """A coordinator whose every test can be told again by one that starts on its store."""

    def __init__(self) -> None:
        self.store = MemoryStore()
        self.time = VirtualTime()
        self.coordinator = self.started()

    def started(self) -> GroupCoordinator:
        made = GroupCoordinator(GroupConfig(), self.store, self.time, self.time)
        made.start()
        return made

    def commit(self, offset: int, writer: Writer | None = None) -> None:
        committed = CommittedOffset(offset=offset, commit_timestamp_ms=self.time.wall_ms())
        self.coordinator.commit("g", {T0: committed}, writer)

    def end(self, writer: Writer, *, commit: bool) -> None:
        partition = self.coordinator.partition_of("g")
        self.store.mark(partition, writer.producer_id, commit=commit)
        self.coordinator.end_transaction(partition, writer.producer_id, commit=commit)

    def seen(self) -> tuple[int | None, bool]:
        """The group's offset and whether it is undecided, here and after a restart."""
        found = []
        for one in (self.coordinator, self.started()):
            committed = one.offsets("g").get(T0)
            found.append((committed and committed.offset, bool(one.undecided("g"))))
        assert found[0] == found[1]
        return found[0]


def plain_after(desk: Desk) -> None:
    desk.commit(5, A)
    desk.commit(7)
    desk.end(A, commit=True)


def plain_before(desk: Desk) -> None:
    desk.commit(7)
    desk.commit(5, A)
    desk.end(A, commit=True)


def later_write_ends_first(desk: Desk) -> None:
    desk.commit(5, A)
    desk.commit(6, B)
    desk.end(B, commit=True)
    desk.end(A, commit=True)


def later_write_is_aborted(desk: Desk) -> None:
    desk.commit(5, A)
    desk.commit(6, B)
    desk.end(B, commit=False)
    desk.end(A, commit=True)


def one_is_open(desk: Desk) -> None:
    desk.commit(5, A)
    desk.commit(6, B)
    desk.end(A, commit=True)


def topic_deleted(desk: Desk) -> None:
    desk.commit(5, A)
    desk.coordinator.forget_topic("t")
    desk.end(A, commit=True)


def group_deleted(desk: Desk) -> None:
    desk.commit(5, A)
    desk.coordinator.delete("g")
    desk.end(A, commit=True)


@pytest.mark.parametrize(
    ("story", "offset", "undecided"),
    [
        (plain_after, 7, False),
        (plain_before, 5, False),
        (later_write_ends_first, 6, False),
        (later_write_is_aborted, 5, False),
        (one_is_open, 5, True),
        (topic_deleted, None, False),
        (group_deleted, None, False),
    ],
    ids=lambda one: getattr(one, "__name__", str(one)),
)
def test_x7_the_latest_write_that_counts_wins(
    story: Callable[[Desk], None], offset: int | None, undecided: bool
):
    """
    X7: of what was not aborted the latest write counts, in whichever order transactions end, and
    whoever replays the log comes to the same.
    """
    desk = Desk()
    story(desk)

    assert (offset, undecided) == desk.seen()


def test_x7_a_group_with_undecided_offsets_does_not_expire():
    """
    X7: what a transaction may still commit keeps the group.
    """
    desk = Desk()
    desk.commit(5, A)
    desk.time.pass_time(10**9)
    desk.coordinator.expire_offsets()
    assert desk.coordinator.describe("g") is not None
    desk.end(A, commit=False)
    desk.coordinator.expire_offsets()

    assert desk.coordinator.describe("g") is None
