"""OffsetFetch, versions 0 to 9: what groups have committed.

From version 2 on no topics means all of them, 5 has the leader epoch, 7 may insist on stable
offsets (KIP-447), 8 asks for several groups, 9 names the member, which only matters to the newer
group protocol.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple

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


class _Answer(NamedTuple):
    offset: int = -1
    leader_epoch: int = -1
    metadata: str = ""
    error: ErrorCode = ErrorCode.NONE


# A partition that the group never committed: no error, but no offset either.
_NOTHING = _Answer()
_UNSTABLE = _Answer(error=ErrorCode.UNSTABLE_OFFSET_COMMIT)

_Offsets = Mapping[TopicPartition, _Answer]

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
                        _offsets(node, group.group_id, stable=request.require_stable),
                        None
                        if group.topics is None
                        else [(topic.name, topic.partition_indexes) for topic in group.topics],
                    ),
                )
                for group in request.groups
            ]
        )
    committed = _offsets(node, request.group_id, stable=request.require_stable)
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
                        error_code=error or found.error,
                    )
                    for index, found in _look_up(committed, name, indexes)
                ],
            )
            for name, indexes in wanted
        ],
    )


def _offsets(node: Node, group_id: str, *, stable: bool) -> dict[TopicPartition, _Answer]:
    """What the group has committed; of what a transaction may still change, with `stable`, 88."""
    answers = {
        place: _Answer(committed.offset, committed.leader_epoch, committed.metadata)
        for place, committed in node.groups.offsets(group_id).items()
    }
    if stable:
        answers.update(dict.fromkeys(node.groups.undecided(group_id), _UNSTABLE))
    return answers


def _of_group(committed: _Offsets, wanted: _Wanted | None) -> list[OffsetFetchResponseTopics]:
    return [
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
                for index, found in _look_up(committed, name, indexes)
            ],
        )
        for name, indexes in (_all_of(committed) if wanted is None else wanted)
    ]


def _all_of(committed: _Offsets) -> _Wanted:
    topics: dict[str, list[int]] = {}
    for place in sorted(committed):
        topics.setdefault(place.topic, []).append(place.partition)
    return topics.items()


def _look_up(
    committed: _Offsets, name: str, indexes: Sequence[int]
) -> Iterable[tuple[int, _Answer]]:
    for index in indexes:
        yield index, committed.get(TopicPartition(name, index), _NOTHING)
