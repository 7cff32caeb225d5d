"""One member of a consumer group, as its coordinator knows it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

Ticket = Callable[[Any], None]
"""Where a parked answer goes. Called exactly once, with a JoinResult or a SyncResult."""


class MemberProtocol(NamedTuple):
    """One assignment strategy that a member can follow, with what it says under that strategy."""

    name: str
    metadata: bytes


@dataclass(slots=True)
class Member:
    """A registered member. The group alone changes its fields.

    Attributes:
        member_id: the name that the coordinator gave it.
        instance_id: `group.instance.id` of a static member, None for a dynamic one.
        client_id: as in the request header that brought it.
        client_host: peer address, for DescribeGroups.
        session_timeout: seconds it may stay silent.
        rebalance_timeout: seconds it gets to come back when the group rebalances.
        protocols: what it supports, the one it prefers first.
        assignment: the bytes that the leader addressed to it in this generation.
        is_new: True until its first join has been answered. A new member does not know its id
            yet and cannot send heartbeats, so it gets a longer deadline meanwhile.
        deadline: monotonic second at which it counts as gone.
        join_ticket: its parked JoinGroup, or None.
        sync_ticket: its parked SyncGroup, or None.
    """

    member_id: str
    instance_id: str | None
    client_id: str
    client_host: str
    session_timeout: float
    rebalance_timeout: float
    protocols: tuple[MemberProtocol, ...]
    assignment: bytes = b""
    is_new: bool = True
    deadline: float = 0.0
    join_ticket: Ticket | None = None
    sync_ticket: Ticket | None = None

    @property
    def is_static(self) -> bool:
        """True when it keeps its place across restarts by its instance id."""
        return self.instance_id is not None

    @property
    def can_expire(self) -> bool:
        """True when silence until `deadline` means that it is gone.

        A known member with a parked request cannot heartbeat over that connection; the join and
        sync deadlines of the group watch over it instead.
        """
        return self.is_new or (self.join_ticket is None and self.sync_ticket is None)

    def touch(self, now: float) -> None:
        """Start a fresh session timeout at `now`."""
        self.deadline = now + self.session_timeout

    def metadata(self, protocol: str) -> bytes:
        """Return what it said under `protocol`, or b"" if it never named that protocol."""
        for name, metadata in self.protocols:
            if name == protocol:
                return metadata
        return b""

    def supports(self, protocol: str) -> bool:
        """True when `protocol` is among those it named."""
        return any(name == protocol for name, _ in self.protocols)

    def vote(self, candidates: frozenset[str]) -> str:
        """Return the first of its protocols that is a candidate.

        Raises:
            ValueError: none is; the group let in a member that it cannot work with.
        """
        for name, _ in self.protocols:
            if name in candidates:
                return name
        raise ValueError(f"member {self.member_id} supports none of {sorted(candidates)}")
