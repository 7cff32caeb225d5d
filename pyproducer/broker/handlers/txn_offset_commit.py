"""TxnOffsetCommit, versions 0 to 5: offsets of a group, to be committed with a transaction.

Version 2 has the leader epoch, 3 names the member (KIP-447), 4 knows TRANSACTION_ABORTABLE, 5 adds
the group to the transaction by itself (KIP-890).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pyproducer.broker.context import RequestContext
from pyproducer.broker.errors import Refused
from pyproducer.broker.groups.model import CommittedOffset
from pyproducer.broker.groups.offsets import OFFSETS_TOPIC
from pyproducer.broker.handlers import access
from pyproducer.broker.handlers.access import READ_GROUP, READ_TOPIC, WRITE_TRANSACTIONAL_ID
from pyproducer.broker.handlers.transaction_errors import as_told
from pyproducer.broker.state_topic import Writer
from pyproducer.broker.transactions.transaction import Identity
from pyproducer.model import TopicPartition
from pyproducer.protocol.error_codes import ErrorCode
from pyproducer.protocol.messages.txn_offset_commit import (
    TxnOffsetCommitRequest,
    TxnOffsetCommitResponse,
    TxnOffsetCommitResponsePartition,
    TxnOffsetCommitResponseTopic,
)

if TYPE_CHECKING:
    from collections.abc import Container, Mapping

    from pyproducer.broker.node import Node

NEEDS = (WRITE_TRANSACTIONAL_ID, READ_GROUP, READ_TOPIC)

_ABORTABLE_SINCE = 4
_ADDS_SINCE = 5


async def handle(
    node: Node, request: TxnOffsetCommitRequest, context: RequestContext
) -> TxnOffsetCommitResponse:
    """The answer, once the offsets are stored; they count when the transaction is committed."""
    answers: dict[TopicPartition, ErrorCode] = {}
    # What is neither stored nor refused is a partition that does not exist.
    otherwise: int = ErrorCode.UNKNOWN_TOPIC_OR_PARTITION
    refusal = access.refusal(
        node, context, WRITE_TRANSACTIONAL_ID, request.transactional_id
    ) or access.refusal(node, context, READ_GROUP, request.group_id)
    if refusal:
        return _answer(request, {}, None, refusal)
    readable = access.allowed_names(node, context, READ_TOPIC, (one.name for one in request.topics))
    try:
        _check(node, request, context.api_version)
        offsets = _known_offsets(node, request, readable)
        writer = Writer(request.producer_id, request.producer_epoch)
        answers = node.groups.commit(request.group_id, offsets, writer)
    except Refused as refused:
        otherwise = as_told(refused.code, context.api_version, abortable_since=_ABORTABLE_SINCE)
    return _answer(request, answers, readable, otherwise)


def _answer(
    request: TxnOffsetCommitRequest,
    answers: Mapping[TopicPartition, int],
    readable: Container[str] | None,
    otherwise: int,
) -> TxnOffsetCommitResponse:
    """The answer; topics that may not be read get a code of their own unless `readable` is None."""
    return TxnOffsetCommitResponse(
        topics=[
            TxnOffsetCommitResponseTopic(
                name=topic.name,
                partitions=[
                    TxnOffsetCommitResponsePartition(
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


def _check(node: Node, request: TxnOffsetCommitRequest, version: int) -> None:
    """Returns if the group takes the offsets and they belong to an open transaction."""
    if not request.group_id:
        raise Refused(ErrorCode.INVALID_GROUP_ID)
    refusal = node.groups.check_commit(
        request.group_id,
        request.member_id,
        request.group_instance_id,
        request.generation_id,
        transactional=True,
    )
    if refusal is not ErrorCode.NONE:
        raise Refused(refusal)
    holder = Identity(request.producer_id, request.producer_epoch)
    place = TopicPartition(OFFSETS_TOPIC, node.groups.partition_of(request.group_id))
    if version >= _ADDS_SINCE:
        node.transactions.add(request.transactional_id, holder, [place], version=2)
    elif node.config.flag("transaction.partition.verification.enable"):
        node.transactions.verify(request.transactional_id, holder, place)


def _known_offsets(
    node: Node, request: TxnOffsetCommitRequest, readable: Container[str]
) -> dict[TopicPartition, CommittedOffset]:
    now_ms = node.clock.wall_ms()
    return {
        TopicPartition(topic.name, partition.partition_index): CommittedOffset(
            offset=partition.committed_offset,
            leader_epoch=partition.committed_leader_epoch,
            metadata=partition.committed_metadata or "",
            commit_timestamp_ms=now_ms,
        )
        for topic in request.topics
        for partition in topic.partitions
        if topic.name in readable and node.topics.has(topic.name, partition.partition_index)
    }
