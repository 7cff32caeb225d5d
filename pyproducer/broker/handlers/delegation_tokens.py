"""The four APIs of delegation tokens (KIP-48, KIP-373), which are switched off.

Each is answered as by a Kafka without `delegation.token.secret.key`, so that a client hears why
there are none and does not take the broker for an old one.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from pyproducer.broker.handlers import access
from pyproducer.broker.handlers.access import CREATE_TOKENS
from pyproducer.protocol.error_codes import ErrorCode
from pyproducer.protocol.messages.create_delegation_token import (
    CreateDelegationTokenRequest,
    CreateDelegationTokenResponse,
)
from pyproducer.protocol.messages.describe_delegation_token import (
    DescribeDelegationTokenRequest,
    DescribeDelegationTokenResponse,
)
from pyproducer.protocol.messages.expire_delegation_token import (
    ExpireDelegationTokenRequest,
    ExpireDelegationTokenResponse,
)
from pyproducer.protocol.messages.renew_delegation_token import (
    RenewDelegationTokenRequest,
    RenewDelegationTokenResponse,
)
from pyproducer.protocol.principal import ANONYMOUS, USER, Principal

if TYPE_CHECKING:
    from pyproducer.broker.context import RequestContext
    from pyproducer.broker.node import Node

CREATE_NEEDS = (CREATE_TOKENS,)

#: The time of what there is not.
_NEVER: Final = -1
_REQUESTER_SINCE: Final = 3


async def create(
    node: Node, request: CreateDelegationTokenRequest, context: RequestContext
) -> CreateDelegationTokenResponse:
    """No token; who may not make one for somebody else is told that first."""
    requester = context.connection.principal
    owner = requester
    if request.owner_principal_name:
        owner = Principal(request.owner_principal_type or "", request.owner_principal_name)
    code = _refusal(context)
    if code is not ErrorCode.DELEGATION_TOKEN_REQUEST_NOT_ALLOWED:
        if owner != requester and not access.allowed(node, context, CREATE_TOKENS, str(owner)):
            code = ErrorCode.DELEGATION_TOKEN_AUTHORIZATION_FAILED
        elif any(one.principal_type != USER for one in request.renewers):
            code = ErrorCode.INVALID_PRINCIPAL_TYPE
    response = CreateDelegationTokenResponse(
        error_code=code,
        principal_type=owner.kind,
        principal_name=owner.name,
        issue_timestamp_ms=_NEVER,
        expiry_timestamp_ms=_NEVER,
        max_timestamp_ms=_NEVER,
    )
    if context.api_version >= _REQUESTER_SINCE:
        response.token_requester_principal_type = requester.kind
        response.token_requester_principal_name = requester.name
    return response


async def renew(
    _node: Node, _request: RenewDelegationTokenRequest, context: RequestContext
) -> RenewDelegationTokenResponse:
    """There is no token to be renewed."""
    return RenewDelegationTokenResponse(error_code=_refusal(context), expiry_timestamp_ms=_NEVER)


async def expire(
    _node: Node, _request: ExpireDelegationTokenRequest, context: RequestContext
) -> ExpireDelegationTokenResponse:
    """There is no token that could expire."""
    return ExpireDelegationTokenResponse(error_code=_refusal(context), expiry_timestamp_ms=_NEVER)


async def describe(
    _node: Node, _request: DescribeDelegationTokenRequest, context: RequestContext
) -> DescribeDelegationTokenResponse:
    """There are no tokens."""
    return DescribeDelegationTokenResponse(error_code=_refusal(context))


def _refusal(context: RequestContext) -> ErrorCode:
    # A token stands for whoever has proved who it is.
    if context.connection.principal == ANONYMOUS:
        return ErrorCode.DELEGATION_TOKEN_REQUEST_NOT_ALLOWED
    return ErrorCode.DELEGATION_TOKEN_AUTH_DISABLED
