"""OffsetForLeaderEpoch: where the records of a leader epoch end.

Served from version 2 on, which librdkafka is pinned to; without it it cannot tell a truncated log.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pyproducer.broker.context import RequestContext
from pyproducer.broker.errors import Refused
from pyproducer.broker.handlers import access
from pyproducer.broker.handlers.access import CLUSTER_ACTION, DESCRIBE_TOPIC
from pyproducer.protocol.error_codes import ErrorCode
from pyproducer.protocol.messages.offset_for_leader_epoch import (
    EpochEndOffset,
    OffsetForLeaderEpochRequest,
    OffsetForLeaderEpochResponse,
    OffsetForLeaderTopicResult,
)

if TYPE_CHECKING:
    from pyproducer.broker.node import Node

NEEDS = (CLUSTER_ACTION, DESCRIBE_TOPIC)


async def handle(
    node: Node, request: OffsetForLeaderEpochRequest, context: RequestContext
) -> OffsetForLeaderEpochResponse:
    """Answers every partition on its own; (-1, -1) where the epoch is not known."""
    response = OffsetForLeaderEpochResponse()
    broker = access.allowed(node, context, CLUSTER_ACTION, quiet=True)
    for topic in request.topics:
        answered = OffsetForLeaderTopicResult(topic=topic.topic)
        response.topics.append(answered)
        for part in topic.partitions:
            answer = EpochEndOffset(partition=part.partition)
            answered.partitions.append(answer)
            try:
                if not broker:
                    access.require(node, context, DESCRIBE_TOPIC, topic.topic)
                partition = node.led_partition(topic.topic, part.partition)
                if partition is None:
                    raise Refused(ErrorCode.UNKNOWN_TOPIC_OR_PARTITION)
                partition.check_epoch(part.current_leader_epoch)
                answer.leader_epoch, answer.end_offset = partition.end_of_epoch(part.leader_epoch)
            except Refused as refused:
                answer.error_code = refused.code
    return response
