"""DeleteTopics: by name, or from version 6 on by id."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pyproducer.broker.context import RequestContext
from pyproducer.broker.errors import Refused
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

_STATES_SINCE = 6
_DISABLED_SINCE = 3


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
    response = DeleteTopicsResponse()
    found: dict[str, tuple[Topic, DeletableTopicResult]] = {}
    for state in wanted:
        result = DeletableTopicResult(name=state.name, topic_id=state.topic_id)
        response.responses.append(result)
        try:
            topic = _find(node, state, version)
            if topic.name in found:
                raise Refused(ErrorCode.INVALID_REQUEST, f"topic {topic.name!r} is named twice")
            result.name, result.topic_id = topic.name, topic.id
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


def _find(node: Node, state: DeleteTopicState, version: int) -> Topic:
    if not node.config.flag("delete.topic.enable"):
        raise Refused(
            ErrorCode.TOPIC_DELETION_DISABLED
            if version >= _DISABLED_SINCE
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
    else:
        topic = node.topics.get(state.name)
        if topic is None:
            raise Refused(ErrorCode.UNKNOWN_TOPIC_OR_PARTITION, f"there is no topic {state.name!r}")
    if topic.internal:
        raise Refused(
            ErrorCode.INVALID_TOPIC_EXCEPTION, f"{topic.name} belongs to the broker itself"
        )
    return topic
