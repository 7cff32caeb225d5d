"""DeleteTopics: by name, or from version 6 on by id."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pyproducer.broker.context import RequestContext
from pyproducer.broker.errors import Refused
from pyproducer.broker.handlers import access
from pyproducer.broker.handlers.access import DELETE_CLUSTER, DELETE_TOPIC, DESCRIBE_TOPIC
from pyproducer.broker.topics import Topic
from pyproducer.protocol.error_codes import ErrorCode
from pyproducer.protocol.messages.delete_topics import (
    DeletableTopicResult,
    DeleteTopicsRequest,
    DeleteTopicsResponse,
    DeleteTopicState,
)

if TYPE_CHECKING:
    from pyproducer.broker.node import Node

NEEDS = (DELETE_CLUSTER, DESCRIBE_TOPIC, DELETE_TOPIC)

_STATES_SINCE = 6
_DISABLED_SINCE = 3
#: First version whose clients know that they may have to wait.
_STRICT_SINCE = 5


async def handle(
    node: Node, request: DeleteTopicsRequest, context: RequestContext
) -> DeleteTopicsResponse:
    """Deletes what can be deleted. A deleted name is free at once."""
    version = context.api_version
    wanted = (
        request.topics
        if version >= _STATES_SINCE
        else [DeleteTopicState(name=name) for name in request.topic_names]
    )
    quota = node.quotas.mutations(context, _STRICT_SINCE) if node.quotas.on else None
    response = DeleteTopicsResponse()
    found: dict[str, tuple[Topic, DeletableTopicResult]] = {}
    for state in wanted:
        result = DeletableTopicResult(name=state.name, topic_id=state.topic_id)
        response.responses.append(result)
        try:
            topic = _find(node, context, state, result)
            if topic.name in found:
                raise Refused(ErrorCode.INVALID_REQUEST, f"topic {topic.name!r} is named twice")
            result.name, result.topic_id = topic.name, topic.id
            if quota is not None:
                quota.take(topic.partitions)
            found[topic.name] = (topic, result)
        except Refused as refused:
            result.error_code, result.error_message = refused.code, refused.message
    if found:
        try:
            node.delete_topics(list(found))
        except OSError as error:
            for _, result in found.values():
                result.error_code = ErrorCode.KAFKA_STORAGE_ERROR
                result.error_message = f"cannot be written: {error}"
    return response


def _find(
    node: Node, context: RequestContext, state: DeleteTopicState, result: DeletableTopicResult
) -> Topic:
    """The topic that is to be deleted; its name is in the result if the sender may know it.

    Raises:
        Refused: There is none, or it cannot be deleted, or the sender may not do it.
    """
    if not node.config.flag("delete.topic.enable"):
        raise Refused(
            ErrorCode.TOPIC_DELETION_DISABLED
            if context.api_version >= _DISABLED_SINCE
            else ErrorCode.INVALID_REQUEST,
            "delete.topic.enable is false",
        )
    by_id = state.topic_id.int != 0
    if by_id == (state.name is not None):
        raise Refused(ErrorCode.INVALID_REQUEST, "a topic is named either by name or by id")
    if state.name is None:
        topic = node.topics.by_id(state.topic_id)
        if topic is None:
            raise Refused(ErrorCode.UNKNOWN_TOPIC_ID, f"no topic has id {state.topic_id}")
        if access.allowed(node, context, DESCRIBE_TOPIC, topic.name, quiet=True):
            result.name = topic.name
        _require(node, context, topic.name, by_id=True)
    else:
        _require(node, context, state.name, by_id=False)
        topic = node.topics.get(state.name)
        if topic is None:
            raise Refused(ErrorCode.UNKNOWN_TOPIC_OR_PARTITION, f"there is no topic {state.name!r}")
    if topic.internal:
        raise Refused(
            ErrorCode.INVALID_TOPIC_EXCEPTION, f"{topic.name} belongs to the broker itself"
        )
    return topic


def _require(node: Node, context: RequestContext, name: str, *, by_id: bool) -> None:
    """Returns if the sender may delete the topic; whether it exists is for who may see it."""
    if access.allowed(node, context, DELETE_CLUSTER, quiet=True):
        return
    seen = by_id or access.allowed(node, context, DESCRIBE_TOPIC, name)
    if seen and node.topics.get(name) is None:
        return
    if not (seen and access.allowed(node, context, DELETE_TOPIC, name)):
        raise Refused(
            ErrorCode.TOPIC_AUTHORIZATION_FAILED,
            None if by_id else access.refused(context, DELETE_TOPIC, name).message,
        )
