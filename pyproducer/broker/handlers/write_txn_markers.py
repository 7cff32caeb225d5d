"""WriteTxnMarkers, version 1: ends transactions on partitions, without their coordinator.

Brokers send it to each other; here it serves administrators who have to end a transaction that
its coordinator does not know (`kafka-transactions.sh abort`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pyproducer.broker.context import RequestContext
from pyproducer.broker.errors import Refused
from pyproducer.broker.handlers import access
from pyproducer.broker.handlers.access import ALTER_CLUSTER, CLUSTER_ACTION
from pyproducer.broker.log.producer_state import EndMarker
from pyproducer.model import TopicPartition
from pyproducer.protocol.error_codes import ErrorCode
from pyproducer.protocol.messages.write_txn_markers import (
    WritableTxnMarker,
    WritableTxnMarkerPartitionResult,
    WritableTxnMarkerResult,
    WritableTxnMarkerTopicResult,
    WriteTxnMarkersRequest,
    WriteTxnMarkersResponse,
)

if TYPE_CHECKING:
    from pyproducer.broker.node import Node

NEEDS = (ALTER_CLUSTER, CLUSTER_ACTION)


async def handle(
    node: Node, request: WriteTxnMarkersRequest, context: RequestContext
) -> WriteTxnMarkersResponse:
    """Marks each partition on its own."""
    refusal: int = ErrorCode.NONE
    if not access.allowed(node, context, ALTER_CLUSTER, quiet=True):
        refusal = access.refusal(node, context, CLUSTER_ACTION)
    return WriteTxnMarkersResponse(
        markers=[
            WritableTxnMarkerResult(
                producer_id=wanted.producer_id,
                topics=[
                    WritableTxnMarkerTopicResult(
                        name=topic.name,
                        partitions=[
                            WritableTxnMarkerPartitionResult(
                                partition_index=index,
                                error_code=refusal
                                or _write(node, wanted, TopicPartition(topic.name, index)),
                            )
                            for index in topic.partition_indexes
                        ],
                    )
                    for topic in wanted.topics
                ],
            )
            for wanted in request.markers
        ]
    )


def _write(node: Node, wanted: WritableTxnMarker, place: TopicPartition) -> int:
    marker = EndMarker(wanted.transaction_result, wanted.coordinator_epoch)
    try:
        node.markers.write(place, wanted.producer_id, wanted.producer_epoch, marker)
    except Refused as refused:
        return refused.code
    return ErrorCode.NONE
