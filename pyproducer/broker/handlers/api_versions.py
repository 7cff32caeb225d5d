"""ApiVersions: what is served. Also the first thing most clients say, with their name."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from pyproducer.broker.context import RequestContext
from pyproducer.protocol.error_codes import ErrorCode
from pyproducer.protocol.messages.api_versions import ApiVersionsRequest, ApiVersionsResponse

if TYPE_CHECKING:
    from pyproducer.broker.node import Node

_NAMED_SINCE = 3
_LEGAL = re.compile(r"[a-zA-Z0-9](?:[a-zA-Z0-9\-.]*[a-zA-Z0-9])?")


async def handle(
    node: Node, request: ApiVersionsRequest, context: RequestContext
) -> ApiVersionsResponse:
    """Answers with every API's versions; notes who the client is.

    No features are reported: all of Kafka's that a client acts on (`transaction.version`,
    `group.version`) name things that this broker does not have.
    """
    if context.api_version >= _NAMED_SINCE:
        name, version = request.client_software_name, request.client_software_version
        if not (_LEGAL.fullmatch(name) and _LEGAL.fullmatch(version)):
            return ApiVersionsResponse(error_code=ErrorCode.INVALID_REQUEST)
        context.connection.software_name = name
        context.connection.software_version = version
    return ApiVersionsResponse(
        api_keys=node.api_ranges(),
        finalized_features_epoch=0 if context.api_version >= _NAMED_SINCE else -1,
    )
