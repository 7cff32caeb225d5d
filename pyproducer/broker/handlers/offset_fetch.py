"""OffsetFetch, versions 0 to 9: what groups have committed.

From version 2 on no topics means all of them, 5 has the leader epoch, 7 may insist on stable
offsets (without transactions all are), 8 asks for several groups, 9 names the member, which only
matters to the newer group protocol.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

from pyproducer.broker.groups.model import CommittedOffset
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

# A partition that the group never committed: no error, but no offset either.
_NOTHING = CommittedOffset(offset=-1)

_Wanted = Iterable[tuple[str, Sequence[int]]]


async def handle(
    node: Node, request: OffsetFetchRequest, context: RequestContext
) -> OffsetFetchResponse:
    """The answer, at once."""
    if context.api_version >= 8:
        return OffsetFetchResponse(
            groups=[
                OffsetFetchResponseGroup(
                    group_id=group.group_id,
                    error_code=node.groups.refusal(group.group_id) or ErrorCode.NONE,
                    topics=_of_group(
                        node.groups.offsets(group.group_id),
                        None
                        if group.topics is None
                        else [(topic.name, topic.partition_indexes) for topic in group.topics],
                    ),
                )
                for group in request.groups
            ]
        )
    committed = node.groups.offsets(request.group_id)
    # Versions 0 and 1 have a place for it at each partition only.
    error = node.groups.refusal(request.group_id) or ErrorCode.NONE
    wanted: _Wanted
    if request.topics is None:
        wanted = _all_of(committed)
    else:
        wanted = [(topic.name, topic.partition_indexes) for topic in request.topics]
    return OffsetFetchResponse(
        error_code=error,
        topics=[
            OffsetFetchResponseTopic(
                name=name,
                partitions=[
                    OffsetFetchResponsePartition(
                        partition_index=index,
                        committed_offset=found.offset,
                        committed_leader_epoch=found.leader_epoch,
                        metadata=found.metadata,
                        error_code=error,
                    )
                    for index, found in _look_up(committed, name, indexes)
                ],
            )
            for name, indexes in wanted
        ],
    )


def _of_group(
    committed: Mapping[TopicPartition, CommittedOffset], wanted: _Wanted | None
) -> list[OffsetFetchResponseTopics]:
    return [
        OffsetFetchResponseTopics(
            name=name,
            partitions=[
                OffsetFetchResponsePartitions(
                    partition_index=index,
                    committed_offset=found.offset,
                    committed_leader_epoch=found.leader_epoch,
                    metadata=found.metadata,
                )
                for index, found in _look_up(committed, name, indexes)
            ],
        )
        for name, indexes in (_all_of(committed) if wanted is None else wanted)
    ]


def _all_of(committed: Mapping[TopicPartition, CommittedOffset]) -> _Wanted:
    topics: dict[str, list[int]] = {}
    for place in sorted(committed):
        topics.setdefault(place.topic, []).append(place.partition)
    return topics.items()


def _look_up(
    committed: Mapping[TopicPartition, CommittedOffset], name: str, indexes: Sequence[int]
) -> Iterable[tuple[int, CommittedOffset]]:
    for index in indexes:
        yield index, committed.get(TopicPartition(name, index), _NOTHING)
