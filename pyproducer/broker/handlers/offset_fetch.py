"""OffsetFetch, versions 0 to 9: what groups have committed.

From version 2 on no topics means all of them, 5 has the leader epoch, 7 may insist on stable
offsets (KIP-447), 8 asks for several groups, 9 names the member, which only matters to the newer
group protocol.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, NamedTuple

from pyproducer.broker.handlers import access
from pyproducer.broker.handlers.access import DESCRIBE_GROUP, DESCRIBE_TOPIC
from pyproducer.model import TopicPartition
from pyproducer.protocol.error_codes import ErrorCode
from pyproducer.protocol.messages.offset_fetch import (
    OffsetFetchRequest,
    OffsetFetchResponse,
    OffsetFetchResponseGroup,
    OffsetFetchResponsePartition,
    OffsetFetchResponsePartitions,
    OffsetFetchResponseTopic,
    OffsetFetchResponseTopics,
)

if TYPE_CHECKING:
    from pyproducer.broker.context import RequestContext
    from pyproducer.broker.node import Node

NEEDS = (DESCRIBE_GROUP, DESCRIBE_TOPIC)


class _Answer(NamedTuple):
    offset: int = -1
    leader_epoch: int = -1
    metadata: str = ""
    error: ErrorCode = ErrorCode.NONE


#: First version that has a place for what is wrong with the whole group.
_GROUP_ERROR_SINCE = 2

# A partition that the group never committed: no error, but no offset either.
_NOTHING = _Answer()
_UNSTABLE = _Answer(error=ErrorCode.UNSTABLE_OFFSET_COMMIT)
_DENIED = _Answer(error=ErrorCode.TOPIC_AUTHORIZATION_FAILED)

_Wanted = Iterable[tuple[str, Sequence[int]]]


async def handle(
    node: Node, request: OffsetFetchRequest, context: RequestContext
) -> OffsetFetchResponse:
    """The answer, at once."""
    stable = request.require_stable
    if context.api_version >= 8:
        return OffsetFetchResponse(
            groups=[
                _group(
                    _Committed(node, context, group.group_id, stable=stable),
                    None
                    if group.topics is None
                    else [(topic.name, topic.partition_indexes) for topic in group.topics],
                )
                for group in request.groups
            ]
        )
    committed = _Committed(node, context, request.group_id, stable=stable)
    wanted: _Wanted
    if committed.error and context.api_version >= _GROUP_ERROR_SINCE:
        wanted = ()
    elif request.topics is None:
        wanted = committed.every()
    else:
        wanted = [(topic.name, topic.partition_indexes) for topic in request.topics]
    return OffsetFetchResponse(
        error_code=committed.error,
        topics=[
            OffsetFetchResponseTopic(
                name=name,
                partitions=[
                    OffsetFetchResponsePartition(
                        partition_index=index,
                        committed_offset=found.offset,
                        committed_leader_epoch=found.leader_epoch,
                        metadata=found.metadata,
                        error_code=committed.error or found.error,
                    )
                    for index, found in committed.look_up(name, indexes)
                ],
            )
            for name, indexes in wanted
        ],
    )


class _Committed:
    """What a group has committed, as far as the sender of a request may know.

    Args:
        node: The broker.
        context: The request.
        group_id: The group.
        stable: Of what a transaction may still change there is an error instead.

    Attributes:
        group_id: The group.
        error: Why nothing can be said of it, or 0.
    """

    def __init__(self, node: Node, context: RequestContext, group_id: str, *, stable: bool) -> None:
        self._node = node
        self._context = context
        self.group_id = group_id
        self.error: int = (
            access.refusal(node, context, DESCRIBE_GROUP, group_id)
            or node.groups.refusal(group_id)
            or ErrorCode.NONE
        )
        self._answers: dict[TopicPartition, _Answer] = {}
        if self.error:
            return
        for place, committed in node.groups.offsets(group_id).items():
            self._answers[place] = _Answer(
                committed.offset, committed.leader_epoch, committed.metadata
            )
        if stable:
            self._answers |= dict.fromkeys(node.groups.undecided(group_id), _UNSTABLE)

    def every(self) -> _Wanted:
        """All partitions that have something, but those of topics that may not be seen."""
        topics: dict[str, list[int]] = {}
        for place in sorted(self._answers):
            if self._visible(place.topic, quiet=True):
                topics.setdefault(place.topic, []).append(place.partition)
        return topics.items()

    def look_up(self, topic: str, indexes: Sequence[int]) -> Iterable[tuple[int, _Answer]]:
        """What there is of each of the partitions."""
        visible = self._visible(topic)
        for index in indexes:
            found = self._answers.get(TopicPartition(topic, index), _NOTHING)
            yield index, found if visible else _DENIED

    def _visible(self, topic: str, *, quiet: bool = False) -> bool:
        return access.allowed(self._node, self._context, DESCRIBE_TOPIC, topic, quiet=quiet)


def _group(committed: _Committed, wanted: _Wanted | None) -> OffsetFetchResponseGroup:
    return OffsetFetchResponseGroup(
        group_id=committed.group_id,
        error_code=committed.error,
        topics=[
            OffsetFetchResponseTopics(
                name=name,
                partitions=[
                    OffsetFetchResponsePartitions(
                        partition_index=index,
                        committed_offset=found.offset,
                        committed_leader_epoch=found.leader_epoch,
                        metadata=found.metadata,
                        error_code=found.error,
                    )
                    for index, found in committed.look_up(name, indexes)
                ],
            )
            for name, indexes in (committed.every() if wanted is None else wanted)
            if not committed.error
        ],
    )
