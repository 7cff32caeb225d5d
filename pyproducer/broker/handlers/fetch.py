"""Fetch: whole batches from logs, waiting for new ones if asked to."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, cast
from uuid import UUID

from pyproducer.broker.context import RequestContext
from pyproducer.broker.errors import Refused
from pyproducer.broker.fetch_sessions.fetches import Found
from pyproducer.broker.handlers import access
from pyproducer.broker.handlers.access import CLUSTER_ACTION, READ_TOPIC, Need
from pyproducer.broker.log.slices import LogSlice
from pyproducer.broker.partition import Partition, Watch
from pyproducer.protocol.error_codes import ErrorCode
from pyproducer.protocol.messages.fetch import (
    AbortedTransaction,
    EpochEndOffset,
    FetchableTopicResponse,
    FetchRequest,
    FetchResponse,
    LeaderIdAndEpoch,
    NodeEndpoint,
    PartitionData,
)

if TYPE_CHECKING:
    from pyproducer.broker.fetch_sessions.fetches import Fetch
    from pyproducer.broker.fetch_sessions.wanted import WantedPartition
    from pyproducer.broker.node import Node
    from pyproducer.protocol.schema import Records

NEEDS = (READ_TOPIC, CLUSTER_ACTION)

_READ_COMMITTED = 1
#: First versions of Fetch that may be told of a broken disk, of zstd, and of the leader's address.
_STORAGE_ERROR_SINCE = 6
_ZSTD_SINCE = 10
_LEADER_SINCE = 16

#: Slices below this size are read at once, up to so many bytes for one answer: a copy of little
#: costs less than a system call more, and all that an answer does not copy takes no memory.
_SMALL = 32 << 10
_COPIED = 256 << 10

#: About so many bytes stand around a partition's records.
_AROUND = 64

_NO_ID = UUID(int=0)


@dataclass(slots=True)
class _Reading:
    """One pass over the partitions of a request.

    Attributes:
        room: Bytes that may still be found.
        found: What there is to say of each partition.
        partitions: Those that can be waited for.
        size: Bytes found.
        copied: How many of them were read.
        enough: There is something to say at once, however little it is.
    """

    room: int
    found: list[Found] = field(default_factory=list)
    partitions: list[Partition] = field(default_factory=list)
    size: int = 0
    copied: int = 0
    enough: bool = False


async def handle(node: Node, request: FetchRequest, context: RequestContext) -> FetchResponse:
    """Answers at once if `min_bytes` are there or anything is wrong, else by `max_wait_ms`."""
    try:
        fetch = node.fetch_sessions.begin(request, context.api_version, node.topics)
    except Refused as refused:
        return FetchResponse(error_code=refused.code)
    reading = await _wait(node, fetch, request, context)
    settled = None
    if node.quotas.on:
        size = reading.size + _AROUND * sum(1 for one in reading.found if one.size)
        context.throttle_ms = node.quotas.fetched(context, size)
        if context.throttle_ms:
            settled = fetch.throttled()
    if settled is None:
        settled = fetch.settle(reading.found)
    response = FetchResponse(session_id=settled.session_id, error_code=settled.error_code)
    topics: dict[str | UUID, FetchableTopicResponse] = {}
    for wanted, data, size in settled.found:
        name = wanted.topic or ""
        key = name if wanted.topic_id == _NO_ID else wanted.topic_id
        answered = topics.get(key)
        if answered is None:
            answered = FetchableTopicResponse(topic=name, topic_id=wanted.topic_id)
            topics[key] = answered
            response.responses.append(answered)
        answered.partitions.append(data)
        if size:
            node.metrics.topic(name).bytes_out += size
        if data.current_leader is not None:
            response.node_endpoints = [_endpoint(node, context)]
    return response


async def _wait(
    node: Node, fetch: Fetch, request: FetchRequest, context: RequestContext
) -> _Reading:
    """The reading that is answered with: the first that is enough, or the last in time."""
    deadline = node.clock.monotonic() + request.max_wait_ms / 1000
    room = min(request.max_bytes, node.config.int("fetch.max.bytes"))
    if node.quotas.on and (most := node.quotas.most_at_once(context)) is not None:
        # Of more, nothing would ever be sent.
        room = min(room, int(most))
    committed = request.isolation_level == _READ_COMMITTED
    while True:
        reading = _read(node, fetch, request, context, room)
        missing = min(request.min_bytes, room) - reading.size
        if (
            missing <= 0
            or reading.enough
            or not reading.partitions
            or node.clock.monotonic() >= deadline
        ):
            return reading
        watch = Watch(missing, committed=committed)
        for partition in reading.partitions:
            partition.watches.add(watch)
        # Slices of files would keep those open.
        partitions = reading.partitions
        del reading
        timer = node.timers.call_at(deadline, watch.disturb, moment=False)
        try:
            await watch.wait()
        finally:
            timer.cancel()
            for partition in partitions:
                partition.watches.discard(watch)


def _read(
    node: Node, fetch: Fetch, request: FetchRequest, context: RequestContext, room: int
) -> _Reading:
    reading = _Reading(room)
    committed = request.isolation_level == _READ_COMMITTED
    follower = _replica_id(request) >= 0
    need = CLUSTER_ACTION if follower else READ_TOPIC
    for wanted in fetch.partitions:
        # Not null: librdkafka refuses a records length of -1.
        data = PartitionData(partition_index=wanted.index, records=b"")
        size = 0
        try:
            partition = _find(node, wanted, context, need)
            if follower:
                raise Refused(ErrorCode.NOT_LEADER_OR_FOLLOWER)
            partition.check_epoch(wanted.leader_epoch)
            size = _fill(data, partition, wanted, reading, committed=committed)
        except Refused as refused:
            data = _refusal(node, wanted, refused.code, context.api_version)
            reading.enough = True
        reading.found.append(Found(wanted, data, size))
    return reading


def _find(node: Node, wanted: WantedPartition, context: RequestContext, need: Need) -> Partition:
    """The partition that is wanted.

    Raises:
        Refused: The sender may not read it, or there is none, or it is not the one meant, or it
            cannot be read in this version.
    """
    topic, index = wanted.topic, wanted.index
    if context.refused is not None and (topic, index) in context.refused:
        raise Refused(context.refused[topic, index])
    if topic is None:
        raise Refused(ErrorCode.UNKNOWN_TOPIC_ID)
    # Also of a request that waits: what is forbidden meanwhile is not read any more.
    if node.authorizer is not None and not (
        access.allowed(node, context, need, topic)
        if need is READ_TOPIC
        else access.allowed(node, context, need)
    ):
        raise Refused(ErrorCode.TOPIC_AUTHORIZATION_FAILED)
    partition = node.led_partition(topic, index)
    if partition is None:
        raise Refused(ErrorCode.UNKNOWN_TOPIC_OR_PARTITION)
    if wanted.topic_id not in {_NO_ID, node.topics[topic].id}:
        # A session knows a topic's name from a time when another topic had it.
        raise Refused(ErrorCode.INCONSISTENT_TOPIC_ID)
    if context.api_version < _ZSTD_SINCE and partition.log.config.compression_type == "zstd":
        raise Refused(ErrorCode.UNSUPPORTED_COMPRESSION_TYPE)
    return partition


def _fill(
    data: PartitionData,
    partition: Partition,
    wanted: WantedPartition,
    reading: _Reading,
    *,
    committed: bool,
) -> int:
    """The partition's part of the answer is complete; says how many bytes of records it has.

    Raises:
        Refused: OFFSET_OUT_OF_RANGE, KAFKA_STORAGE_ERROR or CORRUPT_MESSAGE.
    """
    offset, log = wanted.fetch_offset, partition.log
    stable = partition.last_stable_offset
    limit = stable if committed else partition.high_watermark
    end = _diverging(partition, wanted)
    if not log.log_start_offset <= offset <= log.log_end_offset and end is None:
        raise Refused(ErrorCode.OFFSET_OUT_OF_RANGE)
    reading.partitions.append(partition)
    data.high_watermark = partition.high_watermark
    data.last_stable_offset = stable
    data.log_start_offset = log.log_start_offset
    # Null for readers that take everything, as in Kafka.
    data.aborted_transactions = [] if committed else None
    if end is not None:
        data.diverging_epoch = end
        reading.enough = True
        return 0
    if offset >= limit:
        return 0
    found = _slice(partition, wanted, reading, limit)
    if found is None:
        return 0
    if committed:
        data.aborted_transactions = [
            AbortedTransaction(producer_id=one.producer_id, first_offset=one.first_offset)
            for one in log.aborted_transactions(offset, found.end_offset)
        ]
    if found.size < _SMALL and reading.copied + found.size <= _COPIED:
        data.records = _copied(found)
        reading.copied += found.size
    else:
        # Whoever writes the answer takes it from the file.
        data.records = cast("Records", [found])
    reading.size += found.size
    reading.room -= found.size
    return found.size


def _slice(
    partition: Partition, wanted: WantedPartition, reading: _Reading, limit: int
) -> LogSlice | None:
    """What the limits leave of the partition's records, if anything."""
    # Only the first partition with data may exceed the limits, by the rest of one batch, so
    # that a batch larger than any limit is still read by somebody.
    first = reading.size == 0
    max_bytes = max(min(wanted.max_bytes, reading.room), 0)
    if not max_bytes and not first:
        reading.enough = True
        return None
    found = partition.log.slice(
        wanted.fetch_offset, max_bytes, max_offset=limit, min_one_batch=first
    )
    # More than this is there, which waiting would not bring nearer.
    reading.enough |= found.end_offset >= 0 and (not found.size or found.end_offset < limit)
    return found if found.size else None


def _copied(found: LogSlice) -> bytes:
    try:
        return found.read()
    except OSError as error:
        raise Refused(ErrorCode.KAFKA_STORAGE_ERROR, str(error)) from error


def _diverging(partition: Partition, wanted: WantedPartition) -> EpochEndOffset | None:
    """Where the reader's records part from the log's, if it says what it has and they do.

    Raises:
        Refused: OFFSET_OUT_OF_RANGE: nothing is known of what it has.
    """
    if wanted.last_fetched_epoch < 0:
        return None
    epoch, end_offset = partition.end_of_epoch(wanted.last_fetched_epoch)
    if epoch < 0 or end_offset < 0 or wanted.fetch_offset < partition.log_start_offset:
        raise Refused(ErrorCode.OFFSET_OUT_OF_RANGE)
    if epoch < wanted.last_fetched_epoch or end_offset < wanted.fetch_offset:
        return EpochEndOffset(epoch=epoch, end_offset=end_offset)
    return None


def _refusal(node: Node, wanted: WantedPartition, code: int, version: int) -> PartitionData:
    """What is said of a partition that is not read."""
    if code == ErrorCode.KAFKA_STORAGE_ERROR and version < _STORAGE_ERROR_SINCE:
        # Clients of that time would not try again after an error that they do not know.
        code = ErrorCode.NOT_LEADER_OR_FOLLOWER
    data = PartitionData(
        partition_index=wanted.index, error_code=code, high_watermark=-1, records=b""
    )
    data.aborted_transactions = None
    if code == ErrorCode.FENCED_LEADER_EPOCH and version >= _LEADER_SINCE:
        assert wanted.topic is not None
        led = node.partition(wanted.topic, wanted.index)
        if led is not None:
            data.current_leader = LeaderIdAndEpoch(
                leader_id=node.node_id, leader_epoch=led.leader_epoch
            )
    return data


def _endpoint(node: Node, context: RequestContext) -> NodeEndpoint:
    host, port = node.endpoint(context.connection)
    return NodeEndpoint(node_id=node.node_id, host=host, port=port, rack=node.rack)


def _replica_id(request: FetchRequest) -> int:
    """The broker that asks; below 0 for a consumer."""
    return request.replica_id if request.replica_state is None else request.replica_state.replica_id
