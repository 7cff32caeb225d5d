"""DescribeUserScramCredentials, version 0: who has a password for SCRAM, never a word of it."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from pyproducer.broker.errors import Refused
from pyproducer.broker.handlers import access
from pyproducer.broker.handlers.access import DESCRIBE_CLUSTER
from pyproducer.protocol.error_codes import ErrorCode
from pyproducer.protocol.messages.describe_user_scram_credentials import (
    CredentialInfo,
    DescribeUserScramCredentialsRequest,
    DescribeUserScramCredentialsResponse,
    DescribeUserScramCredentialsResult,
)
from pyproducer.protocol.sasl.scram_terms import NAMES

if TYPE_CHECKING:
    from pyproducer.broker.context import RequestContext
    from pyproducer.broker.node import Node

NEEDS = (DESCRIBE_CLUSTER,)


async def handle(
    node: Node, request: DescribeUserScramCredentialsRequest, context: RequestContext
) -> DescribeUserScramCredentialsResponse:
    """Describes the users named, each on its own, or all of them."""
    try:
        access.require(node, context, DESCRIBE_CLUSTER)
    except Refused as refused:
        return DescribeUserScramCredentialsResponse(
            error_code=refused.code, error_message=refused.message
        )
    # As in Kafka an empty list is everybody, too.
    times = Counter(one.name for one in request.users or ())
    names = list(times) or sorted(set().union(*node.users.scram.values()))
    response = DescribeUserScramCredentialsResponse(error_message=None)
    for name in names:
        result = DescribeUserScramCredentialsResult(user=name, error_message=None)
        response.results.append(result)
        found = [
            CredentialInfo(
                mechanism=number, iterations=node.users.scram[mechanism][name].iterations
            )
            for number, mechanism in NAMES.items()
            if name in node.users.scram[mechanism]
        ]
        if times[name] > 1:
            result.error_code = ErrorCode.DUPLICATE_RESOURCE
            result.error_message = f"user {name!r} is named twice in the request"
        elif not found:
            result.error_code = ErrorCode.RESOURCE_NOT_FOUND
            result.error_message = f"user {name!r} has no SCRAM credential"
        else:
            result.credential_infos = found
    return response
