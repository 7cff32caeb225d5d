"""DeleteRecords: everything below an offset is gone from view."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

from pyproducer.broker.context import RequestContext
from pyproducer.broker.errors import Refused
from pyproducer.broker.handlers import access
from pyproducer.broker.handlers.access import DELETE_TOPIC
from pyproducer.protocol.error_codes import ErrorCode
from pyproducer.protocol.messages.delete_records import (
    DeleteRecordsPartition,
    DeleteRecordsPartitionResult,
    DeleteRecordsRequest,
    DeleteRecordsResponse,
    DeleteRecordsTopicResult,
)

if TYPE_CHECKING:
    from pyproducer.broker.node import Node

NEEDS = (DELETE_TOPIC,)

_TO_HIGH_WATERMARK = -1


async def handle(
    node: Node, request: DeleteRecordsRequest, context: RequestContext
) -> DeleteRecordsResponse:
    """Moves each log's start forward, or says why not."""
    response = DeleteRecordsResponse()
    for topic in request.topics:
        answered = DeleteRecordsTopicResult(name=topic.name)
        response.topics.append(answered)
        for part in topic.partitions:
            result = DeleteRecordsPartitionResult(
                partition_index=part.partition_index, low_watermark=-1
            )
            answered.partitions.append(result)
            try:
                access.require(node, context, DELETE_TOPIC, topic.name)
                result.low_watermark = _delete(node, topic.name, part)
            except Refused as refused:
                result.error_code = refused.code
    try:
        # A start that is not recorded would move back at a crash: deleted records came back.
        node.checkpoint()
    except OSError:
        for answered in response.topics:
            for result in answered.partitions:
                result.error_code = result.error_code or ErrorCode.KAFKA_STORAGE_ERROR
        return response
    for topic in request.topics:
        if not access.allowed(node, context, DELETE_TOPIC, topic.name, quiet=True):
            continue
        for partition in node.partitions(topic.name):
            # The files are not the client's concern, and retention finds them too.
            with contextlib.suppress(Refused):
                partition.log.drop_passed()
    return response


def _delete(node: Node, name: str, part: DeleteRecordsPartition) -> int:
    partition = node.led_partition(name, part.partition_index)
    if partition is None:
        raise Refused(ErrorCode.UNKNOWN_TOPIC_OR_PARTITION)
    topic = node.topics.get(name)
    if topic is None or topic.internal:
        raise Refused(ErrorCode.INVALID_TOPIC_EXCEPTION)
    if "delete" not in partition.log.config.cleanup_policy:
        raise Refused(ErrorCode.POLICY_VIOLATION)
    offset = part.offset
    if offset == _TO_HIGH_WATERMARK:
        offset = partition.high_watermark
    if not 0 <= offset <= partition.high_watermark:
        raise Refused(ErrorCode.OFFSET_OUT_OF_RANGE)
    partition.log.delete_records_before(offset)
    return partition.log_start_offset
