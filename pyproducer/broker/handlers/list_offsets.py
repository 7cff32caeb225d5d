"""ListOffsets: the ends of logs, and the first offset at or after a time."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pyproducer.broker.context import RequestContext
from pyproducer.broker.errors import Refused
from pyproducer.broker.partition import Partition
from pyproducer.protocol.error_codes import ErrorCode
from pyproducer.protocol.messages.list_offsets import (
    ListOffsetsPartition,
    ListOffsetsPartitionResponse,
    ListOffsetsRequest,
    ListOffsetsResponse,
    ListOffsetsTopicResponse,
)

if TYPE_CHECKING:
    from pyproducer.broker.node import Node

LATEST = -1
EARLIEST = -2
MAX_TIMESTAMP = -3
EARLIEST_LOCAL = -4
LATEST_TIERED = -5

#: First version that may ask for each of the special timestamps.
_SINCE = {LATEST: 1, EARLIEST: 1, MAX_TIMESTAMP: 7, EARLIEST_LOCAL: 8, LATEST_TIERED: 9}
_EPOCH_SINCE = 4
_READ_COMMITTED = 1


async def handle(
    node: Node, request: ListOffsetsRequest, context: RequestContext
) -> ListOffsetsResponse:
    """Answers every partition on its own."""
    response = ListOffsetsResponse()
    asked: set[tuple[str, int]] = set()
    twice: set[tuple[str, int]] = set()
    for topic in request.topics:
        for part in topic.partitions:
            key = (topic.name, part.partition_index)
            (twice if key in asked else asked).add(key)
    for topic in request.topics:
        answered = ListOffsetsTopicResponse(name=topic.name)
        response.topics.append(answered)
        for part in topic.partitions:
            answer = ListOffsetsPartitionResponse(partition_index=part.partition_index)
            answered.partitions.append(answer)
            try:
                if (topic.name, part.partition_index) in twice:
                    raise Refused(ErrorCode.INVALID_REQUEST)
                partition = node.led_partition(topic.name, part.partition_index)
                if partition is None:
                    raise Refused(ErrorCode.UNKNOWN_TOPIC_OR_PARTITION)
                partition.check_epoch(part.current_leader_epoch)
                limit = (
                    partition.last_stable_offset
                    if request.isolation_level == _READ_COMMITTED
                    else partition.high_watermark
                )
                answer.offset, answer.timestamp = _look_up(
                    partition, part, context.api_version, limit
                )
            except Refused as refused:
                answer.error_code = refused.code
                continue
            if context.api_version >= _EPOCH_SINCE and answer.offset >= 0:
                answer.leader_epoch = partition.leader_epoch
    return response


def _look_up(
    partition: Partition, part: ListOffsetsPartition, version: int, limit: int
) -> tuple[int, int]:
    """The (offset, timestamp) that the request means; (-1, -1) if there is none below `limit`."""
    timestamp = part.timestamp
    if timestamp < 0 and version < _SINCE.get(timestamp, 1 << 15):
        raise Refused(ErrorCode.UNSUPPORTED_VERSION)
    if timestamp == LATEST:
        return limit, -1
    if timestamp in {EARLIEST, EARLIEST_LOCAL}:
        return partition.log_start_offset, -1
    if timestamp == LATEST_TIERED:
        return -1, -1
    if timestamp == MAX_TIMESTAMP:
        found = partition.log.max_timestamp_offset()
    else:
        found = partition.log.offset_for_timestamp(timestamp)
    return (found[0], found[1]) if found is not None and found[0] < limit else (-1, -1)
