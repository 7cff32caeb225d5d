"""AlterConfigs: replaces what is set on a resource; what is not named reverts to its default."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from pyproducer.broker.config_resources import ResourceType, replace_configs
from pyproducer.broker.context import RequestContext
from pyproducer.broker.errors import Refused
from pyproducer.broker.handlers import access
from pyproducer.broker.handlers.access import ALTER_CLUSTER_CONFIGS, ALTER_TOPIC_CONFIGS
from pyproducer.protocol.error_codes import ErrorCode
from pyproducer.protocol.messages.alter_configs import (
    AlterConfigsRequest,
    AlterConfigsResourceResponse,
    AlterConfigsResponse,
)

if TYPE_CHECKING:
    from pyproducer.broker.node import Node

NEEDS = (ALTER_TOPIC_CONFIGS, ALTER_CLUSTER_CONFIGS)


async def handle(
    node: Node, request: AlterConfigsRequest, context: RequestContext
) -> AlterConfigsResponse:
    """Changes each resource on its own."""
    times = Counter((one.resource_type, one.resource_name) for one in request.resources)
    response = AlterConfigsResponse()
    for resource in request.resources:
        kind, name = resource.resource_type, resource.resource_name
        result = AlterConfigsResourceResponse(
            error_message=None, resource_type=kind, resource_name=name
        )
        response.responses.append(result)
        try:
            if times[kind, name] > 1:
                raise Refused(ErrorCode.INVALID_REQUEST, "the resource is named twice")
            if kind == ResourceType.TOPIC:
                access.require(node, context, ALTER_TOPIC_CONFIGS, name)
            else:
                access.require(node, context, ALTER_CLUSTER_CONFIGS)
            configs: dict[str, str | None] = {}
            for config in resource.configs:
                if config.name in configs:
                    raise Refused(ErrorCode.INVALID_REQUEST, f"{config.name} is set twice")
                configs[config.name] = config.value
            replace_configs(node, context, kind, name, configs, validate_only=request.validate_only)
        except Refused as refused:
            result.error_code, result.error_message = refused.code, refused.message
        except OSError as error:
            result.error_code = ErrorCode.KAFKA_STORAGE_ERROR
            result.error_message = f"cannot be written: {error}"
    return response
