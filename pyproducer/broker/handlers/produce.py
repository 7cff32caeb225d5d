"""Produce: batches into logs, each partition on its own.

Served are versions 3 to 12 (record format 2). The advertised minimum is 0, though 0 to 2 are
refused like in Kafka 4: librdkafka before 2.11.1 takes a minimum above 0 as "no compression" and
then silently sends none (KAFKA-18659).

A transactional batch is appended only to a partition that its producer's open transaction has, so
that one that comes late cannot stay open for ever. From version 12 on Produce adds the partition
by itself (KIP-890).
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, NamedTuple, cast

from pyproducer.broker.context import CloseConnection, RequestContext
from pyproducer.broker.errors import Refused
from pyproducer.broker.handlers import access
from pyproducer.broker.handlers.access import WRITE_TOPIC, WRITE_TRANSACTIONAL_ID
from pyproducer.broker.handlers.transaction_errors import as_told
from pyproducer.broker.log.validation import check_shape
from pyproducer.broker.partition import NEW_TRANSACTIONS_SINCE
from pyproducer.broker.topics import INTERNAL_TOPICS
from pyproducer.broker.transactions.transaction import Identity
from pyproducer.model import TopicPartition
from pyproducer.protocol.error_codes import ErrorCode
from pyproducer.protocol.messages.produce import (
    BatchIndexAndErrorMessage,
    PartitionProduceData,
    PartitionProduceResponse,
    ProduceRequest,
    ProduceResponse,
    TopicProduceResponse,
)
from pyproducer.records.batch import (
    ATTRIBUTES_POSITION,
    HEADER_SIZE,
    TRANSACTIONAL_BIT,
    BatchHeader,
    read_header,
)

if TYPE_CHECKING:
    from pyproducer.broker.log.append import AppendResult
    from pyproducer.broker.node import Node
    from pyproducer.broker.partition import Partition

NEEDS = (WRITE_TRANSACTIONAL_ID, WRITE_TOPIC)

log = logging.getLogger(__name__)


class _Unsettled(NamedTuple):
    """A part of the answer that is true once the batch is on disk."""

    answer: TopicProduceResponse
    at: int
    partition: Partition
    result: AppendResult

    def judge(self) -> None:
        """The answer is a refusal if the batch did not get there."""
        log = self.partition.log
        if self.result.last_offset < log.recovery_point:
            return
        refused = Refused(
            ErrorCode.KAFKA_STORAGE_ERROR,
            f"the batch was not forced to disk: {log.failure or 'its partition is gone'}",
        )
        self.answer.partition_responses[self.at] = _refusal(self.partition.index, refused)


_ACKS = frozenset({-1, 0, 1})
_ABORTABLE_SINCE = 11
#: What may be over when the client asks again.
_PASSING = frozenset({ErrorCode.CONCURRENT_TRANSACTIONS, ErrorCode.COORDINATOR_NOT_AVAILABLE})


async def handle(
    node: Node, request: ProduceRequest, context: RequestContext
) -> ProduceResponse | None:
    """Appends what can be appended; with acks=0 nothing is answered.

    With one replica, the leader's append is every replica's append: acks=1 and acks=-1 are
    answered at the same moment, and the request's timeout never passes. Where records count only
    on disk (`flush=always`, `flush.messages`), both wait for that, and all partitions of the
    request wait together.
    """
    response = ProduceResponse()
    failure: Refused | None = None
    unsettled: list[_Unsettled] = []
    refusal = _refusal_of_all(node, request, context)
    for data in request.topic_data:
        answered = TopicProduceResponse(name=data.name)
        response.responses.append(answered)
        for part in data.partition_data:
            try:
                if refusal is not None:
                    raise refusal
                if node.authorizer is not None:
                    access.require(node, context, WRITE_TOPIC, data.name)
                partition, result = _append(node, request, data.name, part, context)
                answered.partition_responses.append(_success(part.index, result))
                if partition.must_wait(result):
                    at = len(answered.partition_responses) - 1
                    unsettled.append(_Unsettled(answered, at, partition, result))
            except Refused as refused:
                failure = refused
                answered.partition_responses.append(_refusal(part.index, refused))
    if request.acks != 0:
        if unsettled:
            await node.commit.wait()
            for one in unsettled:
                one.judge()
        return response
    if failure is not None:
        # The client reads no answer; a closed connection is the only news it can get.
        raise CloseConnection(f"a Produce request with acks=0 failed: {failure}")
    return None


def _refusal_of_all(node: Node, request: ProduceRequest, context: RequestContext) -> Refused | None:
    """Why nothing of the request is appended, or None."""
    producers: set[int] = set()
    for topic in request.topic_data:
        for part in topic.partition_data:
            header = _transactional_header(part)
            if header is not None:
                producers.add(header.producer_id)
    if producers:
        name = request.transactional_id
        if name is None:
            return Refused(
                ErrorCode.TRANSACTIONAL_ID_AUTHORIZATION_FAILED,
                "the request has transactional records and no transactional id",
            )
        if not access.allowed(node, context, WRITE_TRANSACTIONAL_ID, name):
            return access.refused(context, WRITE_TRANSACTIONAL_ID, name)
    if len(producers) > 1:
        return Refused(
            ErrorCode.INVALID_PRODUCER_ID_MAPPING,
            f"the transactional records are of several producers: {sorted(producers)}",
        )
    return None


def _transactional_header(part: PartitionProduceData) -> BatchHeader | None:
    """The header of a transactional batch; what else is wrong with it is found later."""
    records = cast("memoryview | None", part.records)
    if records is None or len(records) < HEADER_SIZE:
        return None
    # The attributes' low byte: most batches are not, and need not be looked at twice.
    if not records[ATTRIBUTES_POSITION + 1] & TRANSACTIONAL_BIT:
        return None
    return read_header(records)


def _admit(
    node: Node, transactional_id: str, header: BatchHeader, place: TopicPartition, version: int
) -> None:
    """Returns if the batch belongs to an open transaction of its producer (KIP-890)."""
    holder = Identity(header.producer_id, header.producer_epoch)
    adds = version >= NEW_TRANSACTIONS_SINCE
    try:
        if adds:
            node.transactions.add(transactional_id, holder, [place], version=2)
        elif node.config.flag("transaction.partition.verification.enable"):
            node.transactions.verify(transactional_id, holder, place)
    except Refused as refused:
        code = as_told(refused.code, version, abortable_since=_ABORTABLE_SINCE)
        if code in _PASSING and not (adds and code == ErrorCode.CONCURRENT_TRANSACTIONS):
            # Retriable for every client, and none refreshes its metadata for it.
            code = ErrorCode.NOT_ENOUGH_REPLICAS
        raise Refused(code, refused.message) from refused


def _append(
    node: Node,
    request: ProduceRequest,
    topic: str,
    part: PartitionProduceData,
    context: RequestContext,
) -> tuple[Partition, AppendResult]:
    partition = node.led_partition(topic, part.index)
    if partition is None:
        raise Refused(ErrorCode.UNKNOWN_TOPIC_OR_PARTITION, f"there is no {topic}-{part.index}")
    if request.acks not in _ACKS or topic in INTERNAL_TOPICS:
        raise _not_taken(request.acks, topic, part, context.api_version)
    header = _transactional_header(part)
    if header is not None and request.transactional_id is not None:
        place = TopicPartition(topic, part.index)
        _admit(node, request.transactional_id, header, place, context.api_version)
    try:
        # Decoded records are one view of the request's frame, which the log writes from.
        records = cast("memoryview | None", part.records)
        result = partition.append(records, request_version=context.api_version)
    except OSError as error:
        log.exception("cannot write to %s-%d", topic, part.index)
        raise Refused(
            ErrorCode.KAFKA_STORAGE_ERROR, f"the log cannot be written: {error}"
        ) from error
    return partition, result


def _success(index: int, result: AppendResult) -> PartitionProduceResponse:
    return PartitionProduceResponse(
        index=index,
        base_offset=result.base_offset,
        log_append_time_ms=result.log_append_time_ms,
        log_start_offset=result.log_start_offset,
    )


def _not_taken(acks: int, topic: str, part: PartitionProduceData, version: int) -> Refused:
    """Why records for a topic that there is are not looked at."""
    try:
        # In Kafka's order: what is no batch at all is told before anything else.
        check_shape(cast("memoryview | None", part.records), version)
    except Refused as refused:
        return refused
    if acks not in _ACKS:
        return Refused(ErrorCode.INVALID_REQUIRED_ACKS, f"acks={acks} is none of 0, 1, -1")
    return Refused(ErrorCode.INVALID_TOPIC_EXCEPTION, f"{topic} is written by the broker alone")


def _refusal(index: int, refused: Refused) -> PartitionProduceResponse:
    return PartitionProduceResponse(
        index=index,
        error_code=refused.code,
        base_offset=-1,
        error_message=refused.message,
        record_errors=[
            BatchIndexAndErrorMessage(batch_index=at, batch_index_error_message=message)
            for at, message in refused.record_errors
        ],
    )
