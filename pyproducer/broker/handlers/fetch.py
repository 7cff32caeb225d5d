"""Fetch: whole batches from logs, waiting for new ones if asked to.

Sessions are never granted: every answer has session id 0, which a client takes to mean that each
of its requests names all its partitions, as before sessions existed (KIP-227).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from pyproducer.broker.context import RequestContext
from pyproducer.broker.errors import Refused
from pyproducer.broker.partition import Partition, Watch
from pyproducer.protocol.error_codes import ErrorCode
from pyproducer.protocol.messages.fetch import (
    AbortedTransaction,
    FetchableTopicResponse,
    FetchPartition,
    FetchRequest,
    FetchResponse,
    FetchTopic,
    PartitionData,
)

if TYPE_CHECKING:
    from pyproducer.broker.node import Node

_TOPIC_IDS_SINCE = 13
_READ_COMMITTED = 1


@dataclass(slots=True)
class _Reading:
    """One pass over the partitions of a request."""

    response: FetchResponse
    partitions: list[Partition]
    size: int = 0
    failed: bool = False


async def handle(node: Node, request: FetchRequest, context: RequestContext) -> FetchResponse:
    """Answers at once if `min_bytes` are there or anything is wrong, else by `max_wait_ms`."""
    if request.session_id and request.session_epoch > 0:
        return FetchResponse(error_code=ErrorCode.FETCH_SESSION_ID_NOT_FOUND)
    deadline = node.clock.monotonic() + request.max_wait_ms / 1000
    while True:
        reading = _read(node, request, context.api_version)
        missing = request.min_bytes - reading.size
        if missing <= 0 or reading.failed or node.clock.monotonic() >= deadline:
            _count(node, reading)
            return reading.response
        watch = Watch(missing)
        for partition in reading.partitions:
            partition.watches.add(watch)
        timer = node.timers.call_at(deadline, watch.disturb, moment=False)
        try:
            await watch.wait()
        finally:
            timer.cancel()
            for partition in reading.partitions:
                partition.watches.discard(watch)


def _read(node: Node, request: FetchRequest, version: int) -> _Reading:
    reading = _Reading(FetchResponse(), [])
    room = min(request.max_bytes, node.config.int("fetch.max.bytes"))
    committed = request.isolation_level == _READ_COMMITTED
    for wanted in request.topics:
        answered = FetchableTopicResponse(topic=wanted.topic, topic_id=wanted.topic_id)
        reading.response.responses.append(answered)
        for part in wanted.partitions:
            data = PartitionData(
                partition_index=part.partition,
                # Null for readers that take everything, as in Kafka.
                aborted_transactions=[] if committed else None,
                # Not null: librdkafka refuses a records length of -1.
                records=b"",
            )
            answered.partitions.append(data)
            try:
                partition = _find(node, wanted, part, version)
                stable = partition.last_stable_offset
                limit = stable if committed else partition.high_watermark
                records = _records(partition, part, room, limit, first=reading.size == 0)
                if committed:
                    data.aborted_transactions = _aborted(partition, part.fetch_offset, records)
            except Refused as refused:
                reading.failed = True
                data.error_code, data.high_watermark = refused.code, -1
                continue
            reading.partitions.append(partition)
            data.records = records
            data.high_watermark = partition.high_watermark
            data.last_stable_offset = stable
            data.log_start_offset = partition.log_start_offset
            reading.size += len(records)
            room -= len(records)
    return reading


def _find(node: Node, wanted: FetchTopic, part: FetchPartition, version: int) -> Partition:
    if version >= _TOPIC_IDS_SINCE:
        topic = node.topics.by_id(wanted.topic_id)
        if topic is None:
            raise Refused(ErrorCode.UNKNOWN_TOPIC_ID)
        name = topic.name
    else:
        name = wanted.topic
    partition = node.led_partition(name, part.partition)
    if partition is None:
        raise Refused(ErrorCode.UNKNOWN_TOPIC_OR_PARTITION)
    partition.check_epoch(part.current_leader_epoch)
    return partition


def _records(
    partition: Partition, part: FetchPartition, room: int, max_offset: int, *, first: bool
) -> bytes:
    offset = part.fetch_offset
    if not partition.log_start_offset <= offset <= partition.log_end_offset:
        raise Refused(ErrorCode.OFFSET_OUT_OF_RANGE)
    limit = min(part.partition_max_bytes, room)
    if limit <= 0 and not first:
        return b""
    # Only the first partition with data may exceed the limits, by the rest of one batch, so
    # that a batch larger than any limit is still read by somebody.
    try:
        return partition.log.read(offset, max(limit, 0), max_offset=max_offset, min_one_batch=first)
    except OSError as error:
        raise Refused(ErrorCode.KAFKA_STORAGE_ERROR) from error


def _aborted(partition: Partition, offset: int, records: bytes) -> list[AbortedTransaction]:
    """The aborted transactions of which there is anything in the records that were read."""
    return [
        AbortedTransaction(producer_id=one.producer_id, first_offset=one.first_offset)
        for one in partition.log.aborted_transactions(offset, records)
    ]


def _count(node: Node, reading: _Reading) -> None:
    answered = (data for topic in reading.response.responses for data in topic.partitions)
    good = (data for data in answered if not data.error_code)
    for partition, data in zip(reading.partitions, good, strict=True):
        if data.records:
            node.metrics.topic(partition.topic).bytes_out += len(data.records)
