"""ApiVersions: what is served. Also the first thing most clients say, with their name."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from pyproducer.broker.context import RequestContext
from pyproducer.protocol.error_codes import ErrorCode
from pyproducer.protocol.messages.api_versions import (
    ApiVersionsRequest,
    ApiVersionsResponse,
    FinalizedFeatureKey,
    SupportedFeatureKey,
)

if TYPE_CHECKING:
    from pyproducer.broker.node import Node

NEEDS = ()

_NAMED_SINCE = 3
#: Clients of version 3 take a feature that starts at 0 for a broken answer (KAFKA-17011).
_ZERO_SINCE = 4
#: With level 2 the end of a transaction gives its producer a new epoch, and Produce adds partitions
#: to it by itself (KIP-890). Clients that know less may do as before.
_SUPPORTED = {"transaction.version": 2}
_LEGAL = re.compile(r"[a-zA-Z0-9](?:[a-zA-Z0-9\-.]*[a-zA-Z0-9])?")


async def handle(
    node: Node, request: ApiVersionsRequest, context: RequestContext
) -> ApiVersionsResponse:
    """Answers with every API's versions; notes who the client is.

    Of Kafka's features that a client acts on there is `transaction.version`; `group.version`
    names what this broker does not have.
    """
    if context.api_version >= _NAMED_SINCE:
        name, version = request.client_software_name, request.client_software_version
        if not (_LEGAL.fullmatch(name) and _LEGAL.fullmatch(version)):
            return ApiVersionsResponse(error_code=ErrorCode.INVALID_REQUEST)
        context.connection.software_name = name
        context.connection.software_version = version
    response = ApiVersionsResponse(api_keys=node.api_ranges())
    if context.api_version >= _NAMED_SINCE:
        response.finalized_features_epoch = 0
        response.finalized_features = [
            FinalizedFeatureKey(name=name, max_version_level=level, min_version_level=level)
            for name, level in node.features.items()
            if level
        ]
    if context.api_version >= _ZERO_SINCE:
        response.supported_features = [
            SupportedFeatureKey(name=name, min_version=0, max_version=level)
            for name, level in _SUPPORTED.items()
        ]
    return response
