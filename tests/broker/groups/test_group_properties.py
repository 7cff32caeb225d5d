"""The group under random sequences of whatever members and time can do to it."""

from __future__ import annotations

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from pyproducer.broker.groups.group import Group
from pyproducer.broker.groups.member import MemberProtocol
from pyproducer.broker.groups.model import MemberIdentity
from pyproducer.broker.groups.state import COMPLETING, EMPTY, PREPARING, STABLE
from pyproducer.protocol.error_codes import ErrorCode
from tests.helpers.group_driver import GroupDriver, Parked, numbered_ids

PROTOCOLS = [
    MemberProtocol("range", b"1"),
    MemberProtocol("range", b"2"),
    MemberProtocol("rr", b""),
]
protocol_lists = st.lists(
    st.sampled_from(PROTOCOLS), min_size=1, max_size=2, unique_by=lambda p: p[0]
)
instances = st.sampled_from([None, None, "a", "b"])
picks = st.integers(0, 50)


class GroupMachine(RuleBasedStateMachine):
    @initialize(delay=st.sampled_from([0, 3000]), size=st.sampled_from([2, 3, 100]))
    def begin(self, delay: int, size: int) -> None:
        self.driver = GroupDriver(initial_rebalance_delay_ms=delay, max_size=size)
        self.parked: list[Parked] = []
        self.generation = 0
        # Every id that was ever given out, so that dead ones are used as well.
        self.ids: list[tuple[str, str | None]] = [("stranger", None)]

    def someone(self, pick: int) -> tuple[str, str | None]:
        return self.ids[-1 - pick % min(len(self.ids), 8)]

    def note(self, parked: Parked, instance: str | None = None) -> None:
        self.parked.append(parked)
        self.learn()
        if not parked.waiting and getattr(parked.result, "member_id", ""):
            self.ids.append((parked.result.member_id, instance))

    def learn(self) -> None:
        known = {member_id for member_id, _ in self.ids}
        for member in self.driver.group.roster:
            if member.member_id not in known:
                self.ids.append((member.member_id, member.instance_id))

    @rule(instance=instances, protocols=protocol_lists, modern=st.booleans())
    def newcomer(self, instance: str | None, protocols: list, modern: bool) -> None:
        parked = self.driver.join(
            instance_id=instance,
            protocols=tuple(protocols),
            require_known_member_id=modern and instance is None,
            can_skip_assignment=modern,
        )
        self.note(parked, instance)

    @rule(pick=picks, protocols=protocol_lists, timeout=st.sampled_from([0.0, 5.0, 60.0]))
    def rejoin(self, pick: int, protocols: list, timeout: float) -> None:
        member_id, instance = self.someone(pick)
        parked = self.driver.join(
            member_id, instance_id=instance, protocols=tuple(protocols), rebalance_timeout=timeout
        )
        self.note(parked, instance)

    @rule(pick=picks)
    def sync(self, pick: int) -> None:
        member_id, instance = self.someone(pick)
        shares = {member.member_id: b"x" for member in self.driver.group.roster}
        self.note(self.driver.sync(member_id, shares, instance_id=instance))

    @rule()
    def leader_syncs(self) -> None:
        leader = self.driver.group.roster.leader
        if leader is not None:
            instance = self.driver.group.roster[leader].instance_id
            self.note(self.driver.sync(leader, {leader: b"x"}, instance_id=instance))

    @rule(pick=picks)
    def heartbeat(self, pick: int) -> None:
        member_id, instance = self.someone(pick)
        self.driver.heartbeat(member_id, instance_id=instance)

    @rule(pick=picks)
    def leave(self, pick: int) -> None:
        self.driver.leave(MemberIdentity(*self.someone(pick)))

    @rule(seconds=st.sampled_from([0, 1, 3, 9, 61]))
    def time_passes(self, seconds: float) -> None:
        self.driver.pass_time(seconds)

    @rule(error=st.sampled_from([ErrorCode.NONE, ErrorCode.COORDINATOR_NOT_AVAILABLE]))
    def disk_changes(self, error: ErrorCode) -> None:
        self.driver.store_error = error

    @invariant()
    def state_and_members_agree(self) -> None:
        group = self.driver.group
        members = list(group.roster)
        assert (group.roster.leader is None) == (not members)
        assert group.roster.leader is None or group.roster.leader in group.roster
        assert group.state is not EMPTY or not members
        assert group.state not in {COMPLETING, STABLE} or members
        assert not set(group.roster.pending) & {member.member_id for member in members}
        if group.state is not PREPARING:
            assert all(member.join_ticket is None for member in members)
        if group.state is not COMPLETING:
            assert all(member.sync_ticket is None for member in members)
        for member in members:
            if member.instance_id is not None:
                assert group.roster.holder(member.instance_id) == member.member_id

    @invariant()
    def generation_never_falls(self) -> None:
        assert self.driver.group.generation >= self.generation
        self.generation = self.driver.group.generation

    @invariant()
    def nobody_waits_without_an_end(self) -> None:
        if any(parked.waiting for parked in self.parked):
            assert self.driver.group.deadline() is not None

    @invariant()
    def stable_group_is_stored_as_it_is(self) -> None:
        group = self.driver.group
        if group.state is STABLE:
            restored = Group.restored(
                "g", self.driver.images[-1], self.driver.config, numbered_ids(), 0.0
            )
            assert restored.generation == group.generation
            assert restored.roster.leader == group.roster.leader
            assert [(m.member_id, m.assignment) for m in restored.roster] == [
                (m.member_id, m.assignment) for m in group.roster
            ]

    def teardown(self) -> None:
        if hasattr(self, "driver"):
            self.driver.pass_time(5000)
            assert not any(parked.waiting for parked in self.parked)
            assert self.driver.group.state is EMPTY
            assert self.driver.group.deadline() is None


GroupMachine.TestCase.settings = settings(max_examples=150, stateful_step_count=40)
TestGroupMachine = GroupMachine.TestCase
