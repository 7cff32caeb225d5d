"""Metadata: which brokers and topics there are."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from pyproducer.broker.context import RequestContext
from pyproducer.broker.errors import Refused
from pyproducer.broker.handlers import access
from pyproducer.broker.handlers.access import (
    CREATE_CLUSTER,
    CREATE_TOPIC,
    DESCRIBE_CLUSTER,
    DESCRIBE_TOPIC,
)
from pyproducer.broker.topics import Topic, TopicSpec, check_name
from pyproducer.protocol.acl_terms import ResourceType
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

NEEDS = (DESCRIBE_TOPIC, CREATE_CLUSTER, CREATE_TOPIC, DESCRIBE_CLUSTER)

log = logging.getLogger(__name__)

_NULL_ID_VERSION = 12
_CLUSTER_OPERATIONS_VERSIONS = range(8, 11)


async def handle(node: Node, request: MetadataRequest, context: RequestContext) -> MetadataResponse:
    """Describes this broker and the topics named, or all of them.

    A named topic that does not exist is created if the request and `auto.create.topics.enable`
    both allow it; this answer then still says LEADER_NOT_AVAILABLE, the next one has it.
    """
    version = context.api_version
    host, port = node.endpoint(context.connection)
    response = MetadataResponse(
        brokers=[
            MetadataResponseBroker(
                node_id=node.node_id,
                host=host,
                port=port,
                rack=node.rack,
            )
        ],
        cluster_id=node.cluster_id,
        controller_id=node.node_id,
    )
    if request.include_cluster_authorized_operations and version in _CLUSTER_OPERATIONS_VERSIONS:
        response.cluster_authorized_operations = (
            access.operations(node, context, ResourceType.CLUSTER)
            if access.allowed(node, context, DESCRIBE_CLUSTER)
            else 0
        )
    if request.topics is None or (version == 0 and not request.topics):
        response.topics = [
            _describe(node, topic)
            for topic in node.topics
            # What may not be seen is not said to be there.
            if access.allowed(node, context, DESCRIBE_TOPIC, topic.name, quiet=True)
        ]
    else:
        response.topics = [_named(node, wanted, request, context) for wanted in request.topics]
    if request.include_topic_authorized_operations:
        for topic in response.topics:
            if not topic.error_code:
                topic.topic_authorized_operations = access.operations(
                    node, context, ResourceType.TOPIC, topic.name or ""
                )
    return response


def _named(
    node: Node, wanted: MetadataRequestTopic, request: MetadataRequest, context: RequestContext
) -> MetadataResponseTopic:
    if wanted.name is None:
        if context.api_version < _NULL_ID_VERSION:
            # A null name is how versions 10 and 11 would ask by id, which no broker answers.
            return MetadataResponseTopic(error_code=ErrorCode.INVALID_REQUEST, name="")
        by_id = node.topics.by_id(wanted.topic_id)
        code = ErrorCode.UNKNOWN_TOPIC_ID
        if by_id is not None:
            if access.allowed(node, context, DESCRIBE_TOPIC, by_id.name):
                return _describe(node, by_id)
            # An id is no secret, unlike the name.
            code = ErrorCode.TOPIC_AUTHORIZATION_FAILED
        return MetadataResponseTopic(error_code=code, name=None, topic_id=wanted.topic_id)
    if refusal := access.refusal(node, context, DESCRIBE_TOPIC, wanted.name):
        return MetadataResponseTopic(error_code=refusal, name=wanted.name)
    topic = node.topics.get(wanted.name)
    if topic is not None:
        return _describe(node, topic)
    code = ErrorCode.UNKNOWN_TOPIC_OR_PARTITION
    try:
        check_name(wanted.name)
        if request.allow_auto_topic_creation and node.config.flag("auto.create.topics.enable"):
            if not access.allowed(node, context, CREATE_CLUSTER, quiet=True):
                access.require(node, context, CREATE_TOPIC, wanted.name)
            node.topics.check_new(wanted.name)
            partitions = node.config.int("num.partitions")
            if _may_make(node, context, partitions):
                node.create_topics([TopicSpec(wanted.name, partitions)])
                code = ErrorCode.LEADER_NOT_AVAILABLE
    except Refused as refused:
        code = ErrorCode(refused.code)
    except OSError:
        log.exception("cannot create topic %s", wanted.name)
        code = ErrorCode.KAFKA_STORAGE_ERROR
    return MetadataResponseTopic(error_code=code, name=wanted.name)


def _may_make(node: Node, context: RequestContext, partitions: int) -> bool:
    """Whether the client's quota leaves it so many partitions, which it has used then."""
    quota = node.quotas.mutations(context, told=False) if node.quotas.on else None
    if quota is None:
        return True
    try:
        quota.take(partitions)
    except Refused:
        # Kafka's controller refuses that, and tells nobody but the broker.
        return False
    return True


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
