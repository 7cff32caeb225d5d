"""ListTransactions, versions 0 and 1: all transactional ids, or those that fit.

Version 1 asks for transactions that are open for longer than a time.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pyproducer.broker.context import RequestContext
from pyproducer.broker.handlers import access
from pyproducer.broker.handlers.access import DESCRIBE_TRANSACTIONAL_ID
from pyproducer.broker.transactions.state import IDLE, STATES
from pyproducer.broker.transactions.transaction import Transaction
from pyproducer.protocol.messages.list_transactions import (
    ListTransactionsRequest,
    ListTransactionsResponse,
    TransactionState,
)

if TYPE_CHECKING:
    from pyproducer.broker.node import Node

NEEDS = (DESCRIBE_TRANSACTIONAL_ID,)


async def handle(
    node: Node, request: ListTransactionsRequest, context: RequestContext
) -> ListTransactionsResponse:
    """Lists by name; names of states that do not exist are told."""
    now_ms = node.clock.wall_ms()
    known = {str(state) for state in STATES}
    return ListTransactionsResponse(
        unknown_state_filters=[name for name in request.state_filters if name not in known],
        transaction_states=[
            TransactionState(
                transactional_id=one.transactional_id,
                producer_id=one.producer_id,
                transaction_state=str(one.state),
            )
            for one in node.transactions.transactions()
            if _fits(one, request, now_ms)
            if access.allowed(
                node, context, DESCRIBE_TRANSACTIONAL_ID, one.transactional_id, quiet=True
            )
        ],
    )


def _fits(one: Transaction, request: ListTransactionsRequest, now_ms: int) -> bool:
    if request.state_filters and str(one.state) not in request.state_filters:
        return False
    if request.producer_id_filters and one.producer_id not in request.producer_id_filters:
        return False
    if request.duration_filter < 0:
        return True
    return one.state not in IDLE and now_ms - one.start_ms > request.duration_filter
