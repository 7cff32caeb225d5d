"""OffsetCommit, versions 0 to 9: where a group will go on reading.

Version 1 names the member, 2 to 4 may bring a retention of their own, 6 has the leader epoch, 7
static members. An offset answered without error is in `__consumer_offsets`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pyproducer.broker.groups.model import CommittedOffset
from pyproducer.model import TopicPartition
from pyproducer.protocol.error_codes import ErrorCode
from pyproducer.protocol.messages.offset_commit import (
    OffsetCommitRequest,
    OffsetCommitResponse,
    OffsetCommitResponsePartition,
    OffsetCommitResponseTopic,
)

if TYPE_CHECKING:
    from pyproducer.broker.context import RequestContext
    from pyproducer.broker.node import Node


async def handle(
    node: Node, request: OffsetCommitRequest, context: RequestContext
) -> OffsetCommitResponse:
    """The answer, once the offsets are stored."""
    refusal = node.groups.check_commit(
        request.group_id,
        request.member_id,
        request.group_instance_id,
        request.generation_id_or_member_epoch,
    )
    offsets = {} if refusal is not ErrorCode.NONE else _known_offsets(node, request)
    answers = node.groups.commit(request.group_id, offsets)
    if refusal is ErrorCode.NONE:
        # What is neither stored nor refused by the group is a partition that does not exist.
        refusal = ErrorCode.UNKNOWN_TOPIC_OR_PARTITION
    return OffsetCommitResponse(
        topics=[
            OffsetCommitResponseTopic(
                name=topic.name,
                partitions=[
                    OffsetCommitResponsePartition(
                        partition_index=partition.partition_index,
                        error_code=answers.get(
                            TopicPartition(topic.name, partition.partition_index), refusal
                        ),
                    )
                    for partition in topic.partitions
                ],
            )
            for topic in request.topics
        ]
    )


def _known_offsets(
    node: Node, request: OffsetCommitRequest
) -> dict[TopicPartition, CommittedOffset]:
    now_ms = node.clock.wall_ms()
    # -1 leaves the retention to the broker, which is all that later versions can ask for.
    retention_ms = request.retention_time_ms
    expiry_ms = now_ms + retention_ms if retention_ms >= 0 else -1
    offsets: dict[TopicPartition, CommittedOffset] = {}
    for wanted in request.topics:
        topic = node.topics.get(wanted.name)
        if topic is None:
            continue
        for partition in wanted.partitions:
            if 0 <= partition.partition_index < topic.partitions:
                place = TopicPartition(wanted.name, partition.partition_index)
                offsets[place] = CommittedOffset(
                    offset=partition.committed_offset,
                    leader_epoch=partition.committed_leader_epoch,
                    metadata=partition.committed_metadata or "",
                    commit_timestamp_ms=now_ms,
                    expire_timestamp_ms=expiry_ms,
                )
    return offsets
