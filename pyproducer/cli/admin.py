"""Makes, shows, changes and removes topics, on any cluster."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, TypeVar

from pyproducer.cli.cluster import CONTROLLER, Cluster
from pyproducer.cli.refusals import check
from pyproducer.errors import ConnectionFailed
from pyproducer.protocol.error_codes import ErrorCode
from pyproducer.protocol.messages.create_partitions import (
    CreatePartitionsRequest,
    CreatePartitionsResponse,
    CreatePartitionsTopic,
)
from pyproducer.protocol.messages.create_topics import (
    CreatableTopic,
    CreatableTopicConfig,
    CreateTopicsRequest,
    CreateTopicsResponse,
)
from pyproducer.protocol.messages.delete_topics import (
    DeleteTopicsRequest,
    DeleteTopicsResponse,
    DeleteTopicState,
)
from pyproducer.protocol.messages.describe_configs import (
    DescribeConfigsRequest,
    DescribeConfigsResource,
    DescribeConfigsResponse,
)
from pyproducer.protocol.messages.incremental_alter_configs import (
    AlterableConfig,
    AlterConfigsResource,
    IncrementalAlterConfigsRequest,
    IncrementalAlterConfigsResponse,
)
from pyproducer.protocol.messages.metadata import MetadataResponseTopic

__all__ = ["Admin", "TopicConfig"]

_TOPIC_RESOURCE: Final = 2
_TOPIC_SOURCE: Final = 1
_SET, _DELETE = 0, 1
#: Seconds that a broker may take for a change, and that we try to find the controller.
_CHANGE_TIMEOUT: Final = 30.0
_CONTROLLER_TIMEOUT: Final = 10.0
_PAUSE: Final = 0.2
#: From this version on a broker knows its own default for what is -1.
_DEFAULTS_SINCE: Final = 4

_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class TopicConfig:
    """One configuration of a topic.

    Attributes:
        name: Kafka's name of it.
        value: None where the broker does not tell it.
        own: whether it was set on the topic itself.
    """

    name: str
    value: str | None
    own: bool


class _NotController(Exception):
    """Another broker has become the controller."""


class Admin:
    """Topics of a cluster.

    Args:
        cluster: an open one.
    """

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster

    async def topics(self, *, internal: bool = False) -> list[MetadataResponseTopic]:
        """All topics by name; the cluster's own only if ``internal``."""
        topics = (await self._cluster.metadata(None)).topics
        return sorted(
            (one for one in topics if internal or not one.is_internal),
            key=lambda one: one.name or "",
        )

    async def create(
        self,
        name: str,
        *,
        partitions: int | None,
        replication_factor: int | None,
        configs: Mapping[str, str],
    ) -> int:
        """Makes a topic; None leaves a count to the cluster. Returns the number of partitions.

        Raises:
            CliError: the cluster refused it.
        """
        versions = await self._cluster.versions(CreateTopicsRequest.api_key)
        unset = -1 if versions is not None and versions[1] >= _DEFAULTS_SINCE else 1
        request = CreateTopicsRequest(
            topics=[
                CreatableTopic(
                    name=name,
                    num_partitions=unset if partitions is None else partitions,
                    replication_factor=(
                        unset if replication_factor is None else replication_factor
                    ),
                    configs=[CreatableTopicConfig(name=k, value=v) for k, v in configs.items()],
                )
            ],
            timeout_ms=int(_CHANGE_TIMEOUT * 1000),
        )

        async def once() -> int:
            response = await self._cluster.ask(
                request, CreateTopicsResponse, node=CONTROLLER, wait=_CHANGE_TIMEOUT
            )
            [result] = response.topics
            _check(f"topic {name!r} was not created", result.error_code, result.error_message)
            return result.num_partitions

        made = await self._by_controller(once)
        return made if made > 0 else len((await self._cluster.topic(name)).partitions)

    async def grow(self, name: str, partitions: int) -> None:
        """Gives a topic more partitions.

        Raises:
            CliError: the cluster refused it.
        """
        request = CreatePartitionsRequest(
            topics=[CreatePartitionsTopic(name=name, count=partitions, assignments=None)],
            timeout_ms=int(_CHANGE_TIMEOUT * 1000),
        )

        async def once() -> None:
            response = await self._cluster.ask(
                request, CreatePartitionsResponse, node=CONTROLLER, wait=_CHANGE_TIMEOUT
            )
            [result] = response.results
            _check(f"topic {name!r} keeps its partitions", result.error_code, result.error_message)

        await self._by_controller(once)

    async def delete(self, name: str) -> None:
        """Removes a topic and its records.

        Raises:
            CliError: the cluster refused it.
        """
        # Both forms of naming: each version has one of them.
        request = DeleteTopicsRequest(
            topics=[DeleteTopicState(name=name)],
            topic_names=[name],
            timeout_ms=int(_CHANGE_TIMEOUT * 1000),
        )
        versions = await self._cluster.versions(DeleteTopicsRequest.api_key)
        if versions is not None and versions[1] < 6:
            request.topics = []

        async def once() -> None:
            response = await self._cluster.ask(
                request, DeleteTopicsResponse, node=CONTROLLER, wait=_CHANGE_TIMEOUT
            )
            [result] = response.responses
            _check(f"topic {name!r} was not deleted", result.error_code, result.error_message)

        await self._by_controller(once)

    async def configure(
        self, name: str, *, configs: Mapping[str, str], deleted: Sequence[str]
    ) -> None:
        """Sets configurations of a topic, and takes others back to the cluster's default.

        Raises:
            CliError: the cluster refused it; nothing was changed.
        """
        changes = [
            AlterableConfig(name=k, config_operation=_SET, value=v) for k, v in configs.items()
        ] + [AlterableConfig(name=k, config_operation=_DELETE, value=None) for k in deleted]
        request = IncrementalAlterConfigsRequest(
            resources=[
                AlterConfigsResource(
                    resource_type=_TOPIC_RESOURCE, resource_name=name, configs=changes
                )
            ]
        )

        async def once() -> None:
            response = await self._cluster.ask(
                request, IncrementalAlterConfigsResponse, node=CONTROLLER
            )
            [result] = response.responses
            _check(f"topic {name!r} was not altered", result.error_code, result.error_message)

        await self._by_controller(once)

    async def configs(self, name: str) -> list[TopicConfig]:
        """All configurations of a topic by name.

        Raises:
            CliError: the cluster refused it.
        """
        response = await self._cluster.ask(
            DescribeConfigsRequest(
                resources=[
                    DescribeConfigsResource(
                        resource_type=_TOPIC_RESOURCE, resource_name=name, configuration_keys=None
                    )
                ]
            ),
            DescribeConfigsResponse,
        )
        [result] = response.results
        _check(f"topic {name!r} cannot be described", result.error_code, result.error_message)
        rows = [
            TopicConfig(one.name, one.value, one.config_source == _TOPIC_SOURCE)
            for one in result.configs
        ]
        return sorted(rows, key=lambda row: row.name)

    async def _by_controller(self, once: Callable[[], Awaitable[_T]]) -> _T:
        """Runs what only the controller does; finds it again if it has moved."""
        deadline = asyncio.get_running_loop().time() + _CONTROLLER_TIMEOUT
        while True:
            try:
                return await once()
            except _NotController:
                if asyncio.get_running_loop().time() > deadline:
                    raise ConnectionFailed("no broker acts as the cluster's controller") from None
                await asyncio.sleep(_PAUSE)


def _check(what: str, code: int, message: str | None) -> None:
    if code == ErrorCode.NOT_CONTROLLER:
        raise _NotController
    check(what, code, message)
