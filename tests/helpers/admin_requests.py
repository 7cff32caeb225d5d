"""Requests of an admin client, said in one line."""

from __future__ import annotations

from typing import Any

from pyproducer.protocol.messages import alter_configs, incremental_alter_configs
from pyproducer.protocol.messages.create_partitions import (
    CreatePartitionsAssignment,
    CreatePartitionsRequest,
    CreatePartitionsTopic,
)
from pyproducer.protocol.messages.create_topics import (
    CreatableReplicaAssignment,
    CreatableTopic,
    CreatableTopicConfig,
    CreatableTopicResult,
    CreateTopicsRequest,
)
from pyproducer.protocol.messages.describe_configs import (
    DescribeConfigsRequest,
    DescribeConfigsResource,
    DescribeConfigsResourceResult,
)
from pyproducer.protocol.messages.metadata import (
    MetadataRequest,
    MetadataRequestTopic,
    MetadataResponseTopic,
)
from tests.helpers.wire_client import WireClient

#: Kinds of resources that have configurations.
TOPIC, BROKER = 2, 4
#: What IncrementalAlterConfigs does with one.
SET, DELETE, APPEND, SUBTRACT = range(4)


def create_topic(
    client: WireClient,
    name: str = "new",
    *,
    partitions: int = 1,
    factor: int = 1,
    configs: dict[str, str | None] | None = None,
    assignments: dict[int, list[int]] | None = None,
    version: int = 5,
    **fields: Any,
) -> CreatableTopicResult:
    """Create a topic and return what is answered for it."""
    topic = CreatableTopic(
        name=name,
        num_partitions=partitions,
        replication_factor=factor,
        configs=[CreatableTopicConfig(name=k, value=v) for k, v in (configs or {}).items()],
        assignments=[
            CreatableReplicaAssignment(partition_index=k, broker_ids=v)
            for k, v in (assignments or {}).items()
        ],
    )
    answer = client.ask(CreateTopicsRequest(topics=[topic], **fields), version)
    result: CreatableTopicResult = answer.topics[0]
    return result


def describe_topic(
    client: WireClient, name: str, version: int = 12, **fields: Any
) -> MetadataResponseTopic:
    """What Metadata says of a topic."""
    request = MetadataRequest(topics=[MetadataRequestTopic(name=name)], **fields)
    found: MetadataResponseTopic = client.ask(request, version).topics[0]
    return found


def create_partitions(client: WireClient, name: str, count: int, **fields: Any) -> tuple[str, int]:
    """Have a topic of so many partitions, and return its name and the error code."""
    assignments = fields.pop("assignments", None)
    topic = CreatePartitionsTopic(
        name=name,
        count=count,
        assignments=assignments
        and [CreatePartitionsAssignment(broker_ids=ids) for ids in assignments],
    )
    answer = client.ask(CreatePartitionsRequest(topics=[topic], timeout_ms=20_000, **fields), 1)
    return answer.results[0].name, answer.results[0].error_code


def describe_configs(
    client: WireClient, kind: int, name: str, keys: list[str] | None = None, version: int = 4
) -> dict[str, DescribeConfigsResourceResult]:
    """The configurations of a resource by name."""
    resource = DescribeConfigsResource(
        resource_type=kind, resource_name=name, configuration_keys=keys
    )
    request = DescribeConfigsRequest(resources=[resource])
    if version >= 1:
        request.include_synonyms = True
    if version >= 3:
        request.include_documentation = True
    result = client.ask(request, version).results[0]
    assert result.error_code == 0, result.error_message
    return {row.name: row for row in result.configs}


def describe_configs_error(client: WireClient, kind: int, name: str) -> int:
    """The code with which the resource is not described."""
    resource = DescribeConfigsResource(
        resource_type=kind, resource_name=name, configuration_keys=None
    )
    answer = client.ask(DescribeConfigsRequest(resources=[resource]), 1)
    return int(answer.results[0].error_code)


def alter_configs_by(
    client: WireClient,
    kind: int,
    name: str,
    *changes: tuple[str, int, str | None],
    validate_only: bool = False,
) -> Any:
    """Make changes (name, operation, value) and return the answer."""
    resource = incremental_alter_configs.AlterConfigsResource(
        resource_type=kind,
        resource_name=name,
        configs=[
            incremental_alter_configs.AlterableConfig(name=key, config_operation=what, value=value)
            for key, what, value in changes
        ],
    )
    request = incremental_alter_configs.IncrementalAlterConfigsRequest(
        resources=[resource], validate_only=validate_only
    )
    return client.ask(request, 1).responses[0]


def replace_configs(client: WireClient, kind: int, name: str, **configs: str) -> Any:
    """Make these the only configurations, and return the answer."""
    resource = alter_configs.AlterConfigsResource(
        resource_type=kind,
        resource_name=name,
        configs=[
            alter_configs.AlterableConfig(name=key.replace("_", "."), value=value)
            for key, value in configs.items()
        ],
    )
    return client.ask(alter_configs.AlterConfigsRequest(resources=[resource]), 1).responses[0]
