"""CreatePartitions: topics grow, they never shrink."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from pyproducer.broker.context import RequestContext
from pyproducer.broker.errors import Refused
from pyproducer.broker.handlers import access
from pyproducer.broker.handlers.access import ALTER_TOPIC
from pyproducer.broker.topics import MAX_PARTITIONS
from pyproducer.protocol.error_codes import ErrorCode
from pyproducer.protocol.messages.create_partitions import (
    CreatePartitionsRequest,
    CreatePartitionsResponse,
    CreatePartitionsTopic,
    CreatePartitionsTopicResult,
)

if TYPE_CHECKING:
    from pyproducer.broker.node import Node

NEEDS = (ALTER_TOPIC,)
#: First version whose clients know that they may have to wait.
_STRICT_SINCE = 3


async def handle(
    node: Node, request: CreatePartitionsRequest, context: RequestContext
) -> CreatePartitionsResponse:
    """Gives each topic the partitions it lacks, and names each topic in the answer."""
    names = Counter(wanted.name for wanted in request.topics)
    quota = node.quotas.mutations(context, _STRICT_SINCE) if node.quotas.on else None
    response = CreatePartitionsResponse()
    for wanted in request.topics:
        if any(result.name == wanted.name for result in response.results):
            continue
        result = CreatePartitionsTopicResult(name=wanted.name)
        response.results.append(result)
        try:
            if names[wanted.name] > 1:
                raise Refused(ErrorCode.INVALID_REQUEST, f"topic {wanted.name!r} is named twice")
            access.require(node, context, ALTER_TOPIC, wanted.name)
            _check(node, wanted)
            if quota is not None:
                quota.take(wanted.count - node.topics[wanted.name].partitions)
            if not request.validate_only:
                node.grow_topic(wanted.name, wanted.count)
        except Refused as refused:
            result.error_code, result.error_message = refused.code, refused.message
        except OSError as error:
            result.error_code = ErrorCode.KAFKA_STORAGE_ERROR
            result.error_message = f"cannot be written: {error}"
    return response


def _check(node: Node, wanted: CreatePartitionsTopic) -> None:
    topic = node.topics.get(wanted.name)
    if topic is None:
        raise Refused(ErrorCode.UNKNOWN_TOPIC_OR_PARTITION, f"there is no topic {wanted.name!r}")
    if topic.internal:
        raise Refused(
            ErrorCode.INVALID_TOPIC_EXCEPTION, f"{topic.name} belongs to the broker itself"
        )
    if not topic.partitions < wanted.count <= MAX_PARTITIONS:
        raise Refused(
            ErrorCode.INVALID_PARTITIONS,
            f"topic {topic.name!r} has {topic.partitions} partitions; the new count must be "
            f"above that and at most {MAX_PARTITIONS}, not {wanted.count}",
        )
    if wanted.assignments is None:
        return
    if len(wanted.assignments) != wanted.count - topic.partitions:
        raise Refused(
            ErrorCode.INVALID_REPLICA_ASSIGNMENT,
            f"{wanted.count - topic.partitions} partitions are new and "
            f"{len(wanted.assignments)} are assigned",
        )
    if any(row.broker_ids != [node.node_id] for row in wanted.assignments):
        raise Refused(
            ErrorCode.INVALID_REPLICA_ASSIGNMENT,
            f"every partition's replicas must be [{node.node_id}], the only broker",
        )
