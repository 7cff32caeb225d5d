"""CreateTopics, DeleteTopics, CreatePartitions, DeleteRecords and Metadata."""

from __future__ import annotations

import resource
import uuid

import pytest

from pyproducer.broker import Broker, TopicSpec
from pyproducer.protocol.error_codes import ErrorCode
from pyproducer.protocol.messages.create_topics import (
    CreatableTopic,
    CreateTopicsRequest,
)
from pyproducer.protocol.messages.delete_records import (
    DeleteRecordsPartition,
    DeleteRecordsPartitionResult,
    DeleteRecordsRequest,
    DeleteRecordsTopic,
)
from pyproducer.protocol.messages.delete_topics import DeleteTopicsRequest, DeleteTopicState
from pyproducer.protocol.messages.metadata import (
    MetadataRequest,
    MetadataRequestTopic,
)
from tests.helpers.admin_requests import create_partitions as grow
from tests.helpers.admin_requests import create_topic as create
from tests.helpers.admin_requests import describe_topic as describe
from tests.helpers.partition_logs import batch
from tests.helpers.wire_client import WireClient


@pytest.mark.parametrize("version", range(8))
def test_every_served_version_creates(client: WireClient, version: int):
    """
    CreateTopics 0 to 7 make the topic, which Metadata then shows with its partitions.
    """
    assert 0 == create(client, partitions=4, version=version).error_code
    assert [0, 1, 2, 3] == [p.partition_index for p in describe(client, "new").partitions]


@pytest.mark.parametrize(
    "name", ["", ".", "..", "a/b", "x" * 250, "spa ce", "sn\u00f6", "new\n"], ids=repr
)
def test_n1_illegal_names(client: WireClient, name: str):
    """
    N1: a name outside [a-zA-Z0-9._-]{1,249}, and "." and "..", get 17.
    """
    assert ErrorCode.INVALID_TOPIC_EXCEPTION == create(client, name).error_code


def test_n1_longest_name(broker: Broker, client: WireClient):
    """
    N1: a name of 249 characters is legal, and its log has a directory.
    """
    assert 0 == create(client, "x" * 249, partitions=11).error_code
    assert 0 == client.produce("x" * 249, batch(), partition=10).error_code


def test_n1_names_that_collide(client: WireClient):
    """
    N1: names that differ in '.' and '_' only get 17, an existing one 36.
    """
    create(client, "a.b_c")

    assert ErrorCode.INVALID_TOPIC_EXCEPTION == create(client, "a_b.c").error_code
    assert ErrorCode.TOPIC_ALREADY_EXISTS == create(client, "a.b_c").error_code


def test_n1_one_name_twice_in_a_request(client: WireClient):
    """
    N1: a name that comes twice in one request gets 42 and is not made; others are.
    """
    topics = [
        CreatableTopic(name=name, num_partitions=1, replication_factor=1)
        for name in ("twin", "single", "twin")
    ]
    answer = client.ask(CreateTopicsRequest(topics=topics), 5)

    codes = {result.name: result.error_code for result in answer.topics}
    assert {"twin": ErrorCode.INVALID_REQUEST, "single": 0} == codes
    assert ErrorCode.UNKNOWN_TOPIC_OR_PARTITION == describe(client, "twin").error_code


@pytest.mark.parametrize(
    ("fields", "code"),
    [
        ({"partitions": 0}, ErrorCode.INVALID_PARTITIONS),
        ({"partitions": -2}, ErrorCode.INVALID_PARTITIONS),
        ({"partitions": 2_000_000_000}, ErrorCode.INVALID_PARTITIONS),
        ({"factor": 0}, ErrorCode.INVALID_REPLICATION_FACTOR),
        ({"factor": 2}, ErrorCode.INVALID_REPLICATION_FACTOR),
        ({"factor": -2}, ErrorCode.INVALID_REPLICATION_FACTOR),
        ({"assignments": {0: [1]}}, ErrorCode.INVALID_REQUEST),
        (
            {"partitions": -1, "factor": -1, "assignments": {1: [1]}},
            ErrorCode.INVALID_REPLICA_ASSIGNMENT,
        ),
        (
            {"partitions": -1, "factor": -1, "assignments": {0: [1, 1]}},
            ErrorCode.INVALID_REPLICA_ASSIGNMENT,
        ),
        (
            {"partitions": -1, "factor": -1, "assignments": {0: [2]}},
            ErrorCode.INVALID_REPLICA_ASSIGNMENT,
        ),
    ],
    ids=str,
)
def test_n2_impossible_counts_and_assignments(client: WireClient, fields: dict, code: ErrorCode):
    """
    N2: partition counts, replication factors and assignments that cannot be are refused.
    """
    result = create(client, **fields)

    assert code == result.error_code
    assert result.error_message
    assert ErrorCode.UNKNOWN_TOPIC_OR_PARTITION == describe(client, "new").error_code


def test_n2_defaults_and_assignments(client: WireClient):
    """
    N2: -1 takes the broker's defaults; an assignment makes its own number of partitions.
    """
    assert 1 == create(client, "a", partitions=-1, factor=-1).num_partitions
    made = create(client, "b", partitions=-1, factor=-1, assignments={1: [1], 0: [1]})
    assert (0, 2, 1) == (made.error_code, made.num_partitions, made.replication_factor)


def test_n2_validate_only_has_no_effect(client: WireClient):
    """
    N2: validate_only answers as if, and makes nothing.
    """
    good = create(client, validate_only=True)
    bad = create(client, partitions=0, validate_only=True)

    assert (0, ErrorCode.INVALID_PARTITIONS) == (good.error_code, bad.error_code)
    assert ErrorCode.UNKNOWN_TOPIC_OR_PARTITION == describe(client, "new").error_code


def test_n2_answer_has_configs_and_id(client: WireClient):
    """
    N2: from version 5 on the effective configs come back, from 7 on the topic id.
    """
    made = create(client, configs={"retention.ms": "1000"}, version=7)
    rows = {row.name: (row.value, row.config_source) for row in made.configs}

    assert ("1000", 1) == rows["retention.ms"]
    assert ("1073741824", 5) == rows["segment.bytes"]
    assert describe(client, "new").topic_id == made.topic_id != uuid.UUID(int=0)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("retention.msx", "1"),
        ("retention.ms", "soon"),
        ("retention.ms", "-2"),
        ("retention.ms", None),
        ("segment.bytes", "3000000000"),
        ("cleanup.policy", "compost"),
        ("message.timestamp.type", "Whatever"),
        ("compression.type", "brotli"),
        ("min.insync.replicas", "0"),
        ("min.cleanable.dirty.ratio", "1.5"),
        ("preallocate", "yes"),
    ],
)
def test_n3_bad_configs(client: WireClient, name: str, value: str | None):
    """
    N3: an unknown name or a bad value gets 40 and a message that names both.
    """
    result = create(client, configs={name: value})

    assert ErrorCode.INVALID_CONFIG == result.error_code
    assert name in result.error_message
    assert value is None or value in result.error_message or name == "retention.msx"


def test_w7_config_without_effect_is_refused(client: WireClient):
    """
    W7: a setting that would do nothing here is refused, at its default it is accepted.
    """
    refused = create(client, configs={"remote.storage.enable": "true"})
    accepted = create(client, configs={"remote.storage.enable": "false"})

    assert ErrorCode.INVALID_CONFIG == refused.error_code
    assert "no effect" in refused.error_message
    assert 0 == accepted.error_code


def test_partitions_that_would_use_up_all_files_are_refused(
    client: WireClient, monkeypatch: pytest.MonkeyPatch
):
    """
    A topic that would leave no files for connections gets 44 and what to change.
    """
    monkeypatch.setattr(resource, "getrlimit", lambda _: (300, 300))
    too_many = create(client, partitions=150)
    fitting = create(client, partitions=100)

    assert ErrorCode.POLICY_VIOLATION == too_many.error_code
    assert "ulimit -n" in too_many.error_message
    assert 0 == fitting.error_code
    assert ErrorCode.POLICY_VIOLATION == grow(client, "new", 200)[1]


def test_internal_topics_cannot_be_made(client: WireClient):
    """
    The names of the broker's own topics are not for clients.
    """
    assert ErrorCode.INVALID_TOPIC_EXCEPTION == create(client, "__consumer_offsets").error_code


@pytest.mark.parametrize("version", range(7))
def test_deleted_topic_is_gone_and_its_name_free(client: WireClient, version: int):
    """
    DeleteTopics 0 to 6 remove a topic by name; one made again is empty and has another id.
    """
    before = describe(client, "orders").topic_id
    client.produce("orders", batch(3))
    request = (
        DeleteTopicsRequest(topics=[DeleteTopicState(name="orders")])
        if version >= 6
        else DeleteTopicsRequest(topic_names=["orders"])
    )
    assert [0] == [one.error_code for one in client.ask(request, version).responses]
    assert ErrorCode.UNKNOWN_TOPIC_OR_PARTITION == describe(client, "orders").error_code
    assert ErrorCode.UNKNOWN_TOPIC_OR_PARTITION == client.produce("orders", batch()).error_code

    create(client, "orders", partitions=3)
    assert before != describe(client, "orders").topic_id
    assert 0 == client.produce("orders", batch()).base_offset


def test_delete_by_id_and_what_cannot_be_deleted(client: WireClient):
    """
    Version 6 deletes by id; unknown ids get 100, unknown names 3, both or neither 42.
    """
    topic_id = describe(client, "orders").topic_id
    states = [
        DeleteTopicState(topic_id=topic_id),
        DeleteTopicState(topic_id=uuid.uuid4()),
        DeleteTopicState(name="nowhere"),
        DeleteTopicState(name="small", topic_id=topic_id),
        DeleteTopicState(),
    ]
    answer = client.ask(DeleteTopicsRequest(topics=states), 6)

    assert [
        0,
        ErrorCode.UNKNOWN_TOPIC_ID,
        ErrorCode.UNKNOWN_TOPIC_OR_PARTITION,
        ErrorCode.INVALID_REQUEST,
        ErrorCode.INVALID_REQUEST,
    ] == [one.error_code for one in answer.responses]
    assert "orders" == answer.responses[0].name


def test_deletion_can_be_switched_off():
    """
    delete.topic.enable=false refuses every deletion.
    """
    with (
        Broker({"orders": 1}, config={"delete.topic.enable": "false"}) as broker,
        WireClient(broker.bootstrap_servers) as client,
    ):
        answer = client.ask(DeleteTopicsRequest(topic_names=["orders"]), 5)

        assert ErrorCode.TOPIC_DELETION_DISABLED == answer.responses[0].error_code


def test_n6_partitions_only_grow(client: WireClient):
    """
    N6, T11: a topic grows, keeps its records, and is named in the answer; it never shrinks.
    """
    client.produce("orders", batch())

    assert ("orders", 0) == grow(client, "orders", 5)
    assert ("orders", ErrorCode.INVALID_PARTITIONS) == grow(client, "orders", 5)
    assert ("orders", ErrorCode.INVALID_PARTITIONS) == grow(client, "orders", 2)
    assert ("gone", ErrorCode.UNKNOWN_TOPIC_OR_PARTITION) == grow(client, "gone", 2)
    assert 0 == client.produce("orders", batch(), partition=4).base_offset
    assert 1 == client.produce("orders", batch(), partition=0).base_offset


def test_n6_assignments_and_validate_only(client: WireClient):
    """
    N6: an assignment must give each new partition to this broker; validate_only adds none.
    """
    wrong = ErrorCode.INVALID_REPLICA_ASSIGNMENT

    assert wrong == grow(client, "orders", 5, assignments=[[1]])[1]
    assert wrong == grow(client, "orders", 4, assignments=[[2]])[1]
    assert 0 == grow(client, "orders", 4, assignments=[[1]], validate_only=True)[1]
    assert 3 == len(describe(client, "orders").partitions)
    assert 0 == grow(client, "orders", 4, assignments=[[1]])[1]


def delete_records(
    client: WireClient, offset: int, *, topic: str = "orders", partition: int = 0
) -> DeleteRecordsPartitionResult:
    request = DeleteRecordsRequest(
        topics=[
            DeleteRecordsTopic(
                name=topic,
                partitions=[DeleteRecordsPartition(partition_index=partition, offset=offset)],
            )
        ]
    )
    result: DeleteRecordsPartitionResult = client.ask(request, 2).topics[0].partitions[0]
    return result


def test_deleted_records_are_not_read(broker: Broker, client: WireClient):
    """
    DeleteRecords moves the log's start; -1 means everything.
    """
    client.produce("orders", batch(5))

    assert 2 == delete_records(client, 2).low_watermark
    assert 5 == delete_records(client, -1).low_watermark
    assert [] == [record for record in broker.records("orders") if record.offset >= 5]


def test_records_that_cannot_be_deleted(client: WireClient):
    """
    Beyond the high watermark: 1; of a compacted topic: 44; of an unknown partition: 3.
    """
    assert ErrorCode.OFFSET_OUT_OF_RANGE == delete_records(client, 1).error_code
    assert ErrorCode.POLICY_VIOLATION == delete_records(client, 0, topic="keyed").error_code
    unknown = delete_records(client, 0, partition=8)
    assert (ErrorCode.UNKNOWN_TOPIC_OR_PARTITION, -1) == (
        unknown.error_code,
        unknown.low_watermark,
    )


@pytest.mark.parametrize("version", range(14))
def test_every_metadata_version_lists_all_topics(client: WireClient, version: int):
    """
    Metadata 0 to 13 list all topics, with this broker as leader and controller.
    """
    answer = client.ask(MetadataRequest(topics=[] if version == 0 else None), version)

    assert {"orders", "small", "stamped", "keyed"} == {topic.name for topic in answer.topics}
    leaders = {p.leader_id for topic in answer.topics for p in topic.partitions}
    assert leaders == {broker.node_id for broker in answer.brokers} == {1}
    assert version < 1 or answer.controller_id == 1


def test_metadata_of_no_topics(client: WireClient):
    """
    From version 1 on an empty list means no topics; by id, unknown ones get 100.
    """
    by_id = MetadataRequest(topics=[MetadataRequestTopic(name=None, topic_id=uuid.uuid4())])

    assert [] == client.ask(MetadataRequest(topics=[]), 1).topics
    assert ErrorCode.UNKNOWN_TOPIC_ID == client.ask(by_id, 12).topics[0].error_code


def test_metadata_by_id_and_authorized_operations(client: WireClient):
    """
    A topic is found by its id; authorized operations come only if asked for.
    """
    known = describe(client, "orders", include_topic_authorized_operations=True)
    by_id = MetadataRequest(topics=[MetadataRequestTopic(name=None, topic_id=known.topic_id)])
    found = client.ask(by_id, 12).topics[0]

    assert ("orders", -2147483648) == (found.name, found.topic_authorized_operations)
    assert known.topic_authorized_operations == 0b110111111000


def test_n7_topics_are_not_created_unless_allowed(broker: Broker, client: WireClient):
    """
    N7: by default asking for a topic, and producing to it, create nothing.
    """
    unknown = ErrorCode.UNKNOWN_TOPIC_OR_PARTITION

    assert unknown == describe(client, "new", allow_auto_topic_creation=True).error_code
    assert unknown == describe(client, "new").error_code
    assert unknown == client.produce("new", batch()).error_code


def test_n7_auto_creation():
    """
    N7: where allowed, the first question says "not yet" and the next one has the topic.
    """
    with (
        Broker(auto_create_topics=True, config={"num.partitions": "3"}) as broker,
        WireClient(broker.bootstrap_servers) as client,
    ):
        refused = describe(client, "no", allow_auto_topic_creation=False)
        illegal = describe(client, "a b", allow_auto_topic_creation=True)
        first = describe(client, "new", allow_auto_topic_creation=True)
        second = describe(client, "new", allow_auto_topic_creation=True)

        assert ErrorCode.UNKNOWN_TOPIC_OR_PARTITION == refused.error_code
        assert ErrorCode.INVALID_TOPIC_EXCEPTION == illegal.error_code
        assert ErrorCode.LEADER_NOT_AVAILABLE == first.error_code
        assert (0, 3) == (second.error_code, len(second.partitions))


def test_topics_of_the_constructor_have_their_settings():
    """
    TopicSpec's configs are those of the topic.
    """
    with (
        Broker([TopicSpec("tiny", 1, {"max.message.bytes": "100"})]) as broker,
        WireClient(broker.bootstrap_servers) as client,
    ):
        assert ErrorCode.MESSAGE_TOO_LARGE == client.produce("tiny", batch(5)).error_code
