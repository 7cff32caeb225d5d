"""DescribeProducers: what each partition remembers of its idempotent producers."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pyproducer.broker.context import RequestContext
from pyproducer.broker.errors import Refused
from pyproducer.broker.handlers import access
from pyproducer.broker.handlers.access import READ_TOPIC
from pyproducer.protocol.error_codes import ErrorCode
from pyproducer.protocol.messages.describe_producers import (
    DescribeProducersRequest,
    DescribeProducersResponse,
    PartitionResponse,
    ProducerState,
    TopicResponse,
)

if TYPE_CHECKING:
    from pyproducer.broker.node import Node

NEEDS = (READ_TOPIC,)


async def handle(
    node: Node, request: DescribeProducersRequest, context: RequestContext
) -> DescribeProducersResponse:
    """Lists the producers whose next batch each partition would check."""
    response = DescribeProducersResponse()
    for topic in request.topics:
        answered = TopicResponse(name=topic.name)
        response.topics.append(answered)
        for index in topic.partition_indexes:
            answer = PartitionResponse(partition_index=index)
            answered.partitions.append(answer)
            try:
                access.require(node, context, READ_TOPIC, topic.name)
                partition = node.led_partition(topic.name, index)
                if partition is None:
                    raise Refused(ErrorCode.UNKNOWN_TOPIC_OR_PARTITION)
            except Refused as refused:
                answer.error_code = refused.code
                continue
            answer.active_producers = [
                ProducerState(
                    producer_id=one.producer_id,
                    producer_epoch=one.epoch,
                    last_sequence=one.last_sequence,
                    last_timestamp=one.last_timestamp,
                    coordinator_epoch=one.coordinator_epoch,
                    current_txn_start_offset=(
                        -1 if one.txn_first_offset is None else one.txn_first_offset
                    ),
                )
                for one in partition.log.producers()
            ]
    return response
