"""EndTxn, versions 0 to 5: commit or abort.

The answer comes once every partition knows, so what is read committed afterwards has it. Version 2
knows PRODUCER_FENCED; with 5 the producer gets a new epoch (KIP-890).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pyproducer.broker.context import RequestContext
from pyproducer.broker.errors import Refused
from pyproducer.broker.handlers import access
from pyproducer.broker.handlers.access import WRITE_TRANSACTIONAL_ID
from pyproducer.broker.handlers.transaction_errors import as_told
from pyproducer.broker.transactions.transaction import Identity
from pyproducer.protocol.error_codes import ErrorCode
from pyproducer.protocol.messages.end_txn import EndTxnRequest, EndTxnResponse

if TYPE_CHECKING:
    from pyproducer.broker.node import Node

NEEDS = (WRITE_TRANSACTIONAL_ID,)

_FENCED_SINCE = 2
_BUMP_SINCE = 5


async def handle(node: Node, request: EndTxnRequest, context: RequestContext) -> EndTxnResponse:
    """Ends the transaction, or says that it was ended that way."""
    if refusal := access.refusal(node, context, WRITE_TRANSACTIONAL_ID, request.transactional_id):
        return EndTxnResponse(error_code=refusal)
    if not request.transactional_id:
        return EndTxnResponse(error_code=ErrorCode.INVALID_REQUEST)
    try:
        identity = node.transactions.end(
            request.transactional_id,
            Identity(request.producer_id, request.producer_epoch),
            commit=request.committed,
            bump=context.api_version >= _BUMP_SINCE,
        )
    except Refused as refused:
        code = as_told(refused.code, context.api_version, fenced_since=_FENCED_SINCE)
        return EndTxnResponse(error_code=code)
    return EndTxnResponse(producer_id=identity.producer_id, producer_epoch=identity.epoch)
