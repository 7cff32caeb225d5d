from __future__ import annotations

import struct

from pyproducer.broker.groups.member import MemberProtocol
from pyproducer.broker.groups.model import MemberIdentity
from pyproducer.broker.groups.state import GroupState
from pyproducer.protocol.error_codes import ErrorCode
from tests.helpers.group_driver import GroupDriver


def subscription(*topics: str, user_data: bytes = b"") -> tuple[MemberProtocol, ...]:
    """Return what a consumer of these topics says when it joins."""
    packed = b"".join(struct.pack(">h", len(topic)) + topic.encode() for topic in topics)
    head = struct.pack(">hi", 1, len(topics))
    return (MemberProtocol("range", head + packed + struct.pack(">i", len(user_data)) + user_data),)


def driver_with_static(instance: str = "a", **changes) -> tuple[GroupDriver, str, str]:
    """Return a stable group of a dynamic leader and one static follower."""
    driver = GroupDriver(initial_rebalance_delay_ms=10)
    parked = [driver.join(**changes), driver.join(instance_id=instance, **changes)]
    driver.pass_time(1)
    leader, static = (each.result.member_id for each in parked)
    driver.sync(leader, {leader: b"1", static: b"2"})
    driver.sync(static, instance_id=instance)
    assert GroupState.STABLE is driver.group.state
    return driver, leader, static


def test_static_member_id_carries_the_instance_id():
    """
    A static member needs no second join, and its id starts with its instance id.
    """
    driver = GroupDriver()
    joining = driver.join(instance_id="a", require_known_member_id=True)
    driver.pass_time(0)

    assert joining.result.member_id == "a-1"


def test_restart_without_rebalance():
    """
    A static member that comes back gets a new id, the same generation and the same share.
    """
    driver, leader, static = driver_with_static()
    back = driver.join(instance_id="a").result

    assert (back.error, back.generation) == (ErrorCode.NONE, 1)
    assert static != back.member_id
    assert (leader, ()) == (back.leader, back.members)
    assert ErrorCode.NONE is driver.heartbeat(leader)
    assert driver.sync(back.member_id, instance_id="a").result.assignment == b"2"
    assert back.member_id in {m.member_id for m in driver.images[-1].members}


def test_former_self_is_fenced():
    """
    After a restart the old id gets 82 everywhere.
    """
    driver, _, static = driver_with_static()
    driver.join(instance_id="a")
    fenced = ErrorCode.FENCED_INSTANCE_ID

    assert fenced is driver.heartbeat(static, instance_id="a")
    assert fenced is driver.sync(static, instance_id="a").result.error
    assert fenced is driver.join(static, instance_id="a").result.error
    assert fenced is driver.group.check_commit(static, "a", 1, driver.now)
    assert [fenced] == driver.leave(MemberIdentity(static, "a"))


def test_parked_former_self_is_fenced():
    """
    A join that is parked when another process takes the instance id over gets 82.
    """
    driver, leader, static = driver_with_static()
    newcomer = driver.join()
    waiting = driver.join(static, instance_id="a")
    assert waiting.waiting
    takeover = driver.join(instance_id="a")

    assert ErrorCode.FENCED_INSTANCE_ID is waiting.result.error
    assert takeover.waiting
    driver.join(leader)
    assert len(driver.group.roster) == 3
    assert {2} == {newcomer.result.generation, takeover.result.generation}


def test_restarted_leader_is_told_not_to_assign():
    """
    Join v9 says skip_assignment with the members; older versions name the former id as leader.
    """
    driver = GroupDriver()
    [old] = driver.stable(instance_id="a")
    modern = driver.join(instance_id="a", can_skip_assignment=True).result
    assert (True, modern.member_id, 1) == (
        modern.skip_assignment,
        modern.leader,
        len(modern.members),
    )

    older = driver.join(instance_id="a").result

    assert (False, modern.member_id, ()) == (older.skip_assignment, older.leader, older.members)
    assert old not in driver.group.roster
    assert GroupState.STABLE is driver.group.state


def test_restart_with_other_topics_rebalances():
    """
    A static member that now wants other topics cannot be given its old share.
    """
    driver, leader, _ = driver_with_static(protocols=subscription("t1"))
    assert not driver.join(instance_id="a", protocols=subscription("t1", user_data=b"x")).waiting

    assert driver.join(instance_id="a", protocols=subscription("t2")).waiting
    assert ErrorCode.REBALANCE_IN_PROGRESS is driver.heartbeat(leader)


def test_absent_static_member_keeps_its_place_in_a_rebalance():
    """
    A rebalance timeout drops dynamic members only; a static one goes with its session.
    """
    driver = GroupDriver(initial_rebalance_delay_ms=10)
    parked = [
        driver.join(rebalance_timeout=5.0),
        driver.join(instance_id="a", rebalance_timeout=5.0, session_timeout=30.0),
    ]
    driver.pass_time(1)
    leader, static = (each.result.member_id for each in parked)
    driver.sync(leader, {})
    driver.sync(static, instance_id="a")
    rejoined = driver.join(leader, rebalance_timeout=5.0)
    driver.pass_time(5)

    assert {m.member_id for m in rejoined.result.members} == {leader, static}
    driver.sync(leader, {})
    for _ in range(3):
        driver.pass_time(9.9)
        assert driver.heartbeat(leader) is ErrorCode.NONE
    driver.pass_time(0.3)
    assert driver.heartbeat(leader) is ErrorCode.REBALANCE_IN_PROGRESS
    assert static not in driver.group.roster


def test_group_of_absent_static_members_waits_on():
    """
    If nobody is back at the end of the join phase there is no leader, so the phase goes on.
    """
    driver = GroupDriver(initial_rebalance_delay_ms=10)
    joins = [
        driver.join(instance_id=name, rebalance_timeout=5.0, session_timeout=20.0)
        for name in ("a", "b")
    ]
    driver.pass_time(1)
    first, second = (each.result.member_id for each in joins)
    driver.sync(first, {}, instance_id="a")
    driver.sync(second, instance_id="b")
    assert driver.leave(MemberIdentity("", "a")) == [ErrorCode.NONE]
    driver.pass_time(12)
    assert GroupState.PREPARING_REBALANCE is driver.group.state

    back = driver.join(second, instance_id="b")

    assert (second, 2) == (back.result.leader, back.result.generation)


def test_administrator_removes_by_instance_id():
    """
    A leave with an empty member id and an instance id removes that static member.
    """
    driver, leader, static = driver_with_static()

    assert driver.leave(MemberIdentity("", "a"), MemberIdentity("", "b")) == [
        ErrorCode.NONE,
        ErrorCode.UNKNOWN_MEMBER_ID,
    ]
    assert static not in driver.group.roster
    assert ErrorCode.REBALANCE_IN_PROGRESS is driver.heartbeat(leader)


def test_unknown_instance_id_with_a_known_member_id_is_25():
    """
    A member id does not help someone whose instance id the group does not know.
    """
    driver, leader, _ = driver_with_static()

    assert ErrorCode.UNKNOWN_MEMBER_ID is driver.heartbeat(leader, instance_id="zzz")
