"""InitProducerId: an identity for idempotent producers.

Transactions do not exist here yet. A request with a transactional id gets
TRANSACTIONAL_ID_AUTHORIZATION_FAILED: of the codes the protocol has for this API it is the one that
clients take as final. COORDINATOR_NOT_AVAILABLE would be retried for as long as they live.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from pyproducer.broker.context import RequestContext
from pyproducer.protocol.error_codes import ErrorCode
from pyproducer.protocol.messages.init_producer_id import (
    InitProducerIdRequest,
    InitProducerIdResponse,
)

if TYPE_CHECKING:
    from pyproducer.broker.node import Node

log = logging.getLogger(__name__)


async def handle(
    node: Node, request: InitProducerIdRequest, context: RequestContext
) -> InitProducerIdResponse:
    """Gives an id that nobody had before, with epoch 0."""
    if request.transactional_id is not None:
        if not request.transactional_id:
            return _refused(ErrorCode.INVALID_REQUEST)
        log.warning(
            "%s asks for transactional id %r: this broker has no transactions",
            context.client_id or "a client",
            request.transactional_id,
        )
        return _refused(ErrorCode.TRANSACTIONAL_ID_AUTHORIZATION_FAILED)
    if (request.producer_id == -1) != (request.producer_epoch == -1):
        return _refused(ErrorCode.INVALID_REQUEST)
    try:
        given = node.producer_ids.take()
    except OSError:
        log.exception("cannot record a block of producer ids")
        return _refused(ErrorCode.KAFKA_STORAGE_ERROR)
    return InitProducerIdResponse(producer_id=given, producer_epoch=0)


def _refused(code: ErrorCode) -> InitProducerIdResponse:
    return InitProducerIdResponse(error_code=code, producer_id=-1, producer_epoch=-1)
