"""The group APIs over the wire, in every version that is served."""

from __future__ import annotations

import pytest

from pyproducer.protocol.error_codes import ErrorCode
from pyproducer.protocol.messages.create_topics import CreatableTopic, CreateTopicsRequest
from pyproducer.protocol.messages.delete_groups import DeleteGroupsRequest
from pyproducer.protocol.messages.delete_topics import DeleteTopicsRequest
from pyproducer.protocol.messages.describe_groups import DescribeGroupsRequest
from pyproducer.protocol.messages.find_coordinator import FindCoordinatorRequest
from pyproducer.protocol.messages.heartbeat import HeartbeatRequest
from pyproducer.protocol.messages.join_group import (
    JoinGroupRequest,
    JoinGroupRequestProtocol,
)
from pyproducer.protocol.messages.leave_group import LeaveGroupRequest, MemberIdentity
from pyproducer.protocol.messages.list_groups import ListGroupsRequest
from pyproducer.protocol.messages.offset_commit import (
    OffsetCommitRequest,
    OffsetCommitRequestPartition,
    OffsetCommitRequestTopic,
)
from pyproducer.protocol.messages.offset_delete import (
    OffsetDeleteRequest,
    OffsetDeleteRequestPartition,
    OffsetDeleteRequestTopic,
)
from pyproducer.protocol.messages.offset_fetch import (
    OffsetFetchRequest,
    OffsetFetchRequestGroup,
    OffsetFetchRequestTopic,
    OffsetFetchRequestTopics,
)
from pyproducer.protocol.messages.sync_group import (
    SyncGroupRequest,
    SyncGroupRequestAssignment,
)

READ_DELETE_DESCRIBE = (1 << 3) | (1 << 6) | (1 << 8)


def join(client, version=9, member_id="", **changes):
    """Join, in two rounds where the version wants that; the last answer."""
    fields = {
        "group_id": "g",
        "session_timeout_ms": 10_000,
        "member_id": member_id,
        "protocol_type": "consumer",
        "protocols": [JoinGroupRequestProtocol(name="range", metadata=b"wish")],
    } | changes
    if version >= 1:
        fields.setdefault("rebalance_timeout_ms", 60_000)
    answer = client.ask(JoinGroupRequest(**fields), version)
    if answer.error_code == ErrorCode.MEMBER_ID_REQUIRED and version >= 4:
        assert answer.generation_id == -1
        return join(client, version, answer.member_id, **changes)
    return answer


def sync(client, joined, version=5, **changes):
    """Hand in one share for the member itself; the answer."""
    fields = {
        "group_id": "g",
        "generation_id": joined.generation_id,
        "member_id": joined.member_id,
        "assignments": [SyncGroupRequestAssignment(member_id=joined.member_id, assignment=b"all")],
    }
    return client.ask(SyncGroupRequest(**(fields | changes)), version)


def commit(client, version=9, topic="orders", partition=1, **changes):
    """Commit 42 with a note; the error of the partition."""
    offset = OffsetCommitRequestPartition(
        partition_index=partition,
        committed_offset=42,
        committed_leader_epoch=3,
        committed_metadata="note",
    )
    topics = [OffsetCommitRequestTopic(name=topic, partitions=[offset])]
    request = OffsetCommitRequest(**({"group_id": "g", "topics": topics} | changes))
    [found] = client.ask(request, version).topics
    assert found.name == topic
    assert found.partitions[0].partition_index == partition
    return found.partitions[0].error_code


def fetch(client, version=9, topics=("orders",), group="g"):
    """Fetch partitions 0 and 1 of the topics, or everything for None; {(topic, index): answer}."""
    if version >= 8:
        wanted = topics and [
            OffsetFetchRequestTopics(name=name, partition_indexes=[0, 1]) for name in topics
        ]
        groups = [OffsetFetchRequestGroup(group_id=group, topics=wanted)]
        [answer] = client.ask(OffsetFetchRequest(groups=groups), version).groups
        assert answer.group_id == group
    else:
        wanted = topics and [
            OffsetFetchRequestTopic(name=name, partition_indexes=[0, 1]) for name in topics
        ]
        answer = client.ask(OffsetFetchRequest(group_id=group, topics=wanted), version)
    assert answer.error_code == ErrorCode.NONE
    return {(t.name, p.partition_index): p for t in answer.topics for p in t.partitions}


@pytest.mark.parametrize("version", range(10))
def test_join_of_a_lone_member(client, version):
    """
    In every version the first member leads the first generation and gets the list.
    """
    joined = join(client, version)

    assert (joined.error_code, joined.generation_id) == (ErrorCode.NONE, 1)
    assert joined.leader == joined.member_id
    assert joined.member_id.startswith("wire-")
    assert joined.protocol_name == "range"
    assert joined.protocol_type == ("consumer" if version >= 7 else None)
    assert [(m.member_id, m.metadata) for m in joined.members] == [(joined.member_id, b"wish")]


@pytest.mark.parametrize("version", range(10))
def test_refused_join(client, version):
    """
    In every version a refusal can be told, though older ones have no null protocol.
    """
    refused = join(client, version, session_timeout_ms=1)

    assert refused.error_code == ErrorCode.INVALID_SESSION_TIMEOUT
    assert refused.protocol_name == (None if version >= 7 else "")


@pytest.mark.parametrize("version", range(6))
def test_sync(client, version):
    """
    In every version the leader gets back the share that it handed in for itself.
    """
    synced = sync(client, join(client), version)

    assert (synced.error_code, synced.assignment) == (ErrorCode.NONE, b"all")
    assert synced.protocol_name == ("range" if version >= 5 else None)


@pytest.mark.parametrize("version", range(5))
def test_heartbeat(client, version):
    """
    In every version a member hears that all is well, a stranger 25.
    """
    joined = join(client)
    sync(client, joined)
    answers = [
        client.ask(HeartbeatRequest(group_id="g", generation_id=1, member_id=who), version)
        for who in (joined.member_id, "stranger")
    ]

    assert [a.error_code for a in answers] == [ErrorCode.NONE, ErrorCode.UNKNOWN_MEMBER_ID]


@pytest.mark.parametrize("version", range(6))
def test_leave(client, version):
    """
    Up to version 2 one member's error is the answer's; later ones answer for each member.
    """
    joined = join(client)
    sync(client, joined)
    if version < 3:
        request = LeaveGroupRequest(group_id="g", member_id=joined.member_id)
        errors = [client.ask(request, version).error_code for _ in range(2)]
    else:
        members = [MemberIdentity(member_id=who) for who in (joined.member_id, "stranger")]
        answer = client.ask(LeaveGroupRequest(group_id="g", members=members), version)
        assert answer.error_code == ErrorCode.NONE
        assert [m.member_id for m in answer.members] == [joined.member_id, "stranger"]
        errors = [m.error_code for m in answer.members]

    assert errors == [ErrorCode.NONE, ErrorCode.UNKNOWN_MEMBER_ID]


@pytest.mark.parametrize("version", range(10))
def test_commit_and_fetch(client, version):
    """
    In every version pair what was committed comes back, with epoch and note where there is room.
    """
    assert commit(client, version, group_id="other") == ErrorCode.NONE
    assert commit(client, version) == ErrorCode.NONE
    found = fetch(client, version)

    assert set(found) == {("orders", 0), ("orders", 1)}
    assert (found["orders", 0].committed_offset, found["orders", 0].error_code) == (-1, 0)
    assert found["orders", 1].committed_offset == 42
    assert found["orders", 1].metadata == "note"
    if version >= 6:
        assert found["orders", 1].committed_leader_epoch == 3
    if version >= 2:
        assert set(fetch(client, version, topics=None)) == {("orders", 1)}


def test_commit_to_what_does_not_exist(client):
    """
    An unknown topic or partition is 3, and does not keep the others from being stored.
    """
    assert commit(client, topic="nothing") == ErrorCode.UNKNOWN_TOPIC_OR_PARTITION
    assert commit(client, partition=3) == ErrorCode.UNKNOWN_TOPIC_OR_PARTITION
    assert commit(client, partition=-1) == ErrorCode.UNKNOWN_TOPIC_OR_PARTITION
    assert fetch(client, topics=None) == {}


def test_commit_in_the_name_of_a_member(client):
    """
    A group with members takes commits of its generation only: 22 and 25 for others.
    """
    joined = join(client)
    sync(client, joined)
    own = {"member_id": joined.member_id, "generation_id_or_member_epoch": 1}

    assert commit(client, **own) == ErrorCode.NONE
    assert commit(client, **(own | {"generation_id_or_member_epoch": 0})) == (
        ErrorCode.ILLEGAL_GENERATION
    )
    assert commit(client, **(own | {"member_id": "x"})) == ErrorCode.UNKNOWN_MEMBER_ID
    assert commit(client) == ErrorCode.UNKNOWN_MEMBER_ID


def test_offsets_of_a_deleted_topic_are_gone(client):
    """
    A topic that is made again under its name is not read from the old one's offset.
    """
    assert commit(client) == ErrorCode.NONE
    client.ask(DeleteTopicsRequest(topic_names=["orders"], timeout_ms=1000), 4)
    again = CreatableTopic(name="orders", num_partitions=3, replication_factor=1)
    client.ask(CreateTopicsRequest(topics=[again], timeout_ms=1000), 5)

    assert fetch(client)["orders", 1].committed_offset == -1


@pytest.mark.parametrize("version", range(6))
def test_find_coordinator(client, broker, version):
    """
    This broker looks after every group; from version 4 on several are asked for at once.
    """
    if version >= 4:
        request = FindCoordinatorRequest(key_type=0, coordinator_keys=["g", "h"])
        answers = client.ask(request, version).coordinators
        assert [a.key for a in answers] == ["g", "h"]
    else:
        answers = [client.ask(FindCoordinatorRequest(key="g"), version)]
    for answer in answers:
        assert (answer.error_code, answer.node_id) == (ErrorCode.NONE, 1)
        assert f"{answer.host}:{answer.port}" == broker.bootstrap_servers


@pytest.mark.parametrize("version", range(1, 6))
def test_coordinator_of_transactions(broker, client, version):
    """
    The broker looks after transactional ids too; other kinds of keys get 42.
    """
    found = []
    for key_type in (1, 2):
        if version >= 4:
            request = FindCoordinatorRequest(key_type=key_type, coordinator_keys=["tx"])
            found += client.ask(request, version).coordinators
        else:
            found.append(client.ask(FindCoordinatorRequest(key="tx", key_type=key_type), version))

    assert f"{found[0].host}:{found[0].port}" == broker.bootstrap_servers
    assert [one.error_code for one in found] == [ErrorCode.NONE, ErrorCode.INVALID_REQUEST]


@pytest.mark.parametrize("version", range(7))
def test_describe(client, version):
    """
    A stable group shows its member; one that nobody knows is Dead, from version 6 on an error.
    """
    joined = join(client)
    sync(client, joined)
    request = DescribeGroupsRequest(groups=["g", "nobody"])
    request.include_authorized_operations = version >= 3
    known, unknown = client.ask(request, version).groups
    [member] = known.members

    assert (known.group_state, known.protocol_type, known.protocol_data) == (
        "Stable",
        "consumer",
        "range",
    )
    assert (member.member_id, member.client_id) == (joined.member_id, "wire")
    assert member.client_host == "/127.0.0.1"
    assert (member.member_metadata, member.member_assignment) == (b"wish", b"all")
    if version >= 3:
        operations = known.authorized_operations
        assert operations & READ_DELETE_DESCRIBE == READ_DELETE_DESCRIBE
    assert unknown.group_state == "Dead"
    assert unknown.error_code == (ErrorCode.GROUP_ID_NOT_FOUND if version >= 6 else 0)


@pytest.mark.parametrize("version", range(6))
def test_list(client, version):
    """
    Every group is listed, by name; filters narrow it down where the version has them.
    """
    sync(client, join(client))
    commit(client, group_id="a")

    def names(**filters):
        answer = client.ask(ListGroupsRequest(**filters), version)
        return [(group.group_id, group.protocol_type) for group in answer.groups]

    assert names() == [("a", ""), ("g", "consumer")]
    if version >= 4:
        assert names(states_filter=["stable"]) == [("g", "consumer")]
        assert names(states_filter=["Dead"]) == []
    if version >= 5:
        assert names(types_filter=["Classic"]) == [("a", ""), ("g", "consumer")]
        assert names(types_filter=["consumer"]) == []


@pytest.mark.parametrize("version", range(3))
def test_delete(client, version):
    """
    Each group of the request has an answer of its own.
    """
    sync(client, join(client))
    commit(client, group_id="a")
    request = DeleteGroupsRequest(groups_names=["g", "a", "nobody"])
    answer = client.ask(request, version)

    assert [(r.group_id, r.error_code) for r in answer.results] == [
        ("g", ErrorCode.NON_EMPTY_GROUP),
        ("a", ErrorCode.NONE),
        ("nobody", ErrorCode.GROUP_ID_NOT_FOUND),
    ]


def test_offset_delete(client):
    """
    Offsets of existing partitions go; a partition that there is not is 3, a group 69.
    """
    commit(client)
    partitions = [OffsetDeleteRequestPartition(partition_index=index) for index in (1, 9)]
    topics = [OffsetDeleteRequestTopic(name="orders", partitions=partitions)]
    answer = client.ask(OffsetDeleteRequest(group_id="g", topics=topics), 0)
    unknown = client.ask(OffsetDeleteRequest(group_id="nobody", topics=topics), 0)

    assert [p.error_code for p in answer.topics[0].partitions] == [
        ErrorCode.NONE,
        ErrorCode.UNKNOWN_TOPIC_OR_PARTITION,
    ]
    assert unknown.error_code == ErrorCode.GROUP_ID_NOT_FOUND
    assert fetch(client, topics=None) == {}


def test_parked_member_that_hangs_up(client, broker):
    """
    A connection that closes while its join is parked leaves the broker and the group at work.
    """
    from tests.helpers.wire_client import WireClient

    joined = join(client)
    sync(client, joined)
    with WireClient(broker.bootstrap_servers, client_id="gone") as other:
        other.send(
            JoinGroupRequest(
                group_id="g",
                session_timeout_ms=10_000,
                rebalance_timeout_ms=60_000,
                protocol_type="consumer",
                protocols=[JoinGroupRequestProtocol(name="range")],
            ),
            3,
        )
        heartbeat = HeartbeatRequest(group_id="g", generation_id=1, member_id=joined.member_id)
        while client.ask(heartbeat, 4).error_code == ErrorCode.NONE:
            pass
    again = join(client, member_id=joined.member_id)

    assert (again.error_code, again.generation_id) == (ErrorCode.NONE, 2)
    assert len(again.members) == 2
