"""IncrementalAlterConfigs: changes what is named and leaves the rest of the resource alone."""

from __future__ import annotations

from collections import Counter
from enum import IntEnum
from typing import TYPE_CHECKING

from pyproducer.broker.config_resources import ResourceType, current_configs, replace_configs
from pyproducer.broker.configs import ConfigSpec, ConfigType, broker_spec, parse, topic_specs
from pyproducer.broker.context import RequestContext
from pyproducer.broker.errors import Refused
from pyproducer.broker.handlers import access
from pyproducer.broker.handlers.access import ALTER_CLUSTER_CONFIGS, ALTER_TOPIC_CONFIGS
from pyproducer.protocol.error_codes import ErrorCode
from pyproducer.protocol.messages.incremental_alter_configs import (
    AlterableConfig,
    AlterConfigsResource,
    AlterConfigsResourceResponse,
    IncrementalAlterConfigsRequest,
    IncrementalAlterConfigsResponse,
)

if TYPE_CHECKING:
    from pyproducer.broker.node import Node

NEEDS = (ALTER_TOPIC_CONFIGS, ALTER_CLUSTER_CONFIGS)


class Operation(IntEnum):
    """Kafka's numbers for what to do with a configuration."""

    SET = 0
    DELETE = 1
    APPEND = 2
    SUBTRACT = 3


async def handle(
    node: Node, request: IncrementalAlterConfigsRequest, context: RequestContext
) -> IncrementalAlterConfigsResponse:
    """Changes each resource on its own, all its named configurations or none."""
    times = Counter((one.resource_type, one.resource_name) for one in request.resources)
    response = IncrementalAlterConfigsResponse()
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
            configs = _altered(node, resource)
            replace_configs(node, context, kind, name, configs, validate_only=request.validate_only)
        except Refused as refused:
            result.error_code, result.error_message = refused.code, refused.message
        except OSError as error:
            result.error_code = ErrorCode.KAFKA_STORAGE_ERROR
            result.error_message = f"cannot be written: {error}"
    return response


def _altered(node: Node, resource: AlterConfigsResource) -> dict[str, str | None]:
    kind = resource.resource_type
    configs: dict[str, str | None] = dict(current_configs(node, kind, resource.resource_name))
    find = topic_specs().get if kind == ResourceType.TOPIC else broker_spec
    named: set[str] = set()
    for change in resource.configs:
        if change.name in named:
            raise Refused(ErrorCode.INVALID_REQUEST, f"{change.name} is altered twice")
        named.add(change.name)
        if change.value is None and change.config_operation != Operation.DELETE:
            raise Refused(ErrorCode.INVALID_REQUEST, f"{change.name} is given no value")
        if change.config_operation == Operation.SET:
            configs[change.name] = change.value
        elif change.config_operation == Operation.DELETE:
            spec = find(change.name)
            if spec is not None and spec.read_only:
                raise Refused(
                    ErrorCode.INVALID_REQUEST, f"{change.name} cannot change while the broker runs"
                )
            configs.pop(change.name, None)
        elif change.config_operation in {Operation.APPEND, Operation.SUBTRACT}:
            configs[change.name] = _edited_list(node, kind, change, find(change.name), configs)
        else:
            raise Refused(
                ErrorCode.INVALID_REQUEST, f"there is no operation {change.config_operation}"
            )
    return configs


def _edited_list(
    node: Node,
    kind: int,
    change: AlterableConfig,
    spec: ConfigSpec | None,
    configs: dict[str, str | None],
) -> str:
    """The list with elements added or taken out, starting from what is in effect."""
    if spec is None or spec.type is not ConfigType.LIST:
        raise Refused(
            ErrorCode.INVALID_CONFIG,
            f"{change.name} is no list: nothing can be appended to or subtracted from it",
        )
    assert change.value is not None
    present = configs.get(change.name)
    if present is None:
        own = {name: value for name, value in configs.items() if value is not None}
        resolved = (
            node.config.resolve_topic(change.name, own)
            if kind == ResourceType.TOPIC
            else node.config.resolve_broker(change.name)
        )
        present = resolved.value or ""
    items = parse(ConfigType.LIST, present)
    edits = parse(ConfigType.LIST, change.value)
    assert isinstance(items, list)
    assert isinstance(edits, list)
    if change.config_operation == Operation.APPEND:
        items += [edit for edit in dict.fromkeys(edits) if edit not in items]
    else:
        items = [item for item in items if item not in edits]
    return ",".join(items)
