"""DescribeTransactions: what is known of transactional ids."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pyproducer.broker.context import RequestContext
from pyproducer.broker.errors import Refused
from pyproducer.broker.handlers import access
from pyproducer.broker.handlers.access import DESCRIBE_TOPIC, DESCRIBE_TRANSACTIONAL_ID
from pyproducer.protocol.error_codes import ErrorCode
from pyproducer.protocol.messages.describe_transactions import (
    DescribeTransactionsRequest,
    DescribeTransactionsResponse,
    TopicData,
    TransactionState,
)

if TYPE_CHECKING:
    from pyproducer.broker.node import Node

NEEDS = (DESCRIBE_TRANSACTIONAL_ID, DESCRIBE_TOPIC)


async def handle(
    node: Node, request: DescribeTransactionsRequest, context: RequestContext
) -> DescribeTransactionsResponse:
    """Describes each id on its own."""
    return DescribeTransactionsResponse(
        transaction_states=[_describe(node, context, name) for name in request.transactional_ids]
    )


def _describe(node: Node, context: RequestContext, name: str) -> TransactionState:
    if refusal := access.refusal(node, context, DESCRIBE_TRANSACTIONAL_ID, name):
        return TransactionState(error_code=refusal, transactional_id=name)
    if not name:
        return TransactionState(error_code=ErrorCode.INVALID_REQUEST, transactional_id=name)
    try:
        found = node.transactions.describe(name)
    except Refused as refused:
        return TransactionState(error_code=refused.code, transactional_id=name)
    topics: dict[str, list[int]] = {}
    for place in sorted(found.partitions):
        if not access.allowed(node, context, DESCRIBE_TOPIC, place.topic, quiet=True):
            continue
        topics.setdefault(place.topic, []).append(place.partition)
    return TransactionState(
        transactional_id=name,
        transaction_state=str(found.state),
        transaction_timeout_ms=found.timeout_ms,
        transaction_start_time_ms=found.start_ms,
        producer_id=found.producer_id,
        producer_epoch=found.epoch,
        topics=[TopicData(topic=topic, partitions=indexes) for topic, indexes in topics.items()],
    )
