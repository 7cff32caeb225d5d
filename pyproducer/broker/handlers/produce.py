"""Produce: batches into logs, each partition on its own.

Served are versions 3 to 11 (record format 2, no transactions). The advertised minimum is 0,
though 0 to 2 are refused like in Kafka 4: librdkafka before 2.11.1 takes a minimum above 0 as
"no compression" and then silently sends none (KAFKA-18659).
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, cast

from pyproducer.broker.context import CloseConnection, RequestContext
from pyproducer.broker.errors import Refused
from pyproducer.broker.topics import INTERNAL_TOPICS
from pyproducer.protocol.error_codes import ErrorCode
from pyproducer.protocol.messages.produce import (
    BatchIndexAndErrorMessage,
    PartitionProduceData,
    PartitionProduceResponse,
    ProduceRequest,
    ProduceResponse,
    TopicProduceResponse,
)
from pyproducer.records.batch import ATTRIBUTES_POSITION, TRANSACTIONAL_BIT

if TYPE_CHECKING:
    from pyproducer.broker.node import Node

log = logging.getLogger(__name__)

_ACKS = frozenset({-1, 0, 1})


async def handle(
    node: Node, request: ProduceRequest, context: RequestContext
) -> ProduceResponse | None:
    """Appends what can be appended; with acks=0 nothing is answered.

    With one replica, the leader's append is every replica's append: acks=1 and acks=-1 are
    answered at the same moment, and the request's timeout never passes.
    """
    response = ProduceResponse()
    failure: Refused | None = None
    unnamed = request.transactional_id is None and _has_transactional(request)
    for data in request.topic_data:
        answered = TopicProduceResponse(name=data.name)
        response.responses.append(answered)
        for part in data.partition_data:
            try:
                if unnamed:
                    raise Refused(
                        ErrorCode.TRANSACTIONAL_ID_AUTHORIZATION_FAILED,
                        "the request has transactional records and no transactional id",
                    )
                if request.acks not in _ACKS:
                    raise Refused(
                        ErrorCode.INVALID_REQUIRED_ACKS, f"acks={request.acks} is none of 0, 1, -1"
                    )
                answered.partition_responses.append(
                    _append(node, data.name, part, context.api_version)
                )
            except Refused as refused:
                failure = refused
                answered.partition_responses.append(_refusal(part.index, refused))
    if request.acks != 0:
        return response
    if failure is not None:
        # The client reads no answer; a closed connection is the only news it can get.
        raise CloseConnection(f"a Produce request with acks=0 failed: {failure}")
    return None


def _has_transactional(request: ProduceRequest) -> bool:
    for topic in request.topic_data:
        for part in topic.partition_data:
            records = cast("memoryview | None", part.records)
            if records is None or len(records) <= ATTRIBUTES_POSITION + 1:
                continue
            # The attributes' low byte; what else is wrong with the batch is found later.
            if records[ATTRIBUTES_POSITION + 1] & TRANSACTIONAL_BIT:
                return True
    return False


def _append(
    node: Node, topic: str, part: PartitionProduceData, version: int
) -> PartitionProduceResponse:
    partition = node.led_partition(topic, part.index)
    if partition is None:
        raise Refused(ErrorCode.UNKNOWN_TOPIC_OR_PARTITION, f"there is no {topic}-{part.index}")
    if topic in INTERNAL_TOPICS:
        raise Refused(ErrorCode.INVALID_TOPIC_EXCEPTION, f"{topic} is written by the broker alone")
    try:
        # Decoded records are one view of the request's frame, which the log writes from.
        records = cast("memoryview | None", part.records)
        result = partition.append(records, request_version=version)
    except OSError as error:
        log.exception("cannot write to %s-%d", topic, part.index)
        raise Refused(
            ErrorCode.KAFKA_STORAGE_ERROR, f"the log cannot be written: {error}"
        ) from error
    return PartitionProduceResponse(
        index=part.index,
        base_offset=result.base_offset,
        log_append_time_ms=result.log_append_time_ms,
        log_start_offset=result.log_start_offset,
    )


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
