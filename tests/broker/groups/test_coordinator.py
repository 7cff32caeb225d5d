from __future__ import annotations

import pytest

from pyproducer.broker.errors import Refused
from pyproducer.broker.groups.config import GroupConfig
from pyproducer.broker.groups.coordinator import GroupCoordinator
from pyproducer.broker.groups.member import MemberProtocol
from pyproducer.broker.groups.model import CommittedOffset, MemberIdentity, SyncRequest
from pyproducer.broker.groups.state import GroupState
from pyproducer.broker.state_topic import partition_of
from pyproducer.model import TopicPartition
from pyproducer.protocol.error_codes import ErrorCode
from tests.helpers.group_driver import Parked, join_request, numbered_ids
from tests.helpers.memory_store import MemoryStore
from tests.helpers.virtual_time import VirtualTime

T0 = TopicPartition("t", 0)
T1 = TopicPartition("t", 1)
DAY = 86_400


class Desk:
    """A coordinator with its time and store, and how to start another one on the same store."""

    def __init__(self, **config: int) -> None:
        self.config = GroupConfig(**({"initial_rebalance_delay_ms": 0} | config))
        self.time = VirtualTime()
        self.store = MemoryStore()
        self.restart()

    def restart(self) -> None:
        self.time.timers.clear()
        self.coordinator = GroupCoordinator(
            self.config, self.store, self.time, self.time, numbered_ids()
        )
        self.coordinator.start()

    def join(self, group: str = "g", member_id: str = "", **changes) -> Parked:
        parked = Parked()
        self.coordinator.join(group, join_request(member_id, **changes), parked)
        return parked

    def member(self, group: str = "g", **changes) -> str:
        """Bring one member into a stable generation of its own."""
        joining = self.join(group, **changes)
        self.time.pass_time(0)
        result = joining.result
        self.sync(result.member_id, result.generation, {result.member_id: b"mine"}, group)
        return result.member_id

    def sync(self, member_id, generation, assignments=None, group="g") -> Parked:
        parked = Parked()
        request = SyncRequest(member_id, None, generation, None, None, assignments or {})
        self.coordinator.sync(group, request, parked)
        return parked

    def commit(self, group: str = "g", **offsets: CommittedOffset | int) -> dict:
        return self.coordinator.commit(
            group,
            {
                TopicPartition("t", int(name.removeprefix("p"))): CommittedOffset(
                    offset, commit_timestamp_ms=self.time.wall_ms()
                )
                for name, offset in offsets.items()
            },
        )

    def state(self, group: str = "g") -> GroupState | None:
        described = self.coordinator.describe(group)
        return None if described is None else described.state


def test_stable_group_survives_a_restart():
    """
    After a restart the member goes on in its generation, with its share, without joining.
    """
    desk = Desk()
    member = desk.member()
    desk.restart()

    assert desk.coordinator.heartbeat("g", member, None, 1) is ErrorCode.NONE
    assert desk.sync(member, 1).result.assignment == b"mine"
    assert desk.state() is GroupState.STABLE


def test_restored_member_times_out():
    """
    A member that does not come back after the restart is dropped by its session timeout.
    """
    desk = Desk()
    desk.member()
    desk.restart()
    desk.time.pass_time(10)

    assert desk.state() is GroupState.EMPTY
    desk.restart()
    assert desk.state() is GroupState.EMPTY


def test_silent_member_is_dropped_by_the_timer():
    """
    The scheduler's call ends the session; heartbeats put it off without a new timer.
    """
    desk = Desk()
    member = desk.member()
    timers = len(desk.time.timers)
    for _ in range(5):
        desk.time.pass_time(6)
        assert desk.coordinator.heartbeat("g", member, None, 1) is ErrorCode.NONE
        assert len(desk.time.timers) == timers
    desk.time.pass_time(10)

    assert desk.coordinator.heartbeat("g", member, None, 1) is ErrorCode.UNKNOWN_MEMBER_ID
    assert desk.state() is GroupState.EMPTY


def test_earlier_deadline_replaces_a_later_timer():
    """
    A timer far away does not hide what becomes due before it.
    """
    desk = Desk()
    desk.join(require_known_member_id=True, session_timeout=1800.0)
    joining = desk.join()
    desk.time.pass_time(0)

    assert joining.result.error is ErrorCode.NONE


@pytest.mark.parametrize(("seconds", "fine"), [(5.999, 0), (6, 1), (1800, 1), (1800.001, 0)])
def test_session_timeout_bounds(seconds, fine):
    """
    A session timeout outside the broker's bounds is refused with 26.
    """
    joining = Desk().join(session_timeout=seconds)

    assert joining.waiting is bool(fine)
    if not fine:
        assert joining.result.error is ErrorCode.INVALID_SESSION_TIMEOUT


def test_empty_group_id_is_24():
    """
    Membership needs a group name; a commit may do without, as old clients do.
    """
    desk = Desk()

    assert desk.join("").result.error is ErrorCode.INVALID_GROUP_ID
    assert desk.sync("m", 1, group="").result.error is ErrorCode.INVALID_GROUP_ID
    assert desk.coordinator.heartbeat("", "m", None, 1) is ErrorCode.INVALID_GROUP_ID
    with pytest.raises(Refused) as refused:
        desk.coordinator.leave("", [MemberIdentity("m", None)])
    assert refused.value.code == ErrorCode.INVALID_GROUP_ID
    assert desk.coordinator.check_commit("", "", None, -1) is ErrorCode.NONE


def test_unknown_group():
    """
    What only a member may ask is 25 without a group; a commit in a generation is 22.
    """
    desk = Desk()

    assert desk.join(member_id="m").result.error is ErrorCode.UNKNOWN_MEMBER_ID
    assert desk.sync("m", 1).result.error is ErrorCode.UNKNOWN_MEMBER_ID
    assert desk.coordinator.heartbeat("g", "m", None, 1) is ErrorCode.UNKNOWN_MEMBER_ID
    assert desk.coordinator.leave("g", [MemberIdentity("m", None)]) == [ErrorCode.UNKNOWN_MEMBER_ID]
    assert desk.coordinator.check_commit("g", "m", None, 1) is ErrorCode.ILLEGAL_GENERATION
    assert desk.coordinator.list_groups() == []


def test_refused_first_join_leaves_no_group():
    """
    A group begins with a member, not with somebody who was turned away.
    """
    desk = Desk()
    desk.join(protocols=())

    assert desk.coordinator.list_groups() == []


def test_offsets_round_trip_through_a_restart():
    """
    Offset, leader epoch, note and time come back as they were committed (T11).
    """
    desk = Desk()
    committed = CommittedOffset(42, 7, "note \u00e9", desk.time.wall_ms())
    desk.coordinator.commit("simple", {T0: committed})
    desk.restart()

    assert desk.coordinator.offsets("simple") == {T0: committed}
    assert desk.state("simple") is GroupState.EMPTY


def test_long_note_is_refused_alone():
    """
    A note above 4096 bytes is 12, and its neighbours in the request are stored.
    """
    desk = Desk()
    answers = desk.coordinator.commit(
        "g",
        {T0: CommittedOffset(1, metadata="x" * 4097), T1: CommittedOffset(2, metadata="x" * 4096)},
    )

    assert answers == {T0: ErrorCode.OFFSET_METADATA_TOO_LARGE, T1: ErrorCode.NONE}
    assert set(desk.coordinator.offsets("g")) == {T1}


def test_commit_that_cannot_be_stored_changes_nothing():
    """
    A failing disk is a retriable error, and the old offset holds.
    """
    desk = Desk()
    desk.commit(p0=1)
    desk.store.failure = Refused(ErrorCode.KAFKA_STORAGE_ERROR, "disk")

    assert desk.commit(p0=2) == {T0: ErrorCode.COORDINATOR_NOT_AVAILABLE}
    assert desk.coordinator.offsets("g")[T0].offset == 1


def test_commit_too_large_for_the_log_is_28():
    """
    A commit that no retry can store is refused for good.
    """
    desk = Desk()
    desk.store.failure = Refused(ErrorCode.MESSAGE_TOO_LARGE, "large")

    assert desk.commit(p0=2) == {T0: ErrorCode.INVALID_COMMIT_OFFSET_SIZE}


def test_delete_needs_an_empty_group():
    """
    Deleting is 69 for no group, 68 for one with members; a deleted one stays deleted.
    """
    desk = Desk()
    assert desk.coordinator.delete("g") is ErrorCode.GROUP_ID_NOT_FOUND
    member = desk.member()
    desk.commit(p0=1)
    assert desk.coordinator.delete("g") is ErrorCode.NON_EMPTY_GROUP
    desk.coordinator.leave("g", [MemberIdentity(member, None)])

    assert desk.coordinator.delete("g") is ErrorCode.NONE
    for _ in range(2):
        assert desk.state() is None
        assert desk.coordinator.offsets("g") == {}
        desk.restart()


def test_offsets_in_use_are_not_deleted():
    """
    An offset of a subscribed topic is 86; others go; a group that does not tell is 68.
    """
    desk = Desk()
    with pytest.raises(Refused) as unknown:
        desk.coordinator.delete_offsets("g", [T0])
    assert unknown.value.code == ErrorCode.GROUP_ID_NOT_FOUND

    desk.member(protocols=(MemberProtocol("range", b"\0\0\0\0\0\x01\0\x01t\xff\xff\xff\xff"),))
    other = TopicPartition("u", 0)
    desk.coordinator.commit("g", {T0: CommittedOffset(1), other: CommittedOffset(2)})
    assert desk.coordinator.delete_offsets("g", [T0, other]) == {
        T0: ErrorCode.GROUP_SUBSCRIBED_TO_TOPIC,
        other: ErrorCode.NONE,
    }
    desk.restart()
    assert set(desk.coordinator.offsets("g")) == {T0}

    desk.member("connectors", protocol_type="connect")
    with pytest.raises(Refused) as silent:
        desk.coordinator.delete_offsets("connectors", [T0])
    assert silent.value.code == ErrorCode.NON_EMPTY_GROUP


def test_offsets_of_a_deleted_topic_are_forgotten():
    """
    A topic that comes back under its name is not read from where the old one was left.
    """
    desk = Desk()
    other = TopicPartition("u", 0)
    desk.coordinator.commit("g", {T0: CommittedOffset(1), other: CommittedOffset(2)})
    desk.coordinator.forget_topic("t")
    desk.restart()

    assert set(desk.coordinator.offsets("g")) == {other}


def test_offsets_expire_in_groups_without_members_only():
    """
    Retention runs from when the last member left; with members it does not run at all.
    """
    desk = Desk(offsets_retention_minutes=60 * 24)
    member = desk.member(session_timeout=1800.0)
    desk.commit(p0=1)
    for _ in range(100):
        desk.time.pass_time(1700)
        desk.coordinator.heartbeat("g", member, None, 1)
    desk.coordinator.expire_offsets()
    assert set(desk.coordinator.offsets("g")) == {T0}

    desk.coordinator.leave("g", [MemberIdentity(member, None)])
    desk.time.pass_time(DAY - 1)
    desk.coordinator.expire_offsets()
    assert set(desk.coordinator.offsets("g")) == {T0}
    desk.time.pass_time(1)
    desk.coordinator.expire_offsets()

    assert desk.coordinator.list_groups() == []
    desk.restart()
    assert desk.coordinator.list_groups() == []


def test_offsets_of_a_self_assigned_consumer_expire_one_by_one():
    """
    Without members ever, each offset's time runs from its commit.
    """
    desk = Desk(offsets_retention_minutes=60)
    desk.commit(p0=1)
    desk.time.pass_time(1900)
    desk.commit(p1=1)
    desk.time.pass_time(2300)
    desk.coordinator.expire_offsets()

    assert set(desk.coordinator.offsets("g")) == {T1}


def test_offset_with_an_expiry_of_its_own():
    """
    A commit that named its retention goes then, however long the broker's is, restart or not.
    """
    desk = Desk()
    expiry = desk.time.wall_ms() + 3_600_000
    desk.coordinator.commit("g", {T0: CommittedOffset(1, expire_timestamp_ms=expiry)})
    desk.restart()
    assert desk.coordinator.offsets("g")[T0].expire_timestamp_ms == expiry
    desk.time.pass_time(3599)
    desk.coordinator.expire_offsets()
    assert set(desk.coordinator.offsets("g")) == {T0}
    desk.time.pass_time(1)
    desk.coordinator.expire_offsets()

    assert desk.coordinator.offsets("g") == {}


def test_close_answers_whoever_is_parked_and_keeps_what_is_stored():
    """
    A stopping broker leaves no request hanging and forgets no member.
    """
    desk = Desk()
    member = desk.member()
    waiting = desk.join()
    desk.coordinator.close()
    assert waiting.result.error is ErrorCode.COORDINATOR_NOT_AVAILABLE
    assert [timer for timer in desk.time.timers if not timer.cancelled] == []

    desk.restart()

    assert desk.coordinator.heartbeat("g", member, None, 1) is ErrorCode.NONE


def test_groups_of_an_unreadable_partition_are_not_taken_for_new(monkeypatch):
    """
    Where the store cannot be read, everything is 15: an empty answer would rewind consumers.
    """
    desk = Desk()
    member = desk.member()
    desk.commit(p0=1)
    broken = partition_of("g", 3)
    healthy = next(name for name in "abcdef" if partition_of(name, 3) != broken)
    read = desk.store.read

    def failing_read(partition):
        if partition == broken:
            raise Refused(ErrorCode.KAFKA_STORAGE_ERROR, "offline")
        return read(partition)

    monkeypatch.setattr(desk.store, "read", failing_read)
    desk.restart()
    gone = ErrorCode.COORDINATOR_NOT_AVAILABLE

    assert desk.coordinator.refusal("g") is gone
    assert desk.coordinator.refusal(healthy) is None
    assert desk.coordinator.heartbeat("g", member, None, 1) is gone
    assert desk.coordinator.check_commit("g", "", None, -1) is gone
    assert desk.coordinator.delete("g") is gone
    assert desk.join().result.error is gone
    assert desk.join(healthy).waiting
