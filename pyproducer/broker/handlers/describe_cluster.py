"""DescribeCluster: the one broker, who is its own controller."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pyproducer.broker.context import RequestContext
from pyproducer.broker.operations import CLUSTER_OPERATIONS
from pyproducer.protocol.error_codes import ErrorCode
from pyproducer.protocol.messages.describe_cluster import (
    DescribeClusterBroker,
    DescribeClusterRequest,
    DescribeClusterResponse,
)

if TYPE_CHECKING:
    from pyproducer.broker.node import Node

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
    response = DescribeClusterResponse(
        cluster_id=node.cluster_id,
        controller_id=node.node_id,
        brokers=[
            DescribeClusterBroker(
                broker_id=node.node_id,
                host=node.advertised_host,
                port=node.advertised_port,
                rack=node.rack,
            )
        ],
    )
    if request.include_cluster_authorized_operations:
        response.cluster_authorized_operations = CLUSTER_OPERATIONS
    return response
