"""SaslAuthenticate, versions 0 to 2, where nobody has asked for a token.

Tokens of a listener with SASL go to its session (see `security.session`); what comes here came
behind them, or at a listener where nobody says who they are.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pyproducer.broker.context import RequestContext
from pyproducer.protocol.error_codes import ErrorCode
from pyproducer.protocol.messages.sasl_authenticate import (
    SaslAuthenticateRequest,
    SaslAuthenticateResponse,
)

if TYPE_CHECKING:
    from pyproducer.broker.node import Node

NEEDS = ()


async def handle(
    node: Node, request: SaslAuthenticateRequest, context: RequestContext
) -> SaslAuthenticateResponse:
    """Refuses with ILLEGAL_SASL_STATE, as Kafka does."""
    return SaslAuthenticateResponse(
        error_code=ErrorCode.ILLEGAL_SASL_STATE,
        error_message="SaslAuthenticate has to follow a SaslHandshake, at a listener with SASL",
    )
