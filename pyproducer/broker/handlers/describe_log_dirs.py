"""DescribeLogDirs: how many bytes each partition has on disk."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

from pyproducer.broker.context import RequestContext
from pyproducer.broker.handlers import access
from pyproducer.broker.handlers.access import DESCRIBE_CLUSTER
from pyproducer.protocol.messages.describe_log_dirs import (
    DescribeLogDirsPartition,
    DescribeLogDirsRequest,
    DescribeLogDirsResponse,
    DescribeLogDirsResult,
    DescribeLogDirsTopic,
)

if TYPE_CHECKING:
    from pyproducer.broker.node import Node

NEEDS = (DESCRIBE_CLUSTER,)

_SPACE_SINCE = 4


async def handle(
    node: Node, request: DescribeLogDirsRequest, context: RequestContext
) -> DescribeLogDirsResponse:
    """Describes the one data directory, with the topics named or all of them."""
    if refusal := access.refusal(node, context, DESCRIBE_CLUSTER):
        return DescribeLogDirsResponse(error_code=refusal)
    wanted = (
        {topic.name: range(topic.partitions) for topic in node.topics}
        if request.topics is None
        else {one.topic: one.partitions for one in request.topics}
    )
    result = DescribeLogDirsResult(log_dir=node.data_dir)
    for name, indexes in wanted.items():
        found = [p for i in indexes if (p := node.partition(name, i)) is not None]
        if found:
            result.topics.append(
                DescribeLogDirsTopic(
                    name=name,
                    partitions=[
                        DescribeLogDirsPartition(
                            partition_index=partition.index, partition_size=partition.log.size
                        )
                        for partition in found
                    ],
                )
            )
    if context.api_version >= _SPACE_SINCE:
        usage = shutil.disk_usage(node.data_dir)
        result.total_bytes, result.usable_bytes = usage.total, usage.free
    return DescribeLogDirsResponse(results=[result])
