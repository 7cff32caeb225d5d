"""ListOffsets: the ends of logs, and the first offset at or after a time."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from pyproducer.broker.context import RequestContext
from pyproducer.broker.errors import Refused
from pyproducer.broker.handlers import access
from pyproducer.broker.handlers.access import DESCRIBE_TOPIC
from pyproducer.broker.partition import Partition
from pyproducer.protocol.error_codes import ErrorCode
from pyproducer.protocol.messages.list_offsets import (
    ListOffsetsPartitionResponse,
    ListOffsetsRequest,
    ListOffsetsResponse,
    ListOffsetsTopicResponse,
)

if TYPE_CHECKING:
    from pyproducer.broker.node import Node

NEEDS = (DESCRIBE_TOPIC,)

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
                access.require(node, context, DESCRIBE_TOPIC, topic.name)
                if (topic.name, part.partition_index) in twice:
                    raise Refused(ErrorCode.INVALID_REQUEST)
                _check_timestamp(part.timestamp, context.api_version)
                partition = node.led_partition(topic.name, part.partition_index)
                if partition is None:
                    raise Refused(ErrorCode.UNKNOWN_TOPIC_OR_PARTITION)
                partition.check_epoch(part.current_leader_epoch)
                limit = (
                    partition.last_stable_offset
                    if request.isolation_level == _READ_COMMITTED
                    else partition.high_watermark
                )
                found = _look_up(partition, part.timestamp, limit)
            except Refused as refused:
                answer.error_code = refused.code
                continue
            answer.offset, answer.timestamp = found.offset, found.timestamp
            if context.api_version >= _EPOCH_SINCE:
                answer.leader_epoch = found.leader_epoch
    return response


class _Found(NamedTuple):
    """What a timestamp means in a partition."""

    offset: int = -1
    timestamp: int = -1
    leader_epoch: int = -1


def _check_timestamp(timestamp: int, version: int) -> None:
    """Returns if the timestamp is a time, or one of the special ones that the version knows.

    Raises:
        Refused: UNSUPPORTED_VERSION.
    """
    if timestamp < 0 and version < _SINCE.get(timestamp, 1 << 15):
        raise Refused(ErrorCode.UNSUPPORTED_VERSION)


def _look_up(partition: Partition, timestamp: int, limit: int) -> _Found:
    """What the request means; nothing if that is not below `limit`."""
    if timestamp == LATEST:
        return _Found(limit, leader_epoch=partition.leader_epoch)
    if timestamp in {EARLIEST, EARLIEST_LOCAL}:
        start = partition.log_start_offset
        return _Found(start, leader_epoch=partition.epoch_of(start))
    if timestamp == LATEST_TIERED:
        return _Found()
    if timestamp == MAX_TIMESTAMP:
        found = partition.log.max_timestamp_offset()
    else:
        found = partition.log.offset_for_timestamp(timestamp)
    if found is None or found.offset >= limit:
        return _Found()
    return _Found(found.offset, found.timestamp, partition.epoch_of(found.offset))
