"""One partition as a reader wants it, and what it was last told of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias
from uuid import UUID

from pyproducer.protocol.error_codes import ErrorCode

if TYPE_CHECKING:
    from pyproducer.broker.topics import TopicRegistry
    from pyproducer.protocol.messages.fetch import FetchPartition, FetchRequest, PartitionData

#: First version of Fetch that knows topics by their ids, and only by them.
TOPIC_IDS_SINCE = 13

#: Topic and number of a partition; the topic by its id where the request has ids.
Key: TypeAlias = tuple[str | UUID, int]


@dataclass(slots=True)
class WantedPartition:
    """A partition that is read.

    Attributes:
        topic: Its topic's name; None for an id that no topic has.
        topic_id: Its topic's id; all zeros where the reader goes by names.
        index: Its number.
        fetch_offset: From where on it is read.
        max_bytes: How much of it at a time.
        leader_epoch: What the reader takes for the leader's epoch; -1 for no opinion.
        last_fetched_epoch: Epoch of the last batch that the reader has; -1 if it does not say.
        high_watermark: The high watermark that the reader knows; -1 for none.
        log_start_offset: Likewise for the start of the log.
    """

    topic: str | None
    topic_id: UUID
    index: int
    fetch_offset: int = -1
    max_bytes: int = -1
    leader_epoch: int = -1
    last_fetched_epoch: int = -1
    high_watermark: int = -1
    log_start_offset: int = -1

    def ask(self, part: FetchPartition) -> None:
        """It is wanted as the request says now."""
        self.fetch_offset = part.fetch_offset
        self.max_bytes = part.partition_max_bytes
        self.leader_epoch = part.current_leader_epoch
        self.last_fetched_epoch = part.last_fetched_epoch

    def tell(self, data: PartitionData, size: int) -> bool:
        """The reader is about to know this; says whether it is news.

        Args:
            data: What there is to say.
            size: Bytes of the records in it.
        """
        news = (
            size > 0
            or data.error_code != ErrorCode.NONE
            or data.high_watermark != self.high_watermark
            or data.log_start_offset != self.log_start_offset
            or data.diverging_epoch is not None
        )
        # Of an error the reader keeps nothing: when it is over, all of this is news again.
        self.high_watermark = -1 if data.error_code else data.high_watermark
        self.log_start_offset = data.log_start_offset
        return news


def asked(request: FetchRequest, version: int, topics: TopicRegistry) -> dict[Key, WantedPartition]:
    """The partitions that the request names, in its order; of one named twice, the last."""
    found: dict[Key, WantedPartition] = {}
    by_id = version >= TOPIC_IDS_SINCE
    for topic in request.topics:
        name: str | None = topic.topic
        if by_id:
            known = topics.by_id(topic.topic_id)
            name = known.name if known is not None else None
        for part in topic.partitions:
            wanted = WantedPartition(name, topic.topic_id, part.partition)
            wanted.ask(part)
            found[topic.topic_id if by_id else topic.topic, part.partition] = wanted
    return found


def forgotten(request: FetchRequest, version: int) -> list[Key]:
    """The partitions that the request wants no more of."""
    by_id = version >= TOPIC_IDS_SINCE
    return [
        (topic.topic_id if by_id else topic.topic, index)
        for topic in request.forgotten_topics_data
        for index in topic.partitions
    ]
