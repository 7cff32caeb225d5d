"""What goes into a group's state machine and what comes out of it: plain data, no behaviour."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from pyproducer.broker.groups.member import MemberProtocol, Ticket
from pyproducer.broker.groups.state import GroupState
from pyproducer.protocol.error_codes import ErrorCode


@dataclass(frozen=True, slots=True)
class JoinRequest:
    """One member asking to take part in the next generation. Timeouts are seconds."""

    member_id: str
    instance_id: str | None
    client_id: str
    client_host: str
    session_timeout: float
    rebalance_timeout: float
    protocol_type: str
    protocols: tuple[MemberProtocol, ...]
    require_known_member_id: bool = False
    can_skip_assignment: bool = False


class JoinedMember(NamedTuple):
    """A line of the list that only the leader gets."""

    member_id: str
    instance_id: str | None
    metadata: bytes


@dataclass(frozen=True, slots=True)
class JoinResult:
    """The answer to one JoinRequest. On an error only `error` and `member_id` mean something."""

    error: ErrorCode
    member_id: str = ""
    generation: int = -1
    protocol_type: str | None = None
    protocol: str | None = None
    leader: str = ""
    members: tuple[JoinedMember, ...] = ()
    skip_assignment: bool = False


@dataclass(frozen=True, slots=True)
class SyncRequest:
    """One member asking for its share; the leader brings everybody's along."""

    member_id: str
    instance_id: str | None
    generation: int
    protocol_type: str | None
    protocol: str | None
    assignments: dict[str, bytes]


@dataclass(frozen=True, slots=True)
class SyncResult:
    """The answer to one SyncRequest."""

    error: ErrorCode
    protocol_type: str | None = None
    protocol: str | None = None
    assignment: bytes = b""


class MemberIdentity(NamedTuple):
    """Who is leaving. An empty member id with an instance id is an administrator's removal."""

    member_id: str
    instance_id: str | None


@dataclass(frozen=True, slots=True)
class MemberImage:
    """What survives a restart of one member. Timeouts are milliseconds, as on disk."""

    member_id: str
    instance_id: str | None
    client_id: str
    client_host: str
    rebalance_timeout_ms: int
    session_timeout_ms: int
    subscription: bytes
    assignment: bytes


@dataclass(frozen=True, slots=True)
class GroupImage:
    """What survives a restart of one group: the value of its record in `__consumer_offsets`."""

    protocol_type: str
    generation: int
    protocol: str | None
    leader: str | None
    members: tuple[MemberImage, ...] = ()
    state_timestamp_ms: int = -1


@dataclass(frozen=True, slots=True)
class Answer:
    """Effect: hand `result` to whoever waits behind `ticket`."""

    ticket: Ticket
    result: JoinResult | SyncResult

    def deliver(self) -> None:
        """Make the call that the ticket stands for."""
        self.ticket(self.result)


@dataclass(frozen=True, slots=True)
class Store:
    """Effect: make `image` durable, then call `Group.stored(token, error, now)`."""

    token: int
    image: GroupImage


Effect = Answer | Store


@dataclass(frozen=True, slots=True)
class CommittedOffset:
    """Where a group will go on reading a partition.

    Attributes:
        offset: the next offset to read.
        leader_epoch: epoch of the last record consumed, -1 if the client did not tell.
        metadata: the client's own note, returned as it came.
        commit_timestamp_ms: wall clock of the commit.
        expire_timestamp_ms: wall clock after which it may go, -1 to follow the broker's
            retention. Only commits of protocol versions 2 to 4 can name one.
    """

    offset: int
    leader_epoch: int = -1
    metadata: str = ""
    commit_timestamp_ms: int = -1
    expire_timestamp_ms: int = -1


class MemberDescription(NamedTuple):
    """One member, as DescribeGroups shows it."""

    member_id: str
    instance_id: str | None
    client_id: str
    client_host: str
    metadata: bytes
    assignment: bytes


class GroupDescription(NamedTuple):
    """One group, as DescribeGroups and ListGroups show it."""

    group_id: str
    state: GroupState
    protocol_type: str
    protocol: str
    members: tuple[MemberDescription, ...]
