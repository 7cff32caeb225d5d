"""Metadata: which brokers and topics there are."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from pyproducer.broker.context import RequestContext
from pyproducer.broker.errors import Refused
from pyproducer.broker.operations import CLUSTER_OPERATIONS, TOPIC_OPERATIONS
from pyproducer.broker.topics import Topic, TopicSpec, check_name
from pyproducer.protocol.error_codes import ErrorCode
from pyproducer.protocol.messages.metadata import (
    MetadataRequest,
    MetadataRequestTopic,
    MetadataResponse,
    MetadataResponseBroker,
    MetadataResponsePartition,
    MetadataResponseTopic,
)

if TYPE_CHECKING:
    from pyproducer.broker.node import Node

log = logging.getLogger(__name__)

_NULL_ID_VERSION = 12
_CLUSTER_OPERATIONS_VERSIONS = range(8, 11)


async def handle(node: Node, request: MetadataRequest, context: RequestContext) -> MetadataResponse:
    """Describes this broker and the topics named, or all of them.

    A named topic that does not exist is created if the request and `auto.create.topics.enable`
    both allow it; this answer then still says LEADER_NOT_AVAILABLE, the next one has it.
    """
    version = context.api_version
    response = MetadataResponse(
        brokers=[
            MetadataResponseBroker(
                node_id=node.node_id,
                host=node.advertised_host,
                port=node.advertised_port,
                rack=node.rack,
            )
        ],
        cluster_id=node.cluster_id,
        controller_id=node.node_id,
    )
    if request.include_cluster_authorized_operations and version in _CLUSTER_OPERATIONS_VERSIONS:
        response.cluster_authorized_operations = CLUSTER_OPERATIONS
    if request.topics is None or (version == 0 and not request.topics):
        response.topics = [_describe(node, topic) for topic in node.topics]
    else:
        response.topics = [_named(node, wanted, request, version) for wanted in request.topics]
    if request.include_topic_authorized_operations:
        for topic in response.topics:
            if not topic.error_code:
                topic.topic_authorized_operations = TOPIC_OPERATIONS
    return response


def _named(
    node: Node, wanted: MetadataRequestTopic, request: MetadataRequest, version: int
) -> MetadataResponseTopic:
    if wanted.name is None:
        if version < _NULL_ID_VERSION:
            # A null name is how versions 10 and 11 would ask by id, which no broker answers.
            return MetadataResponseTopic(error_code=ErrorCode.INVALID_REQUEST, name="")
        by_id = node.topics.by_id(wanted.topic_id)
        if by_id is not None:
            return _describe(node, by_id)
        return MetadataResponseTopic(
            error_code=ErrorCode.UNKNOWN_TOPIC_ID, name=None, topic_id=wanted.topic_id
        )
    topic = node.topics.get(wanted.name)
    if topic is not None:
        return _describe(node, topic)
    code = ErrorCode.UNKNOWN_TOPIC_OR_PARTITION
    try:
        check_name(wanted.name)
        if request.allow_auto_topic_creation and node.config.flag("auto.create.topics.enable"):
            node.topics.check_new(wanted.name)
            node.create_topics([TopicSpec(wanted.name, node.config.int("num.partitions"))])
            code = ErrorCode.LEADER_NOT_AVAILABLE
    except Refused as refused:
        code = ErrorCode(refused.code)
    except OSError:
        log.exception("cannot create topic %s", wanted.name)
        code = ErrorCode.KAFKA_STORAGE_ERROR
    return MetadataResponseTopic(error_code=code, name=wanted.name)


def _describe(node: Node, topic: Topic) -> MetadataResponseTopic:
    alone = [node.node_id]
    usable = {partition.index: partition for partition in node.partitions(topic.name)}
    led = {
        index: partition
        for index, partition in usable.items()
        if not node.faults.leaderless or node.faults.has_leader(topic.name, index)
    }
    return MetadataResponseTopic(
        error_code=ErrorCode.NONE,
        name=topic.name,
        topic_id=topic.id,
        is_internal=topic.internal,
        partitions=[
            MetadataResponsePartition(
                partition_index=index,
                leader_id=node.node_id,
                leader_epoch=led[index].leader_epoch,
                replica_nodes=alone,
                isr_nodes=alone,
            )
            if index in led
            else MetadataResponsePartition(
                error_code=ErrorCode.LEADER_NOT_AVAILABLE,
                partition_index=index,
                leader_id=-1,
                replica_nodes=alone,
                # Gone from both where its files cannot be used.
                isr_nodes=alone if index in usable else [],
                offline_replicas=[] if index in usable else alone,
            )
            for index in range(topic.partitions)
        ],
    )
