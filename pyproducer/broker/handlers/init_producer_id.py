"""InitProducerId, versions 0 to 5: an identity for idempotent and transactional producers.

Version 3 brings what the producer was before (KIP-360), 4 knows PRODUCER_FENCED (KIP-588), 5 the
errors of KIP-890. The answer to a transactional producer comes once everybody before it is shut
out and what they left open is aborted.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from pyproducer.broker.context import RequestContext
from pyproducer.broker.errors import Refused
from pyproducer.broker.handlers import access
from pyproducer.broker.handlers.access import IDEMPOTENT_WRITE, WRITE_TOPIC, WRITE_TRANSACTIONAL_ID
from pyproducer.broker.handlers.transaction_errors import as_told
from pyproducer.broker.transactions.transaction import Identity
from pyproducer.protocol.error_codes import ErrorCode
from pyproducer.protocol.messages.init_producer_id import (
    InitProducerIdRequest,
    InitProducerIdResponse,
)

if TYPE_CHECKING:
    from pyproducer.broker.node import Node

NEEDS = (WRITE_TRANSACTIONAL_ID, IDEMPOTENT_WRITE, WRITE_TOPIC)

log = logging.getLogger(__name__)

_FENCED_SINCE = 4


async def handle(
    node: Node, request: InitProducerIdRequest, context: RequestContext
) -> InitProducerIdResponse:
    """Gives an id that nobody had before, or the next epoch of a transactional id's."""
    if refusal := _refusal(node, request, context):
        return _refused(refusal)
    if (request.producer_id == -1) != (request.producer_epoch == -1):
        return _refused(ErrorCode.INVALID_REQUEST)
    if request.transactional_id is None:
        try:
            given = node.producer_ids.take()
        except OSError:
            log.exception("cannot record a block of producer ids")
            return _refused(ErrorCode.KAFKA_STORAGE_ERROR)
        return InitProducerIdResponse(producer_id=given, producer_epoch=0)
    if not request.transactional_id:
        return _refused(ErrorCode.INVALID_REQUEST)
    before = Identity(request.producer_id, request.producer_epoch)
    try:
        identity = node.transactions.initialise(
            request.transactional_id,
            request.transaction_timeout_ms,
            None if before.producer_id == -1 else before,
        )
    except Refused as refused:
        return _refused(as_told(refused.code, context.api_version, fenced_since=_FENCED_SINCE))
    return InitProducerIdResponse(producer_id=identity.producer_id, producer_epoch=identity.epoch)


def _refusal(node: Node, request: InitProducerIdRequest, context: RequestContext) -> int:
    if request.transactional_id is not None:
        return access.refusal(node, context, WRITE_TRANSACTIONAL_ID, request.transactional_id)
    # Whoever may write to some topic may do so idempotently (KIP-679).
    if access.allowed(node, context, IDEMPOTENT_WRITE, quiet=True) or access.allowed_any(
        node, context, WRITE_TOPIC
    ):
        return ErrorCode.NONE
    return access.refusal(node, context, IDEMPOTENT_WRITE)


def _refused(code: int) -> InitProducerIdResponse:
    return InitProducerIdResponse(error_code=code, producer_id=-1, producer_epoch=-1)
