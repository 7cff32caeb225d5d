"""DescribeCluster: the one broker, who is its own controller."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pyproducer.broker.context import RequestContext
from pyproducer.broker.handlers import access
from pyproducer.broker.handlers.access import DESCRIBE_CLUSTER
from pyproducer.protocol.acl_terms import ResourceType
from pyproducer.protocol.error_codes import ErrorCode
from pyproducer.protocol.messages.describe_cluster import (
    DescribeClusterBroker,
    DescribeClusterRequest,
    DescribeClusterResponse,
)

if TYPE_CHECKING:
    from pyproducer.broker.node import Node

NEEDS = (DESCRIBE_CLUSTER,)

_BROKERS = 1


async def handle(
    node: Node, request: DescribeClusterRequest, context: RequestContext
) -> DescribeClusterResponse:
    """Answers questions for brokers; there are no controllers that listen apart from them."""
    if request.endpoint_type != _BROKERS:
        return DescribeClusterResponse(
            error_code=ErrorCode.MISMATCHED_ENDPOINT_TYPE,
            error_message="this listener is a broker's",
            endpoint_type=_BROKERS,
        )
    host, port = node.endpoint(context.connection)
    response = DescribeClusterResponse(
        cluster_id=node.cluster_id,
        controller_id=node.node_id,
        brokers=[
            DescribeClusterBroker(
                broker_id=node.node_id,
                host=host,
                port=port,
                rack=node.rack,
            )
        ],
    )
    if request.include_cluster_authorized_operations:
        response.cluster_authorized_operations = (
            access.operations(node, context, ResourceType.CLUSTER)
            if access.allowed(node, context, DESCRIBE_CLUSTER)
            else 0
        )
    return response
