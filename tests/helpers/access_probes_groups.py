"""What requests of consumers and about their groups take."""

from __future__ import annotations

from collections.abc import Callable

from pyproducer.broker.handlers import access
from pyproducer.protocol.messages import (
    delete_groups,
    describe_groups,
    find_coordinator,
    heartbeat,
    join_group,
    leave_group,
    list_groups,
    offset_commit,
    offset_delete,
    offset_fetch,
    sync_group,
)
from pyproducer.protocol.schema import Message
from tests.helpers.access_probe import GROUP, TOPIC, Place, Probe
from tests.helpers.acl_requests import codes


def _offset_commit(place: Place) -> Message:
    part = offset_commit.OffsetCommitRequestPartition(partition_index=0, committed_offset=0)
    return offset_commit.OffsetCommitRequest(
        group_id=place.group,
        topics=[offset_commit.OffsetCommitRequestTopic(name=place.topic, partitions=[part])],
    )


def _offset_fetch(place: Place) -> Message:
    topic = offset_fetch.OffsetFetchRequestTopics(name=place.topic, partition_indexes=[0])
    return offset_fetch.OffsetFetchRequest(
        groups=[offset_fetch.OffsetFetchRequestGroup(group_id=place.group, topics=[topic])]
    )


def _offset_fetch_of_old(place: Place) -> Message:
    topic = offset_fetch.OffsetFetchRequestTopic(name=place.topic, partition_indexes=[0])
    return offset_fetch.OffsetFetchRequest(group_id=place.group, topics=[topic])


def _join_group(place: Place) -> Message:
    return join_group.JoinGroupRequest(
        group_id=place.group, session_timeout_ms=10_000, protocol_type="consumer"
    )


def _find(key_type: int, *, batched: bool) -> Callable[[Place], Message]:
    def request(place: Place) -> Message:
        key = place.transactional_id if key_type else place.group
        found = find_coordinator.FindCoordinatorRequest(key_type=key_type)
        if batched:
            found.coordinator_keys = [key]
        else:
            found.key = key
        return found

    return request


GROUPS_PROBES: dict[str, Probe] = {
    "offset commit": Probe(_offset_commit, 5, (access.READ_TOPIC, access.READ_GROUP), [GROUP]),
    "offset commit of a topic": Probe(
        _offset_commit, 5, (access.READ_GROUP, access.READ_TOPIC), [TOPIC]
    ),
    "offset fetch": Probe(
        _offset_fetch,
        8,
        (access.DESCRIBE_TOPIC, access.DESCRIBE_GROUP),
        ([GROUP], []),
        allowed=([], [True]),
        sees=lambda answer, place: (
            codes(answer),
            [topic.name == place.topic for topic in answer.groups[0].topics],
        ),
    ),
    "offset fetch of old": Probe(
        _offset_fetch_of_old,
        5,
        (access.DESCRIBE_TOPIC, access.DESCRIBE_GROUP),
        ([GROUP], []),
        allowed=([], [True]),
        sees=lambda answer, place: (
            codes(answer),
            [topic.name == place.topic for topic in answer.topics],
        ),
    ),
    "offset fetch of oldest": Probe(
        _offset_fetch_of_old, 1, (access.DESCRIBE_TOPIC, access.DESCRIBE_GROUP), [GROUP]
    ),
    "offset fetch of a topic": Probe(
        _offset_fetch, 8, (access.DESCRIBE_GROUP, access.DESCRIBE_TOPIC), [TOPIC]
    ),
    "find coordinators of groups": Probe(
        _find(0, batched=True), 4, (access.DESCRIBE_GROUP,), [GROUP]
    ),
    "find a group's coordinator": Probe(
        _find(0, batched=False), 2, (access.DESCRIBE_GROUP,), [GROUP]
    ),
    "join group": Probe(_join_group, 5, (access.READ_GROUP,), [GROUP]),
    "sync group": Probe(
        lambda place: sync_group.SyncGroupRequest(
            group_id=place.group, generation_id=1, member_id="nobody"
        ),
        4,
        (access.READ_GROUP,),
        [GROUP],
    ),
    "heartbeat": Probe(
        lambda place: heartbeat.HeartbeatRequest(
            group_id=place.group, generation_id=1, member_id="nobody"
        ),
        4,
        (access.READ_GROUP,),
        [GROUP],
    ),
    "leave group": Probe(
        lambda place: leave_group.LeaveGroupRequest(
            group_id=place.group, members=[leave_group.MemberIdentity(member_id="nobody")]
        ),
        4,
        (access.READ_GROUP,),
        [GROUP],
    ),
    "describe groups": Probe(
        lambda place: describe_groups.DescribeGroupsRequest(groups=[place.group]),
        5,
        (access.DESCRIBE_GROUP,),
        [GROUP],
    ),
    "list groups": Probe(
        lambda _place: list_groups.ListGroupsRequest(),
        4,
        (access.DESCRIBE_GROUP,),
        False,
        allowed=True,
        sees=lambda answer, place: place.group in [one.group_id for one in answer.groups],
    ),
    "list groups, by the cluster": Probe(
        lambda _place: list_groups.ListGroupsRequest(),
        4,
        (access.DESCRIBE_CLUSTER,),
        False,
        allowed=True,
        sees=lambda answer, place: place.group in [one.group_id for one in answer.groups],
    ),
    "delete groups": Probe(
        lambda place: delete_groups.DeleteGroupsRequest(groups_names=[place.group]),
        2,
        (access.DELETE_GROUP,),
        [GROUP],
    ),
    "offset delete": Probe(
        lambda place: offset_delete.OffsetDeleteRequest(group_id=place.group),
        0,
        (access.DELETE_GROUP,),
        [GROUP],
    ),
    "offset delete of a topic": Probe(
        lambda place: offset_delete.OffsetDeleteRequest(
            group_id=place.group,
            topics=[
                offset_delete.OffsetDeleteRequestTopic(
                    name=place.topic,
                    partitions=[offset_delete.OffsetDeleteRequestPartition(partition_index=0)],
                )
            ],
        ),
        0,
        (access.DELETE_GROUP, access.READ_TOPIC),
        [TOPIC],
    ),
}
