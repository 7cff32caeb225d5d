"""AddOffsetsToTxn, versions 0 to 4: a transaction is going to commit offsets of a group.

Version 2 knows PRODUCER_FENCED.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pyproducer.broker.context import RequestContext
from pyproducer.broker.errors import Refused
from pyproducer.broker.groups.offsets import OFFSETS_TOPIC
from pyproducer.broker.handlers import access
from pyproducer.broker.handlers.access import READ_GROUP, WRITE_TRANSACTIONAL_ID
from pyproducer.broker.handlers.transaction_errors import as_told
from pyproducer.broker.transactions.transaction import Identity
from pyproducer.model import TopicPartition
from pyproducer.protocol.error_codes import ErrorCode
from pyproducer.protocol.messages.add_offsets_to_txn import (
    AddOffsetsToTxnRequest,
    AddOffsetsToTxnResponse,
)

if TYPE_CHECKING:
    from pyproducer.broker.node import Node

NEEDS = (WRITE_TRANSACTIONAL_ID, READ_GROUP)

_FENCED_SINCE = 2


async def handle(
    node: Node, request: AddOffsetsToTxnRequest, context: RequestContext
) -> AddOffsetsToTxnResponse:
    """Adds the partition of the offsets topic that holds the group."""
    refusal = access.refusal(
        node, context, WRITE_TRANSACTIONAL_ID, request.transactional_id
    ) or access.refusal(node, context, READ_GROUP, request.group_id)
    if refusal:
        return AddOffsetsToTxnResponse(error_code=refusal)
    if not request.transactional_id:
        return AddOffsetsToTxnResponse(error_code=ErrorCode.INVALID_REQUEST)
    if not request.group_id:
        return AddOffsetsToTxnResponse(error_code=ErrorCode.INVALID_GROUP_ID)
    place = TopicPartition(OFFSETS_TOPIC, node.groups.partition_of(request.group_id))
    try:
        node.transactions.add(
            request.transactional_id,
            Identity(request.producer_id, request.producer_epoch),
            [place],
        )
    except Refused as refused:
        code = as_told(refused.code, context.api_version, fenced_since=_FENCED_SINCE)
        return AddOffsetsToTxnResponse(error_code=code)
    return AddOffsetsToTxnResponse()
