"""Pictures of a living group: the image that is stored, and the description for administrators."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

from pyproducer.broker.groups.member import Member, MemberProtocol
from pyproducer.broker.groups.model import (
    GroupDescription,
    GroupImage,
    MemberDescription,
    MemberImage,
)
from pyproducer.broker.groups.state import STABLE

if TYPE_CHECKING:
    from pyproducer.broker.groups.group import Group


def image_of(group: Group, assignments: Mapping[str, bytes]) -> GroupImage:
    """Return the image of `group` with these assignments, whatever its members hold now.

    Of each member's protocols only the chosen one is kept, as Kafka does.
    """
    protocol = group.protocol or ""
    members = tuple(
        MemberImage(
            member_id=member.member_id,
            instance_id=member.instance_id,
            client_id=member.client_id,
            client_host=member.client_host,
            rebalance_timeout_ms=round(member.rebalance_timeout * 1000),
            session_timeout_ms=round(member.session_timeout * 1000),
            subscription=member.metadata(protocol),
            assignment=assignments.get(member.member_id, b""),
        )
        for member in group.roster
    )
    return GroupImage(
        protocol_type=group.protocol_type or "",
        generation=group.generation,
        protocol=group.protocol,
        leader=group.roster.leader,
        members=members,
        state_timestamp_ms=group.state_timestamp_ms,
    )


def members_of(image: GroupImage) -> Iterator[Member]:
    """Yield the members as they were, with nothing parked."""
    for stored in image.members:
        yield Member(
            member_id=stored.member_id,
            instance_id=stored.instance_id,
            client_id=stored.client_id,
            client_host=stored.client_host,
            session_timeout=stored.session_timeout_ms / 1000,
            rebalance_timeout=stored.rebalance_timeout_ms / 1000,
            protocols=(MemberProtocol(image.protocol or "", stored.subscription),),
            assignment=stored.assignment,
            is_new=False,
        )


def describe(group: Group) -> GroupDescription:
    """Return what DescribeGroups shows; metadata and assignments only while it is stable."""
    protocol = (group.protocol or "") if group.state is STABLE else ""
    members = tuple(
        MemberDescription(
            member.member_id,
            member.instance_id,
            member.client_id,
            member.client_host,
            member.metadata(protocol),
            member.assignment if protocol else b"",
        )
        for member in group.roster
    )
    return GroupDescription(
        group.group_id, group.state, group.protocol_type or "", protocol, members
    )
