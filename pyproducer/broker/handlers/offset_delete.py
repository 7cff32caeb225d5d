"""OffsetDelete, version 0: a group forgets offsets of topics that its members do not read."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pyproducer.broker.errors import Refused
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


async def handle(
    node: Node, request: OffsetDeleteRequest, context: RequestContext
) -> OffsetDeleteResponse:
    """The answer, once the tombstones are stored."""
    places = [
        TopicPartition(topic.name, partition.partition_index)
        for topic in request.topics
        for partition in topic.partitions
    ]
    known = [place for place in places if node.partition(*place) is not None]
    try:
        answers = node.groups.delete_offsets(request.group_id, known)
    except Refused as refusal:
        return OffsetDeleteResponse(error_code=refusal.code)
    return OffsetDeleteResponse(
        topics=[
            OffsetDeleteResponseTopic(
                name=topic.name,
                partitions=[
                    OffsetDeleteResponsePartition(
                        partition_index=partition.partition_index,
                        error_code=answers.get(
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
