"""Who belongs to a group: members, instance ids, ids given out, and the leader among them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from pyproducer.broker.groups.member import Member
from pyproducer.broker.groups.subscription import subscribed_topics
from pyproducer.protocol.error_codes import ErrorCode

# A postponed join phase must not spin when members announce a rebalance timeout of 0.
MIN_REBALANCE_TIMEOUT = 0.1


class Roster:
    """The members of one group, in the order in which they came.

    Invariants: `leader` is a member, or None exactly when there are none; each static member's
    instance id points at it; an id is pending or a member, never both.

    Attributes:
        leader: member id of the one that assigns.
        pending: ids given out with MEMBER_ID_REQUIRED, each with the monotonic second at which
            it stops being good.
    """

    def __init__(self) -> None:
        self.leader: str | None = None
        self.pending: dict[str, float] = {}
        self._members: dict[str, Member] = {}
        self._static: dict[str, str] = {}

    def __iter__(self) -> Iterator[Member]:
        """Iterate over a snapshot, so that members may go meanwhile."""
        return iter(list(self._members.values()))

    def __len__(self) -> int:
        return len(self._members)

    def __contains__(self, member_id: object) -> bool:
        return member_id in self._members

    def __getitem__(self, member_id: str) -> Member:
        return self._members[member_id]

    def get(self, member_id: str) -> Member | None:
        """Return the member of that id, None if there is none."""
        return self._members.get(member_id)

    def holder(self, instance_id: str) -> str | None:
        """Return the member id behind a `group.instance.id`, None if it has no member."""
        return self._static.get(instance_id)

    def add(self, member: Member) -> None:
        """Take a member in; the first becomes the leader."""
        self.pending.pop(member.member_id, None)
        self._members[member.member_id] = member
        if member.instance_id is not None:
            self._static[member.instance_id] = member.member_id
        if self.leader is None:
            self.leader = member.member_id

    def replace(self, old: Member, new: Member) -> None:
        """Put `new` in the place of `old`: same rank, same instance id, leader if that led."""
        self._members = {
            member.member_id: member
            for member in (new if member is old else member for member in self)
        }
        if new.instance_id is not None:
            self._static[new.instance_id] = new.member_id
        if self.leader == old.member_id:
            self.leader = new.member_id

    def forget(self, member: Member) -> None:
        """Take a member out; if it led, the oldest of the others leads."""
        del self._members[member.member_id]
        if member.instance_id is not None:
            self._static.pop(member.instance_id, None)
        if self.leader == member.member_id:
            self.leader = next(iter(self._members), None)

    def clear(self) -> None:
        """Forget everybody, those with a pending id too."""
        self.leader = None
        self.pending.clear()
        self._members.clear()
        self._static.clear()

    def check(self, member_id: str, instance_id: str | None) -> ErrorCode | None:
        """Return what is wrong with somebody who calls itself that, None if it is a member."""
        if instance_id is not None:
            holder = self._static.get(instance_id)
            if holder is None:
                return ErrorCode.UNKNOWN_MEMBER_ID
            if holder != member_id:
                return ErrorCode.FENCED_INSTANCE_ID
        return None if member_id in self._members else ErrorCode.UNKNOWN_MEMBER_ID

    @property
    def joined(self) -> int:
        """How many members have a join parked."""
        return sum(member.join_ticket is not None for member in self._members.values())

    @property
    def all_back(self) -> bool:
        """True when nobody who is known is still to join."""
        return not self.pending and self.joined == len(self._members)

    @property
    def rebalance_timeout(self) -> float:
        """Seconds that the slowest member asked for."""
        longest = (member.rebalance_timeout for member in self._members.values())
        return max(longest, default=0.0) or MIN_REBALANCE_TIMEOUT

    def elect(self) -> bool:
        """Make sure that a member whose join is parked leads; False if there is none."""
        if self.leader is not None and self[self.leader].join_ticket is not None:
            return True
        for member in self:
            if member.join_ticket is not None:
                self.leader = member.member_id
                return True
        return False

    def common_protocols(self) -> frozenset[str]:
        """Return the protocols that every member supports."""
        supported = [{name for name, _ in member.protocols} for member in self]
        return frozenset(set.intersection(*supported)) if supported else frozenset()

    def choose_protocol(self) -> str:
        """Return the common protocol with the most votes; the earlier member breaks a tie."""
        candidates = self.common_protocols()
        votes = Counter(member.vote(candidates) for member in self)
        return votes.most_common(1)[0][0]

    def topics(self) -> frozenset[str] | None:
        """Return what the members subscribe to, None if one of them does not say it readably."""
        topics: set[str] = set()
        for member in self:
            for _, metadata in member.protocols:
                named = subscribed_topics(metadata)
                if named is None:
                    return None
                topics |= named
        return frozenset(topics)
