"""SaslHandshake, versions 0 and 1, at a listener without SASL.

One with SASL has a session for it (see `security.session`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pyproducer.broker.context import RequestContext
from pyproducer.protocol.error_codes import ErrorCode
from pyproducer.protocol.messages.sasl_handshake import SaslHandshakeRequest, SaslHandshakeResponse

if TYPE_CHECKING:
    from pyproducer.broker.node import Node

NEEDS = ()


async def handle(
    node: Node, request: SaslHandshakeRequest, context: RequestContext
) -> SaslHandshakeResponse:
    """Refuses with ILLEGAL_SASL_STATE, as Kafka does."""
    return SaslHandshakeResponse(error_code=ErrorCode.ILLEGAL_SASL_STATE)
