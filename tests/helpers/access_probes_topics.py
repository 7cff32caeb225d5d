"""What requests about topics and their records take."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from pyproducer.broker.handlers import access
from pyproducer.protocol.messages import (
    alter_configs,
    create_partitions,
    create_topics,
    delete_records,
    delete_topics,
    describe_configs,
    describe_producers,
    fetch,
    incremental_alter_configs,
    list_offsets,
    metadata,
    offset_for_leader_epoch,
    produce,
)
from pyproducer.protocol.schema import Message
from pyproducer.records.builder import build_batch
from pyproducer.records.record import Record
from tests.helpers.access_probe import TOPIC, TXN, Place, Probe

_WRITE_TXN = access.WRITE_TRANSACTIONAL_ID


def _batch(*, transactional: bool = False) -> bytes:
    if not transactional:
        return build_batch([Record(0, 1_000, key=b"k", value=b"v")])
    return build_batch(
        [Record(0, 1_000, key=b"k", value=b"v")],
        producer_id=7,
        producer_epoch=0,
        base_sequence=0,
        transactional=True,
    )


def _produce(place: Place, *, transactional: bool = False) -> Message:
    part = produce.PartitionProduceData(index=0, records=_batch(transactional=transactional))
    return produce.ProduceRequest(
        acks=-1,
        timeout_ms=5000,
        transactional_id=place.transactional_id if transactional else None,
        topic_data=[produce.TopicProduceData(name=place.topic, partition_data=[part])],
    )


def _fetch(place: Place, *, by_id: bool = False, follower: bool = False) -> Message:
    part = fetch.FetchPartition(partition=0, fetch_offset=0, partition_max_bytes=1000)
    topic = fetch.FetchTopic(partitions=[part])
    if by_id:
        topic.topic_id = place.topic_id
    else:
        topic.topic = place.topic
    request = fetch.FetchRequest(max_wait_ms=0, min_bytes=0, topics=[topic])
    if follower:
        request.replica_id = 1
    return request


def _metadata(place: Place, *, create: bool = False) -> Message:
    return metadata.MetadataRequest(
        topics=[metadata.MetadataRequestTopic(name=place.missing if create else place.topic)],
        allow_auto_topic_creation=create,
    )


def _metadata_by_id(place: Place) -> Message:
    return metadata.MetadataRequest(
        topics=[metadata.MetadataRequestTopic(name=None, topic_id=place.topic_id)]
    )


def _create_topics(place: Place) -> Message:
    return create_topics.CreateTopicsRequest(
        topics=[
            create_topics.CreatableTopic(name=place.missing, num_partitions=1, replication_factor=1)
        ],
        timeout_ms=20_000,
    )


def _delete_topics(place: Place) -> Message:
    return delete_topics.DeleteTopicsRequest(
        topics=[delete_topics.DeleteTopicState(name=place.topic)], timeout_ms=20_000
    )


def _delete_topics_by_id(place: Place) -> Message:
    return delete_topics.DeleteTopicsRequest(
        topics=[delete_topics.DeleteTopicState(name=None, topic_id=place.topic_id)],
        timeout_ms=20_000,
    )


def _deleted(answer: Any, place: Place) -> object:
    [found] = answer.responses
    return found.error_code, found.name == place.topic


def _delete_records(place: Place) -> Message:
    part = delete_records.DeleteRecordsPartition(partition_index=0, offset=0)
    return delete_records.DeleteRecordsRequest(
        topics=[delete_records.DeleteRecordsTopic(name=place.topic, partitions=[part])],
        timeout_ms=20_000,
    )


def _configs(kind: int) -> Callable[[Place], Message]:
    def request(place: Place) -> Message:
        return describe_configs.DescribeConfigsRequest(
            resources=[
                describe_configs.DescribeConfigsResource(
                    resource_type=kind,
                    resource_name=place.topic if kind == 2 else "1",
                    configuration_keys=["cleanup.policy"],
                )
            ]
        )

    return request


def _alter(kind: int) -> Callable[[Place], Message]:
    def request(place: Place) -> Message:
        return alter_configs.AlterConfigsRequest(
            resources=[
                alter_configs.AlterConfigsResource(
                    resource_type=kind, resource_name=place.topic if kind == 2 else "1", configs=[]
                )
            ],
            validate_only=True,
        )

    return request


def _incremental(kind: int) -> Callable[[Place], Message]:
    def request(place: Place) -> Message:
        return incremental_alter_configs.IncrementalAlterConfigsRequest(
            resources=[
                incremental_alter_configs.AlterConfigsResource(
                    resource_type=kind, resource_name=place.topic if kind == 2 else "1", configs=[]
                )
            ],
            validate_only=True,
        )

    return request


def _list_offsets(place: Place) -> Message:
    part = list_offsets.ListOffsetsPartition(partition_index=0, timestamp=-1)
    return list_offsets.ListOffsetsRequest(
        topics=[list_offsets.ListOffsetsTopic(name=place.topic, partitions=[part])]
    )


def _end_of_epoch(place: Place) -> Message:
    part = offset_for_leader_epoch.OffsetForLeaderPartition(partition=0, leader_epoch=0)
    topic = offset_for_leader_epoch.OffsetForLeaderTopic(topic=place.topic, partitions=[part])
    return offset_for_leader_epoch.OffsetForLeaderEpochRequest(topics=[topic])


def _all_topics(answer: Any, place: Place) -> object:
    return place.topic in [one.name for one in answer.topics]


def _cluster_operations(answer: Any, _place: Place) -> object:
    return answer.cluster_authorized_operations


TOPICS_PROBES: dict[str, Probe] = {
    "produce": Probe(_produce, 9, (access.WRITE_TOPIC,), [TOPIC]),
    "produce in a transaction": Probe(
        lambda place: _produce(place, transactional=True),
        9,
        (access.WRITE_TOPIC, _WRITE_TXN),
        [TXN],
    ),
    "fetch": Probe(_fetch, 12, (access.READ_TOPIC,), [TOPIC]),
    "fetch by id": Probe(
        lambda place: _fetch(place, by_id=True), 13, (access.READ_TOPIC,), [TOPIC]
    ),
    "fetch as a follower": Probe(
        lambda place: _fetch(place, follower=True), 11, (access.CLUSTER_ACTION,), [TOPIC]
    ),
    "list offsets": Probe(_list_offsets, 5, (access.DESCRIBE_TOPIC,), [TOPIC]),
    "end of an epoch": Probe(_end_of_epoch, 3, (access.DESCRIBE_TOPIC,), [TOPIC]),
    "end of an epoch as a broker": Probe(_end_of_epoch, 3, (access.CLUSTER_ACTION,), [TOPIC]),
    "metadata": Probe(_metadata, 9, (access.DESCRIBE_TOPIC,), [TOPIC]),
    "metadata by id": Probe(
        _metadata_by_id,
        12,
        (access.DESCRIBE_TOPIC,),
        (TOPIC, None, True),
        allowed=(0, "the topic's", True),
        sees=lambda answer, place: (
            answer.topics[0].error_code,
            answer.topics[0].name and "the topic's",
            answer.topics[0].topic_id == place.topic_id,
        ),
    ),
    "metadata of all": Probe(
        lambda _place: metadata.MetadataRequest(topics=None),
        9,
        (access.DESCRIBE_TOPIC,),
        False,
        allowed=True,
        sees=_all_topics,
    ),
    "metadata with the cluster's operations": Probe(
        lambda _place: metadata.MetadataRequest(
            topics=[], include_cluster_authorized_operations=True
        ),
        8,
        (access.DESCRIBE_CLUSTER,),
        0,
        allowed=1 << 8,
        sees=_cluster_operations,
    ),
    "metadata that creates": Probe(
        lambda place: _metadata(place, create=True),
        9,
        (access.DESCRIBE_TOPIC, access.CREATE_TOPIC),
        [TOPIC],
        missing=True,
    ),
    "metadata that creates, by the cluster": Probe(
        lambda place: _metadata(place, create=True),
        9,
        (access.DESCRIBE_TOPIC, access.CREATE_CLUSTER),
        [TOPIC],
        missing=True,
    ),
    "create topics": Probe(
        _create_topics,
        7,
        (access.DESCRIBE_TOPIC_CONFIGS, access.CREATE_TOPIC),
        [TOPIC],
        allowed=[],
        missing=True,
    ),
    "create topics, by the cluster": Probe(
        _create_topics, 7, (access.CREATE_CLUSTER,), [TOPIC], allowed=[TOPIC], missing=True
    ),
    "delete topics": Probe(
        _delete_topics,
        6,
        (access.DELETE_TOPIC,),
        (TOPIC, True),
        allowed=(0, True),
        sees=_deleted,
    ),
    "delete topics, by the cluster": Probe(_delete_topics, 6, (access.DELETE_CLUSTER,), [TOPIC]),
    "delete topics that one sees": Probe(
        _delete_topics, 6, (access.DESCRIBE_TOPIC, access.DELETE_TOPIC), [TOPIC]
    ),
    "delete topics by id": Probe(
        _delete_topics_by_id,
        6,
        (access.DELETE_TOPIC,),
        (TOPIC, False),
        allowed=(0, True),
        sees=_deleted,
    ),
    "delete topics by id that one sees": Probe(
        _delete_topics_by_id,
        6,
        (access.DESCRIBE_TOPIC, access.DELETE_TOPIC),
        (TOPIC, True),
        allowed=(0, True),
        sees=_deleted,
    ),
    "create partitions": Probe(
        lambda place: create_partitions.CreatePartitionsRequest(
            topics=[
                create_partitions.CreatePartitionsTopic(name=place.topic, count=2, assignments=None)
            ],
            timeout_ms=20_000,
        ),
        3,
        (access.ALTER_TOPIC,),
        [TOPIC],
    ),
    "delete records": Probe(_delete_records, 2, (access.DELETE_TOPIC,), [TOPIC]),
    "describe configs of a topic": Probe(_configs(2), 4, (access.DESCRIBE_TOPIC_CONFIGS,), [TOPIC]),
    "alter configs of a topic": Probe(_alter(2), 2, (access.ALTER_TOPIC_CONFIGS,), [TOPIC]),
    "change configs of a topic": Probe(_incremental(2), 1, (access.ALTER_TOPIC_CONFIGS,), [TOPIC]),
    "describe producers": Probe(
        lambda place: describe_producers.DescribeProducersRequest(
            topics=[describe_producers.TopicRequest(name=place.topic, partition_indexes=[0])]
        ),
        0,
        (access.READ_TOPIC,),
        [TOPIC],
    ),
}
