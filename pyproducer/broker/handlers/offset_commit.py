"""OffsetCommit, versions 0 to 9: where a group will go on reading.

Version 1 names the member, 2 to 4 may bring a retention of their own, 6 has the leader epoch, 7
static members. An offset answered without error is in `__consumer_offsets`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pyproducer.broker.groups.model import CommittedOffset
from pyproducer.broker.handlers import access
from pyproducer.broker.handlers.access import READ_GROUP, READ_TOPIC
from pyproducer.model import TopicPartition
from pyproducer.protocol.error_codes import ErrorCode
from pyproducer.protocol.messages.offset_commit import (
    OffsetCommitRequest,
    OffsetCommitResponse,
    OffsetCommitResponsePartition,
    OffsetCommitResponseTopic,
)

if TYPE_CHECKING:
    from collections.abc import Container, Mapping

    from pyproducer.broker.context import RequestContext
    from pyproducer.broker.node import Node

NEEDS = (READ_GROUP, READ_TOPIC)


async def handle(
    node: Node, request: OffsetCommitRequest, context: RequestContext
) -> OffsetCommitResponse:
    """The answer, once the offsets are stored."""
    refusal = access.refusal(node, context, READ_GROUP, request.group_id)
    if refusal:
        return _answer(request, {}, None, refusal)
    readable = access.allowed_names(node, context, READ_TOPIC, (one.name for one in request.topics))
    refusal = node.groups.check_commit(
        request.group_id,
        request.member_id,
        request.group_instance_id,
        request.generation_id_or_member_epoch,
    )
    offsets = {} if refusal is not ErrorCode.NONE else _known_offsets(node, request, readable)
    answers = node.groups.commit(request.group_id, offsets)
    if refusal is ErrorCode.NONE:
        # What is neither stored nor refused by the group is a partition that does not exist.
        refusal = ErrorCode.UNKNOWN_TOPIC_OR_PARTITION
    return _answer(request, answers, readable, refusal)


def _answer(
    request: OffsetCommitRequest,
    answers: Mapping[TopicPartition, int],
    readable: Container[str] | None,
    otherwise: int,
) -> OffsetCommitResponse:
    """The answer; topics that may not be read get a code of their own unless `readable` is None."""
    return OffsetCommitResponse(
        topics=[
            OffsetCommitResponseTopic(
                name=topic.name,
                partitions=[
                    OffsetCommitResponsePartition(
                        partition_index=partition.partition_index,
                        error_code=answers.get(
                            TopicPartition(topic.name, partition.partition_index), otherwise
                        )
                        if readable is None or topic.name in readable
                        else ErrorCode.TOPIC_AUTHORIZATION_FAILED,
                    )
                    for partition in topic.partitions
                ],
            )
            for topic in request.topics
        ]
    )


def _known_offsets(
    node: Node, request: OffsetCommitRequest, readable: Container[str]
) -> dict[TopicPartition, CommittedOffset]:
    now_ms = node.clock.wall_ms()
    # -1 leaves the retention to the broker, which is all that later versions can ask for.
    retention_ms = request.retention_time_ms
    expiry_ms = now_ms + retention_ms if retention_ms >= 0 else -1
    offsets: dict[TopicPartition, CommittedOffset] = {}
    for wanted in request.topics:
        topic = node.topics.get(wanted.name)
        if topic is None or wanted.name not in readable:
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
