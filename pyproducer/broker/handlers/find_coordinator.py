"""FindCoordinator, versions 0 to 5: which broker looks after a group or a transactional id.

From 4 on, several at once. There is one broker, so it is this one, for transactional ids as well.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pyproducer.broker.handlers import access
from pyproducer.broker.handlers.access import DESCRIBE_GROUP, DESCRIBE_TRANSACTIONAL_ID
from pyproducer.protocol.error_codes import ErrorCode
from pyproducer.protocol.messages.find_coordinator import (
    Coordinator,
    FindCoordinatorRequest,
    FindCoordinatorResponse,
)

if TYPE_CHECKING:
    from pyproducer.broker.context import RequestContext
    from pyproducer.broker.node import Node

NEEDS = (DESCRIBE_GROUP, DESCRIBE_TRANSACTIONAL_ID)

#: What is known to be looked after, and what it takes to learn by whom.
_NEEDED = {0: DESCRIBE_GROUP, 1: DESCRIBE_TRANSACTIONAL_ID}
_BATCHED_SINCE = 4


async def handle(
    node: Node, request: FindCoordinatorRequest, context: RequestContext
) -> FindCoordinatorResponse:
    """The answer, at once."""
    if context.api_version >= _BATCHED_SINCE:
        return FindCoordinatorResponse(
            coordinators=[
                _find(node, context, request.key_type, key) for key in request.coordinator_keys
            ]
        )
    found = _find(node, context, request.key_type, request.key)
    return FindCoordinatorResponse(
        error_code=found.error_code,
        error_message=found.error_message,
        node_id=found.node_id,
        host=found.host,
        port=found.port,
    )


def _find(node: Node, context: RequestContext, key_type: int, key: str) -> Coordinator:
    need = _NEEDED.get(key_type)
    if need is not None and not access.allowed(node, context, need, key):
        refused = access.refused(context, need, key)
        return Coordinator(
            key=key, node_id=-1, port=-1, error_code=refused.code, error_message=refused.message
        )
    if need is not None:
        host, port = node.endpoint(context.connection)
        return Coordinator(
            key=key,
            node_id=node.node_id,
            host=host,
            port=port,
            error_code=ErrorCode.NONE,
        )
    return Coordinator(
        key=key,
        node_id=-1,
        port=-1,
        error_code=ErrorCode.INVALID_REQUEST,
        error_message=f"key type {key_type} is neither 0 (group) nor 1 (transaction)",
    )
