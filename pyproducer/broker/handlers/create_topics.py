"""CreateTopics: each topic of the request on its own, all good ones in one write to disk."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from pyproducer.broker.context import RequestContext
from pyproducer.broker.errors import Refused
from pyproducer.broker.handlers import access
from pyproducer.broker.handlers.access import CREATE_CLUSTER, CREATE_TOPIC, DESCRIBE_TOPIC_CONFIGS
from pyproducer.broker.topics import INTERNAL_TOPICS, MAX_PARTITIONS, TopicSpec
from pyproducer.protocol.error_codes import ErrorCode
from pyproducer.protocol.messages.create_topics import (
    CreatableTopic,
    CreatableTopicConfigs,
    CreatableTopicResult,
    CreateTopicsRequest,
    CreateTopicsResponse,
)

if TYPE_CHECKING:
    from pyproducer.broker.node import Node

NEEDS = (CREATE_CLUSTER, CREATE_TOPIC, DESCRIBE_TOPIC_CONFIGS)

_DEFAULTS_SINCE = 4
#: First version whose clients know that they may have to wait.
_STRICT_SINCE = 6


async def handle(
    node: Node, request: CreateTopicsRequest, context: RequestContext
) -> CreateTopicsResponse:
    """Creates what can be created; with `validate_only`, says what would have become of it."""
    names = Counter(topic.name for topic in request.topics)
    quota = node.quotas.mutations(context, _STRICT_SINCE) if node.quotas.on else None
    # Two new names of one request may also collide with each other, '.' being '_' in metrics.
    taken: set[str] = set()
    results: dict[str, CreatableTopicResult] = {}
    specs: dict[str, TopicSpec] = {}
    any_topic = access.allowed(node, context, CREATE_CLUSTER, quiet=True)
    for wanted in request.topics:
        try:
            if names[wanted.name] > 1:
                raise Refused(ErrorCode.INVALID_REQUEST, f"topic {wanted.name!r} is named twice")
            if not any_topic:
                access.require(node, context, CREATE_TOPIC, wanted.name)
            node.topics.check_new(wanted.name)
            twin = wanted.name.replace(".", "_")
            if twin in taken:
                raise Refused(
                    ErrorCode.INVALID_TOPIC_EXCEPTION,
                    f"topic {wanted.name!r} collides with another of this request",
                )
            spec = _spec(node, wanted, context.api_version)
            if quota is not None:
                quota.take(spec.partitions)
            specs[wanted.name] = spec
            taken.add(twin)
        except Refused as refused:
            results[wanted.name] = _refusal(wanted.name, refused)
    if specs and not request.validate_only:
        try:
            node.create_topics(specs.values())
        except (OSError, Refused) as error:
            failure = (
                error
                if isinstance(error, Refused)
                else Refused(ErrorCode.KAFKA_STORAGE_ERROR, f"cannot be written: {error}")
            )
            results |= {name: _refusal(name, failure) for name in specs}
            specs = {}
    for name, spec in specs.items():
        seen = access.allowed(node, context, DESCRIBE_TOPIC_CONFIGS, name, quiet=True)
        results[name] = _made(node, spec) if seen else _made_unseen(node, spec)
    return CreateTopicsResponse(topics=[results[name] for name in names])


def _spec(node: Node, wanted: CreatableTopic, version: int) -> TopicSpec:
    if wanted.name in INTERNAL_TOPICS:
        raise Refused(
            ErrorCode.INVALID_TOPIC_EXCEPTION, f"{wanted.name} is made by the broker itself"
        )
    count = wanted.num_partitions
    if wanted.assignments:
        count = _assigned(node, wanted)
    else:
        if count == -1 and version >= _DEFAULTS_SINCE:
            count = node.config.int("num.partitions")
        if not 1 <= count <= MAX_PARTITIONS:
            raise Refused(
                ErrorCode.INVALID_PARTITIONS,
                f"a topic has 1 to {MAX_PARTITIONS} partitions, not {wanted.num_partitions}",
            )
        lowest = -1 if version >= _DEFAULTS_SINCE else 1
        if wanted.replication_factor not in {lowest, 1}:
            raise Refused(
                ErrorCode.INVALID_REPLICATION_FACTOR,
                f"replication factor {wanted.replication_factor}: there is 1 broker",
            )
    configs: dict[str, str | None] = {}
    for config in wanted.configs:
        if config.name in configs:
            raise Refused(ErrorCode.INVALID_CONFIG, f"{config.name} is set twice")
        configs[config.name] = config.value
    node.config.check_topic(configs)
    return TopicSpec(
        wanted.name, count, {name: value for name, value in configs.items() if value is not None}
    )


def _assigned(node: Node, wanted: CreatableTopic) -> int:
    """The partition count that an explicit assignment of replicas makes."""
    if wanted.num_partitions != -1 or wanted.replication_factor != -1:
        raise Refused(
            ErrorCode.INVALID_REQUEST,
            "with an assignment, partition count and replication factor must be -1",
        )
    numbers = sorted(row.partition_index for row in wanted.assignments)
    if numbers != list(range(len(numbers))):
        raise Refused(
            ErrorCode.INVALID_REPLICA_ASSIGNMENT,
            f"assigned partitions must be 0 to {len(numbers) - 1}, each once",
        )
    if len(numbers) > MAX_PARTITIONS:
        raise Refused(
            ErrorCode.INVALID_PARTITIONS, f"a topic has at most {MAX_PARTITIONS} partitions"
        )
    if any(row.broker_ids != [node.node_id] for row in wanted.assignments):
        raise Refused(
            ErrorCode.INVALID_REPLICA_ASSIGNMENT,
            f"every partition's replicas must be [{node.node_id}], the only broker",
        )
    return len(numbers)


def _made_unseen(node: Node, spec: TopicSpec) -> CreatableTopicResult:
    """What is told of a new topic to somebody who may make it and not see how it is configured."""
    topic = node.topics.get(spec.name)
    result = CreatableTopicResult(
        name=spec.name,
        error_message=None,
        topic_config_error_code=ErrorCode.TOPIC_AUTHORIZATION_FAILED,
        configs=None,
    )
    if topic is not None:
        result.topic_id = topic.id
    return result


def _made(node: Node, spec: TopicSpec) -> CreatableTopicResult:
    topic = node.topics.get(spec.name)
    result = CreatableTopicResult(
        name=spec.name,
        error_message=None,
        num_partitions=spec.partitions,
        replication_factor=1,
        configs=[
            CreatableTopicConfigs(
                name=one.spec.name,
                value=one.value,
                config_source=one.source,
                is_sensitive=one.spec.sensitive,
            )
            for one in node.topic_configs(spec.configs)
        ],
    )
    if topic is not None:
        result.topic_id = topic.id
    return result


def _refusal(name: str, refused: Refused) -> CreatableTopicResult:
    return CreatableTopicResult(
        name=name, error_code=refused.code, error_message=refused.message, configs=[]
    )
