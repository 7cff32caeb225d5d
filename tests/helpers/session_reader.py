"""A reader with a fetch session, which it numbers as it should unless told otherwise."""

from __future__ import annotations

import uuid
from collections.abc import Mapping

from pyproducer.protocol.messages.fetch import (
    FetchPartition,
    FetchRequest,
    FetchResponse,
    FetchTopic,
    ForgottenTopic,
    PartitionData,
)
from pyproducer.protocol.messages.metadata import MetadataRequest, MetadataRequestTopic
from pyproducer.records.reader import iter_batches
from tests.helpers.wire_client import WireClient

NO_ID = uuid.UUID(int=0)


class SessionReader:
    """Reads partitions of one topic.

    Args:
        client: Its connection.
        topic: The topic.
        by_id: The topic's id, for a reader that goes by ids.

    Attributes:
        session: What the next request says.
        epoch: Likewise.
    """

    def __init__(self, client: WireClient, topic: str, *, by_id: uuid.UUID | None = None) -> None:
        self.client = client
        self.topic = topic
        self.topic_id = by_id or NO_ID
        self.version = 11 if by_id is None else 13
        self.session = 0
        self.epoch = 0

    def request(
        self,
        offsets: Mapping[int, int] | None = None,
        *,
        topic: str | None = None,
        forget: tuple[int, ...] = (),
        **fields: int,
    ) -> FetchRequest:
        """What a request looks like that names partitions with offsets, and some to forget."""
        name = self.topic if topic is None else topic
        parts = [
            FetchPartition(partition=index, fetch_offset=offset, partition_max_bytes=1 << 20)
            for index, offset in (offsets or {}).items()
        ]
        named = FetchTopic(topic=name, topic_id=self.topic_id, partitions=parts)
        gone = ForgottenTopic(topic=name, topic_id=self.topic_id, partitions=list(forget))
        return FetchRequest(
            session_id=self.session,
            session_epoch=self.epoch,
            topics=[named] if parts else [],
            forgotten_topics_data=[gone] if forget else [],
            **fields,
        )

    def ask(
        self,
        offsets: Mapping[int, int] | None = None,
        *,
        topic: str | None = None,
        forget: tuple[int, ...] = (),
        **fields: int,
    ) -> FetchResponse:
        """Send such a request and return the answer."""
        request = self.request(offsets, topic=topic, forget=forget, **fields)
        answer: FetchResponse = self.client.ask(request, self.version)
        self.session = answer.session_id
        self.epoch += 1
        return answer

    def told(
        self,
        offsets: Mapping[int, int] | None = None,
        *,
        forget: tuple[int, ...] = (),
        **fields: int,
    ) -> dict[int, tuple[int, list[int]]]:
        """Error code and offsets of each partition that the answer to `ask` is about."""
        answer = self.ask(offsets, forget=forget, **fields)
        assert answer.error_code == 0
        return {
            data.partition_index: (data.error_code, offsets_of(data))
            for topic in answer.responses
            for data in topic.partitions
        }


def offsets_of(data: PartitionData) -> list[int]:
    """The offsets of the records that were fetched of a partition."""
    return [record.offset for one in iter_batches(data.records) for record in one.records()]


def topic_id_of(client: WireClient, topic: str) -> uuid.UUID:
    """The id of the topic that has this name now."""
    request = MetadataRequest(topics=[MetadataRequestTopic(name=topic)])
    found: uuid.UUID = client.ask(request, 12).topics[0].topic_id
    return found
