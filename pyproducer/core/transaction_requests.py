"""The requests that transactions are made of, and what their answers carry."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Final

from pyproducer.core.accumulator import Node, PartitionQueue
from pyproducer.core.identity import Identity
from pyproducer.errors import TransactionError
from pyproducer.model import GroupMetadata, OffsetAndMetadata, TopicPartition
from pyproducer.protocol.api import ApiKey
from pyproducer.protocol.error_codes import ErrorCode
from pyproducer.protocol.messages.add_offsets_to_txn import (
    AddOffsetsToTxnRequest,
    AddOffsetsToTxnResponse,
)
from pyproducer.protocol.messages.add_partitions_to_txn import (
    AddPartitionsToTxnRequest,
    AddPartitionsToTxnResponse,
    AddPartitionsToTxnTopic,
)
from pyproducer.protocol.messages.end_txn import EndTxnRequest, EndTxnResponse
from pyproducer.protocol.messages.find_coordinator import (
    FindCoordinatorRequest,
    FindCoordinatorResponse,
)
from pyproducer.protocol.messages.init_producer_id import (
    InitProducerIdRequest,
    InitProducerIdResponse,
)
from pyproducer.protocol.messages.txn_offset_commit import (
    TxnOffsetCommitRequest,
    TxnOffsetCommitRequestPartition,
    TxnOffsetCommitRequestTopic,
    TxnOffsetCommitResponse,
)
from pyproducer.protocol.schema import Message

__all__ = ["Kind", "OffsetCommit", "Outcome", "Question", "Requests"]

_GROUP: Final = 0
_TRANSACTION: Final = 1


class Kind(Enum):
    """What can be asked: the words for it, its API, and its newest version in each protocol.

    Versions above these are other clients' business (AddPartitionsToTxn 4 is the brokers' own),
    or say the same in another form.
    """

    FIND = "finding the transaction coordinator", ApiKey.FIND_COORDINATOR, 3, 3
    FIND_GROUP = "finding the group coordinator", ApiKey.FIND_COORDINATOR, 3, 3
    INIT = "getting a producer id", ApiKey.INIT_PRODUCER_ID, 5, 5
    ADD_PARTITIONS = "adding partitions", ApiKey.ADD_PARTITIONS_TO_TXN, 3, 3
    ADD_OFFSETS = "adding a group's offsets", ApiKey.ADD_OFFSETS_TO_TXN, 4, 4
    COMMIT_OFFSETS = "committing a group's offsets", ApiKey.TXN_OFFSET_COMMIT, 4, 5
    END = "ending the transaction", ApiKey.END_TXN, 4, 5
    NOTHING = "ending a transaction that no broker knows of", -1, -1, -1

    def __init__(self, words: str, api_key: int, newest_one: int, newest_two: int) -> None:
        self.words = words
        self.api_key = int(api_key)
        self.newest = {False: newest_one, True: newest_two}

    @property
    def binds(self) -> bool:
        """True where it is about the transaction that is open when the coordinator reads it.

        In protocol 1 that may be a later one than was meant, which would be committed half done,
        or get old offsets, by a request that outlived its connection.
        """
        return self not in {Kind.FIND, Kind.FIND_GROUP, Kind.INIT}


class Outcome:
    """What a caller waits for.

    Attributes:
        commit: True where it is a commit's.
        done: True once it is known.
        error: why it failed; None where it did not.
        told: True once a caller has been told.
    """

    __slots__ = ("commit", "done", "error", "told")

    def __init__(self, *, commit: bool = False) -> None:
        self.commit = commit
        self.done = False
        self.error: TransactionError | None = None
        self.told = False

    @property
    def committed(self) -> bool:
        """True once it is certain that this commit is done."""
        return self.commit and self.done and self.error is None

    def settle(self, error: TransactionError | None) -> None:
        """It is known now; a second time changes nothing."""
        if not self.done:
            self.done = True
            self.error = error


class OffsetCommit(Outcome):
    """Offsets of one group that become part of the transaction.

    Attributes:
        offsets: the next offset to read, for each partition.
        group: whose they are.
    """

    __slots__ = ("group", "offsets")

    def __init__(
        self, offsets: dict[TopicPartition, OffsetAndMetadata], group: GroupMetadata
    ) -> None:
        super().__init__()
        self.offsets = offsets
        self.group = group

    def resource(self, code: int) -> str:
        """What may not be used, by the error code: the topics, or the group."""
        if code == ErrorCode.TOPIC_AUTHORIZATION_FAILED:
            return ", ".join(sorted({place.topic for place in self.offsets}))
        return self.group.group_id


@dataclass(slots=True, eq=False)
class Question:
    """A request under way.

    Attributes:
        kind: what it asks.
        node: whom.
        message: the request.
        max_version: the newest version it may have.
        partitions: those to be added, in the order of the answer's codes.
        offsets: those to be committed.
    """

    kind: Kind
    node: Node
    message: Message
    max_version: int
    partitions: list[PartitionQueue]
    offsets: OffsetCommit | None


class Requests:
    """Makes the requests of one producer, and reads their answers.

    Attributes:
        transactional_id: under which it is known.
        group_found: the group whose coordinator was found last.
    """

    def __init__(self, transactional_id: str, timeout_ms: int, identity: Identity) -> None:
        self.transactional_id = transactional_id
        self.group_found = ""
        self._timeout_ms = timeout_ms
        self._identity = identity
        self._makers: dict[Kind, Callable[[Question, bool], Message]] = {
            Kind.FIND: self._find,
            Kind.FIND_GROUP: self._find_group,
            Kind.INIT: self._init,
            Kind.ADD_PARTITIONS: self._add_partitions,
            Kind.ADD_OFFSETS: self._add_offsets,
            Kind.COMMIT_OFFSETS: self._commit_offsets,
            Kind.END: self._end,
        }

    def make(
        self,
        kind: Kind,
        node: Node,
        *,
        partitions: list[PartitionQueue],
        offsets: OffsetCommit | None,
        commit: bool,
        two: bool,
    ) -> Question:
        """The request to send now.

        Args:
            kind: what to ask.
            node: whom.
            partitions: to be added to the transaction.
            offsets: to be committed with it.
            commit: how the transaction ends.
            two: True for protocol 2.
        """
        question = Question(
            kind,
            node,
            message=FindCoordinatorRequest(),
            max_version=kind.newest[two],
            partitions=partitions if kind is Kind.ADD_PARTITIONS else [],
            offsets=offsets,
        )
        question.message = self._makers[kind](question, commit)
        return question

    def _find(self, question: Question, commit: bool) -> Message:
        return FindCoordinatorRequest(key=self.transactional_id, key_type=_TRANSACTION)

    def _find_group(self, question: Question, commit: bool) -> Message:
        assert question.offsets is not None
        return FindCoordinatorRequest(key=question.offsets.group.group_id, key_type=_GROUP)

    def _init(self, question: Question, commit: bool) -> Message:
        # With an id and epoch of its own it asks for the next epoch of that id, and is refused
        # where another producer has taken over (KIP-360).
        return InitProducerIdRequest(
            transactional_id=self.transactional_id,
            transaction_timeout_ms=self._timeout_ms,
            producer_id=self._identity.producer_id,
            producer_epoch=self._identity.epoch,
        )

    def _add_partitions(self, question: Question, commit: bool) -> Message:
        topics: dict[str, AddPartitionsToTxnTopic] = {}
        for queue in question.partitions:
            topic = topics.setdefault(queue.topic, AddPartitionsToTxnTopic(name=queue.topic))
            topic.partitions.append(queue.number)
        return AddPartitionsToTxnRequest(
            v3_and_below_transactional_id=self.transactional_id,
            v3_and_below_producer_id=self._identity.producer_id,
            v3_and_below_producer_epoch=self._identity.epoch,
            v3_and_below_topics=list(topics.values()),
        )

    def _add_offsets(self, question: Question, commit: bool) -> Message:
        assert question.offsets is not None
        return AddOffsetsToTxnRequest(
            transactional_id=self.transactional_id,
            producer_id=self._identity.producer_id,
            producer_epoch=self._identity.epoch,
            group_id=question.offsets.group.group_id,
        )

    def _commit_offsets(self, question: Question, commit: bool) -> Message:
        assert question.offsets is not None
        topics: dict[str, TxnOffsetCommitRequestTopic] = {}
        for place, found in question.offsets.offsets.items():
            topic = topics.setdefault(place.topic, TxnOffsetCommitRequestTopic(name=place.topic))
            topic.partitions.append(
                TxnOffsetCommitRequestPartition(
                    partition_index=place.partition,
                    committed_offset=found.offset,
                    committed_leader_epoch=found.leader_epoch,
                    committed_metadata=found.metadata,
                )
            )
        group = question.offsets.group
        return TxnOffsetCommitRequest(
            transactional_id=self.transactional_id,
            group_id=group.group_id,
            producer_id=self._identity.producer_id,
            producer_epoch=self._identity.epoch,
            generation_id=group.generation_id,
            member_id=group.member_id,
            group_instance_id=group.group_instance_id,
            topics=list(topics.values()),
        )

    def _end(self, question: Question, commit: bool) -> Message:
        return EndTxnRequest(
            transactional_id=self.transactional_id,
            producer_id=self._identity.producer_id,
            producer_epoch=self._identity.epoch,
            committed=commit,
        )

    # Answers.

    def codes(self, question: Question, response: Message) -> Sequence[int]:
        """The error codes of an answer; for partitions to add, one for each in their order."""
        match response:
            case AddPartitionsToTxnResponse():
                found = {
                    (topic.name, part.partition_index): part.partition_error_code
                    for topic in response.results_by_topic_v3_and_below
                    for part in topic.results_by_partition
                }
                # A partition that the answer leaves out was not added.
                missing = int(ErrorCode.OPERATION_NOT_ATTEMPTED)
                return [
                    found.get((queue.topic, queue.number), missing) for queue in question.partitions
                ]
            case TxnOffsetCommitResponse():
                return [part.error_code for topic in response.topics for part in topic.partitions]
            case (
                FindCoordinatorResponse()
                | InitProducerIdResponse()
                | AddOffsetsToTxnResponse()
                | EndTxnResponse()
            ):
                return [response.error_code]
        raise TypeError(f"{type(response).__name__} answers no question of a transaction")

    @staticmethod
    def identity(response: Message) -> tuple[int, int]:
        """The producer id and epoch that an answer brings; -1 where it brings none."""
        assert isinstance(response, InitProducerIdResponse | EndTxnResponse)
        return response.producer_id, response.producer_epoch

    @staticmethod
    def address(response: Message) -> tuple[str, int]:
        """Host and port of the coordinator that was found."""
        assert isinstance(response, FindCoordinatorResponse)
        return response.host, response.port
