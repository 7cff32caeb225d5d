"""A transactional producer spelt out request by request, and what a consumer would be given."""

from __future__ import annotations

import time
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from typing import Any

from pyproducer.model import TopicPartition
from pyproducer.protocol.messages.add_offsets_to_txn import AddOffsetsToTxnRequest
from pyproducer.protocol.messages.add_partitions_to_txn import (
    AddPartitionsToTxnRequest,
    AddPartitionsToTxnTopic,
)
from pyproducer.protocol.messages.describe_transactions import DescribeTransactionsRequest
from pyproducer.protocol.messages.end_txn import EndTxnRequest
from pyproducer.protocol.messages.fetch import FetchPartition, FetchRequest, FetchTopic
from pyproducer.protocol.messages.find_coordinator import FindCoordinatorRequest
from pyproducer.protocol.messages.init_producer_id import InitProducerIdRequest
from pyproducer.protocol.messages.list_offsets import (
    ListOffsetsPartition,
    ListOffsetsRequest,
    ListOffsetsTopic,
)
from pyproducer.protocol.messages.offset_fetch import (
    OffsetFetchRequest,
    OffsetFetchRequestGroup,
)
from pyproducer.protocol.messages.txn_offset_commit import (
    TxnOffsetCommitRequest,
    TxnOffsetCommitRequestPartition,
    TxnOffsetCommitRequestTopic,
)
from pyproducer.records.reader import Batch, iter_batches
from tests.helpers.partition_logs import batch
from tests.helpers.statement_servers import eventually
from tests.helpers.wire_client import WireClient


@dataclass
class TransactionalProducer:
    """One holder of a transactional id. Every method returns an error code unless it says else.

    Attributes:
        client: its connection.
        transactional_id: its name.
        producer_id: what it was given.
        epoch: likewise.
    """

    client: WireClient
    transactional_id: str = "tx"
    producer_id: int = -1
    epoch: int = -1
    timeout_ms: int = 60_000
    sequences: dict[TopicPartition, int] = field(default_factory=dict)

    def init(self, *, version: int = 4, resume: bool = False) -> int:
        request = InitProducerIdRequest(
            transactional_id=self.transactional_id, transaction_timeout_ms=self.timeout_ms
        )
        if resume:
            request.producer_id, request.producer_epoch = self.producer_id, self.epoch
        answer = self.client.ask(request, version)
        if not answer.error_code:
            self.producer_id, self.epoch = answer.producer_id, answer.producer_epoch
            self.sequences.clear()
        return answer.error_code

    def twin(self) -> TransactionalProducer:
        """Return another one that says the same of itself: a zombie, later."""
        return replace(self, sequences=dict(self.sequences))

    def add(self, *places: TopicPartition, version: int = 3) -> list[int]:
        """Add partitions; return the error of each."""
        request = AddPartitionsToTxnRequest(
            v3_and_below_transactional_id=self.transactional_id,
            v3_and_below_producer_id=self.producer_id,
            v3_and_below_producer_epoch=self.epoch,
            v3_and_below_topics=[
                AddPartitionsToTxnTopic(name=place.topic, partitions=[place.partition])
                for place in places
            ],
        )
        answer = self.client.ask(request, version)
        return [
            part.partition_error_code
            for topic in answer.results_by_topic_v3_and_below
            for part in topic.results_by_partition
        ]

    def send(
        self, place: TopicPartition, value: bytes = b"value", *, version: int = 9, count: int = 1
    ) -> int:
        sequence = self.sequences.get(place, 0)
        data = batch(
            count,
            # Markers have the broker's time: much older records would be in another segment.
            time=int(time.time() * 1000),
            value=value,
            producer=(self.producer_id, self.epoch, sequence),
            transactional=True,
        )
        answer = self.client.produce(
            place.topic,
            data,
            partition=place.partition,
            version=version,
            transactional_id=self.transactional_id,
        )
        if not answer.error_code:
            self.sequences[place] = sequence + count
        return answer.error_code

    def write(self, place: TopicPartition, value: bytes = b"value", *, count: int = 1) -> None:
        """The partition is in the transaction and has the record."""
        assert self.add(place) == [0]
        assert self.send(place, value, count=count) == 0

    def end(self, *, commit: bool, version: int = 3) -> int:
        request = EndTxnRequest(
            transactional_id=self.transactional_id,
            producer_id=self.producer_id,
            producer_epoch=self.epoch,
            committed=commit,
        )
        answer = self.client.ask(request, version)
        if version >= 5 and not answer.error_code:
            if (answer.producer_id, answer.producer_epoch) != (self.producer_id, self.epoch):
                self.sequences.clear()
            self.producer_id, self.epoch = answer.producer_id, answer.producer_epoch
        return answer.error_code

    def add_offsets(self, group: str, *, version: int = 3) -> int:
        request = AddOffsetsToTxnRequest(
            transactional_id=self.transactional_id,
            producer_id=self.producer_id,
            producer_epoch=self.epoch,
            group_id=group,
        )
        return self.client.ask(request, version).error_code

    def commit_offset(
        self, group: str, place: TopicPartition, offset: int, *, version: int = 3, **member: Any
    ) -> int:
        request = TxnOffsetCommitRequest(
            transactional_id=self.transactional_id,
            group_id=group,
            producer_id=self.producer_id,
            producer_epoch=self.epoch,
            topics=[
                TxnOffsetCommitRequestTopic(
                    name=place.topic,
                    partitions=[
                        TxnOffsetCommitRequestPartition(
                            partition_index=place.partition,
                            committed_offset=offset,
                            committed_metadata="note",
                        )
                    ],
                )
            ],
            **member,
        )
        [topic] = self.client.ask(request, version).topics
        return topic.partitions[0].error_code


def fetch(
    client: WireClient,
    place: TopicPartition,
    offset: int = 0,
    *,
    committed: bool = True,
    max_bytes: int = 1 << 20,
    **options: Any,
) -> Any:
    """Return one partition's part of a Fetch answer."""
    request = FetchRequest(
        max_wait_ms=options.pop("max_wait_ms", 0),
        min_bytes=options.pop("min_bytes", 1),
        max_bytes=max_bytes,
        isolation_level=int(committed),
        topics=[
            FetchTopic(
                topic=place.topic,
                partitions=[
                    FetchPartition(
                        partition=place.partition,
                        fetch_offset=offset,
                        partition_max_bytes=max_bytes,
                    )
                ],
            )
        ],
    )
    return client.ask(request, options.pop("version", 11)).responses[0].partitions[0]


def latest_offset(client: WireClient, place: TopicPartition, *, committed: bool) -> int:
    """Return what ListOffsets says is the end."""
    return offset_at(client, place, -1, committed=committed)


def offset_at(client: WireClient, place: TopicPartition, timestamp: int, *, committed: bool) -> int:
    """Return the offset that ListOffsets finds for a time."""
    request = ListOffsetsRequest(
        isolation_level=int(committed),
        topics=[
            ListOffsetsTopic(
                name=place.topic,
                partitions=[
                    ListOffsetsPartition(partition_index=place.partition, timestamp=timestamp)
                ],
            )
        ],
    )
    return client.ask(request, 7).topics[0].partitions[0].offset


def committed_offset(
    client: WireClient, group: str, place: TopicPartition, *, stable: bool = True
) -> tuple[int, int]:
    """Return (error, offset) of a group's place, as OffsetFetch 8 says it."""
    from pyproducer.protocol.messages.offset_fetch import OffsetFetchRequestTopics

    request = OffsetFetchRequest(
        require_stable=stable,
        groups=[
            OffsetFetchRequestGroup(
                group_id=group,
                topics=[
                    OffsetFetchRequestTopics(name=place.topic, partition_indexes=[place.partition])
                ],
            )
        ],
    )
    [answer] = client.ask(request, 8).groups
    part = answer.topics[0].partitions[0]
    return part.error_code or answer.error_code, part.committed_offset


def batches_in(part: Any) -> list[Batch]:
    """Return the batches of a partition's part of a Fetch answer."""
    return list(iter_batches(part.records))


def values_read(part: Any) -> list[bytes | None]:
    """Return what a client with read_committed shows its user of a Fetch answer."""
    return list(_committed_values(batches_in(part), part.aborted_transactions or []))


def _committed_values(batches: list[Batch], aborted: Iterable[Any]) -> Iterable[bytes | None]:
    waiting = sorted(aborted, key=lambda one: one.first_offset)
    skipped: set[int] = set()
    for one in batches:
        header = one.header
        while waiting and waiting[0].first_offset <= header.last_offset:
            skipped.add(waiting.pop(0).producer_id)
        if header.is_control:
            [record] = one.records()
            if record.key == b"\0\0\0\0":
                skipped.discard(header.producer_id)
        elif not (header.is_transactional and header.producer_id in skipped):
            for record in one.records():
                yield record.value


def another(client: WireClient, name: str) -> TransactionalProducer:
    """Return the holder of another transactional id."""
    made = TransactionalProducer(client, name)
    assert made.init() == 0
    return made


def settled(client: WireClient, name: str) -> TransactionalProducer:
    """Return the holder of a transactional id, once Kafka's coordinator has come up."""
    # The first who looks for it has the topic of transactions made.
    request = FindCoordinatorRequest(key=name, key_type=1)
    eventually(lambda: client.ask(request, 2).error_code == 0)
    made = TransactionalProducer(client, name)
    eventually(lambda: made.init() == 0)
    return made


def describe(client: WireClient, name: str = "tx") -> Any:
    """Return what DescribeTransactions tells of a transactional id."""
    request = DescribeTransactionsRequest(transactional_ids=[name])
    [state] = client.ask(request, 0).transaction_states
    return state
