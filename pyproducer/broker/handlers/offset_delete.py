"""OffsetDelete, version 0: a group forgets offsets of topics that its members do not read."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pyproducer.broker.errors import Refused
from pyproducer.broker.handlers import access
from pyproducer.broker.handlers.access import DELETE_GROUP, READ_TOPIC
from pyproducer.model import TopicPartition
from pyproducer.protocol.error_codes import ErrorCode
from pyproducer.protocol.messages.offset_delete import (
    OffsetDeleteRequest,
    OffsetDeleteResponse,
    OffsetDeleteResponsePartition,
    OffsetDeleteResponseTopic,
)

if TYPE_CHECKING:
    from pyproducer.broker.context import RequestContext
    from pyproducer.broker.node import Node

NEEDS = (DELETE_GROUP, READ_TOPIC)


async def handle(
    node: Node, request: OffsetDeleteRequest, context: RequestContext
) -> OffsetDeleteResponse:
    """The answer, once the tombstones are stored."""
    if refusal := access.refusal(node, context, DELETE_GROUP, request.group_id):
        return OffsetDeleteResponse(error_code=refusal)
    places = [
        TopicPartition(topic.name, partition.partition_index)
        for topic in request.topics
        for partition in topic.partitions
    ]
    denied = {
        place: code
        for place in places
        if (code := access.refusal(node, context, READ_TOPIC, place.topic))
    }
    known = [p for p in places if p not in denied and node.partition(*p) is not None]
    try:
        answers = node.groups.delete_offsets(request.group_id, known)
    except Refused as refused:
        return OffsetDeleteResponse(error_code=refused.code)
    codes: dict[TopicPartition, int] = {**answers, **denied}
    return OffsetDeleteResponse(
        topics=[
            OffsetDeleteResponseTopic(
                name=topic.name,
                partitions=[
                    OffsetDeleteResponsePartition(
                        partition_index=partition.partition_index,
                        error_code=codes.get(
                            TopicPartition(topic.name, partition.partition_index),
                            ErrorCode.UNKNOWN_TOPIC_OR_PARTITION,
                        ),
                    )
                    for partition in topic.partitions
                ],
            )
            for topic in request.topics
        ]
    )
