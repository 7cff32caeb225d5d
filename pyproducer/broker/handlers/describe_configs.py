"""DescribeConfigs: every configuration of a topic or of the broker, and where each comes from."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pyproducer.broker.config_resources import ResourceType, broker_layer, find_topic
from pyproducer.broker.configs import ConfigSource, ConfigSpec, Resolved, Synonym, broker_spec
from pyproducer.broker.context import RequestContext
from pyproducer.broker.errors import Refused
from pyproducer.broker.handlers import access
from pyproducer.broker.handlers.access import DESCRIBE_CLUSTER_CONFIGS, DESCRIBE_TOPIC_CONFIGS
from pyproducer.protocol.messages.describe_configs import (
    DescribeConfigsRequest,
    DescribeConfigsResource,
    DescribeConfigsResourceResult,
    DescribeConfigsResponse,
    DescribeConfigsResult,
    DescribeConfigsSynonym,
)

if TYPE_CHECKING:
    from pyproducer.broker.node import Node

NEEDS = (DESCRIBE_TOPIC_CONFIGS, DESCRIBE_CLUSTER_CONFIGS)

_SYNONYMS_SINCE = 1


async def handle(
    node: Node, request: DescribeConfigsRequest, context: RequestContext
) -> DescribeConfigsResponse:
    """Describes each resource on its own; keys that do not exist are left out."""
    response = DescribeConfigsResponse()
    for resource in request.resources:
        result = DescribeConfigsResult(
            error_message=None,
            resource_type=resource.resource_type,
            resource_name=resource.resource_name,
        )
        response.results.append(result)
        try:
            resolved = _resolve(node, context, resource)
        except Refused as refused:
            result.error_code, result.error_message = refused.code, refused.message
            continue
        wanted = resource.configuration_keys
        result.configs = [
            _row(one, request, context.api_version)
            for one in resolved
            if wanted is None or one.spec.name in wanted
        ]
    return response


def _resolve(
    node: Node, context: RequestContext, resource: DescribeConfigsResource
) -> list[Resolved]:
    if resource.resource_type == ResourceType.TOPIC:
        access.require(node, context, DESCRIBE_TOPIC_CONFIGS, resource.resource_name)
        return node.topic_configs(find_topic(node, resource.resource_name).configs)
    access.require(node, context, DESCRIBE_CLUSTER_CONFIGS)
    layer = broker_layer(node, resource.resource_type, resource.resource_name)
    if resource.resource_name:
        return [node.config.resolve_broker(name) for name in node.config.names()]
    # The cluster-wide defaults are a resource of their own, which has only what was set.
    source = ConfigSource.ALL_BROKERS
    return [
        Resolved(_spec(name), value, source, (Synonym(name, value, source),))
        for name, value in sorted(layer.items())
    ]


def _spec(name: str) -> ConfigSpec:
    found = broker_spec(name)
    assert found is not None, name
    return found


def _row(
    resolved: Resolved, request: DescribeConfigsRequest, version: int
) -> DescribeConfigsResourceResult:
    spec, value, source, synonyms = resolved
    row = DescribeConfigsResourceResult(
        name=spec.name,
        value=None if spec.sensitive else value,
        read_only=spec.read_only,
        config_source=source,
        is_sensitive=spec.sensitive,
        config_type=spec.type,
        documentation=spec.doc if request.include_documentation else None,
    )
    if version < _SYNONYMS_SINCE:
        row.is_default = source is ConfigSource.DEFAULT
    elif request.include_synonyms:
        row.synonyms = [
            DescribeConfigsSynonym(
                name=one.name, value=None if spec.sensitive else one.value, source=one.source
            )
            for one in synonyms
        ]
    return row
