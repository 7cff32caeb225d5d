"""DescribeClientQuotas: who has which quotas (KIP-546)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pyproducer.broker.context import RequestContext
from pyproducer.broker.errors import Refused
from pyproducer.broker.handlers import access
from pyproducer.broker.handlers.access import DESCRIBE_CLUSTER_CONFIGS
from pyproducer.broker.quotas.book import Filter
from pyproducer.protocol.messages.describe_client_quotas import (
    DescribeClientQuotasRequest,
    DescribeClientQuotasResponse,
    EntityData,
    EntryData,
    ValueData,
)

if TYPE_CHECKING:
    from pyproducer.broker.node import Node

NEEDS = (DESCRIBE_CLUSTER_CONFIGS,)


async def handle(
    node: Node, request: DescribeClientQuotasRequest, context: RequestContext
) -> DescribeClientQuotasResponse:
    """Tells of all entities that the filter takes; without components that is every one."""
    try:
        access.require(node, context, DESCRIBE_CLUSTER_CONFIGS)
        wanted = Filter(
            ((one.entity_type, one.match_type, one.match) for one in request.components),
            strict=request.strict,
        )
    except Refused as refused:
        return DescribeClientQuotasResponse(
            error_code=refused.code, error_message=refused.message, entries=None
        )
    return DescribeClientQuotasResponse(
        error_message=None,
        entries=[
            EntryData(
                entity=[EntityData(entity_type=kind, entity_name=name) for kind, name in entity],
                values=[ValueData(key=key, value=value) for key, value in sorted(values.items())],
            )
            for entity, values in node.quotas.book.matching(wanted)
        ],
    )
