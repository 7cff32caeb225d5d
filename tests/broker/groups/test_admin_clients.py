"""Foreign admin clients look at groups, move their offsets and delete them."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import closing

import pytest
from confluent_kafka import (
    ConsumerGroupState,
    ConsumerGroupTopicPartitions,
    KafkaError,
    KafkaException,
    Producer,
    TopicPartition,
)
from confluent_kafka.admin import AdminClient

from pyproducer.broker.broker import Broker
from tests.helpers.group_consumers import Confluent, step_until

with warnings.catch_warnings():
    # It reads its schemas by a function that Python has deprecated.
    warnings.simplefilter("ignore", DeprecationWarning)
    import kafka
    import kafka.errors

SERVER_TIMEOUT = 10


@pytest.fixture
def broker() -> Iterator[Broker]:
    with Broker(topics={"orders": 2, "other": 1}) as running:
        yield running


@pytest.fixture
def admin(broker) -> AdminClient:
    return AdminClient({"bootstrap.servers": broker.bootstrap_servers, "log_level": 0})


@pytest.fixture
def python_admin(broker) -> Iterator[kafka.KafkaAdminClient]:
    client = kafka.KafkaAdminClient(bootstrap_servers=broker.bootstrap_servers)
    yield client
    client.close()


@pytest.fixture
def member(broker) -> Iterator[Confluent]:
    """A consumer in the stable group `g` that has committed 3 and 0."""
    producer = Producer({"bootstrap.servers": broker.bootstrap_servers, "log_level": 0})
    for _ in range(3):
        producer.produce("orders", value=b"x", partition=0)
    assert producer.flush(10) == 0
    with closing(Confluent(broker.bootstrap_servers, "g", "orders")) as consumer:
        step_until(lambda: len(consumer.seen) == 3, consumer)
        consumer.commit()
        yield consumer


def test_confluent_lists_and_describes(admin, member):
    """
    AdminClient sees the group, its state, its member and what that is assigned.
    """
    listed = admin.list_consumer_groups().result(SERVER_TIMEOUT)
    described = admin.describe_consumer_groups(["g"])["g"].result(SERVER_TIMEOUT)
    [only] = described.members

    assert [("g", ConsumerGroupState.STABLE)] == [(g.group_id, g.state) for g in listed.valid]
    assert listed.errors == []
    assert described.state is ConsumerGroupState.STABLE
    assert described.partition_assignor == "range"
    assert described.coordinator.id == 1
    assert only.member_id == member.member_id()
    assert {(p.topic, p.partition) for p in only.assignment.topic_partitions} == {
        ("orders", 0),
        ("orders", 1),
    }


def test_confluent_filters_by_state(admin, member):
    """
    ListGroups leaves out groups of other states.
    """

    def names(*states: ConsumerGroupState) -> list[str]:
        found = admin.list_consumer_groups(states=set(states)).result(SERVER_TIMEOUT)
        return [group.group_id for group in found.valid]

    assert names(ConsumerGroupState.STABLE, ConsumerGroupState.EMPTY) == ["g"]
    assert names(ConsumerGroupState.EMPTY) == []


def test_confluent_reads_and_moves_offsets(admin, member):
    """
    Offsets of a group without members can be moved, note included; with members they cannot.
    """

    def offsets() -> dict[int, tuple[int, str | None]]:
        request = [ConsumerGroupTopicPartitions("g")]
        found = admin.list_consumer_group_offsets(request)["g"].result(SERVER_TIMEOUT)
        return {p.partition: (p.offset, p.metadata) for p in found.topic_partitions}

    def move() -> KafkaError | None:
        wanted = TopicPartition("orders", 1, 7, metadata="moved")
        request = [ConsumerGroupTopicPartitions("g", [wanted])]
        moved = admin.alter_consumer_group_offsets(request)["g"].result(SERVER_TIMEOUT)
        return moved.topic_partitions[0].error

    assert offsets()[0][0] == 3
    refused = move()
    member.close()
    accepted = move()

    assert refused is not None
    assert refused.code() == KafkaError.UNKNOWN_MEMBER_ID
    assert accepted is None
    assert offsets()[1] == (7, "moved")


def test_confluent_deletes_only_empty_groups(admin, member):
    """
    Deleting answers NON_EMPTY_GROUP, then success, then GROUP_ID_NOT_FOUND.
    """

    def delete() -> str:
        try:
            admin.delete_consumer_groups(["g"])["g"].result(SERVER_TIMEOUT)
        except KafkaException as error:
            return error.args[0].name()
        return "deleted"

    assert delete() == "NON_EMPTY_GROUP"
    member.close()
    assert [delete(), delete()] == ["deleted", "GROUP_ID_NOT_FOUND"]
    assert admin.list_consumer_groups().result(SERVER_TIMEOUT).valid == []


def test_kafka_python_lists_describes_and_deletes(python_admin, member):
    """
    KafkaAdminClient sees the same, and deletes it once it is empty.
    """
    [listed] = python_admin.list_groups()
    described = python_admin.describe_groups(["g"])["g"]
    assert (listed["group_id"], listed["group_state"]) == ("g", "Stable")
    assert described["group_state"] == "Stable"
    assert [m["member_id"] for m in described["members"]] == [member.member_id()]

    answers = [python_admin.delete_groups(["g"])["g"]]
    member.close()
    answers += [python_admin.delete_groups(["g"])["g"] for _ in range(2)]

    assert answers == ["NonEmptyGroupError", "OK", "GroupIdNotFoundError"]
    assert python_admin.list_groups() == []


def test_kafka_python_deletes_offsets_that_nobody_reads(python_admin, member):
    """
    OffsetDelete refuses subscribed topics, and forgets the others.
    """
    place, other = kafka.TopicPartition("orders", 0), kafka.TopicPartition("other", 0)
    refused = python_admin.delete_group_offsets("g", [place])
    member.close()
    accepted = python_admin.delete_group_offsets("g", [place, other])

    assert refused == {place: kafka.errors.GroupSubscribedToTopicError}
    assert accepted == {place: kafka.errors.NoError, other: kafka.errors.NoError}
    assert place not in python_admin.list_group_offsets({"g": None})["g"]


def test_kafka_python_removes_members(python_admin, member):
    """
    An administrator's LeaveGroup takes a member out; the client then joins again.
    """
    from kafka.admin import MemberToRemove

    leaving = [
        MemberToRemove(member_id=member.member_id()),
        MemberToRemove(group_instance_id="nobody"),
    ]
    answers = python_admin.remove_group_members("g", leaving)

    assert list(answers.values()) == [kafka.errors.NoError, kafka.errors.UnknownMemberIdError]
    assert python_admin.describe_groups(["g"])["g"]["members"] == []
