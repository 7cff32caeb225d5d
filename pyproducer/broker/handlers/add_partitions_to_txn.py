"""AddPartitionsToTxn, versions 0 to 5: partitions that a transaction is going to write to.

Version 2 knows PRODUCER_FENCED. Versions 4 and 5 are for brokers: several transactions at once,
and the question whether a partition is in a transaction, which changes nothing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from pyproducer.broker.context import RequestContext
from pyproducer.broker.errors import Refused
from pyproducer.broker.handlers import access
from pyproducer.broker.handlers.access import CLUSTER_ACTION, WRITE_TOPIC, WRITE_TRANSACTIONAL_ID
from pyproducer.broker.handlers.transaction_errors import as_told
from pyproducer.broker.topics import INTERNAL_TOPICS
from pyproducer.broker.transactions.admission import check_partitions
from pyproducer.broker.transactions.transaction import Identity
from pyproducer.model import TopicPartition
from pyproducer.protocol.error_codes import ErrorCode
from pyproducer.protocol.messages.add_partitions_to_txn import (
    AddPartitionsToTxnPartitionResult,
    AddPartitionsToTxnRequest,
    AddPartitionsToTxnResponse,
    AddPartitionsToTxnResult,
    AddPartitionsToTxnTopic,
    AddPartitionsToTxnTopicResult,
    AddPartitionsToTxnTransaction,
)

if TYPE_CHECKING:
    from pyproducer.broker.node import Node

NEEDS = (CLUSTER_ACTION, WRITE_TRANSACTIONAL_ID, WRITE_TOPIC)

_BATCHED_SINCE = 4
_FENCED_SINCE = 2
_ABORTABLE_SINCE = 5


async def handle(
    node: Node, request: AddPartitionsToTxnRequest, context: RequestContext
) -> AddPartitionsToTxnResponse:
    """Adds all partitions of a transaction, or none."""
    version = context.api_version
    if version >= _BATCHED_SINCE:
        # Brokers ask so, who have looked already whether their client may.
        if refusal := access.refusal(node, context, CLUSTER_ACTION):
            return AddPartitionsToTxnResponse(error_code=refusal)
        return AddPartitionsToTxnResponse(
            results_by_transaction=[
                AddPartitionsToTxnResult(
                    transactional_id=wanted.transactional_id,
                    topic_results=_results(wanted.topics, _one(node, wanted, version)),
                )
                for wanted in request.transactions
            ]
        )
    wanted = AddPartitionsToTxnTransaction(
        transactional_id=request.v3_and_below_transactional_id,
        producer_id=request.v3_and_below_producer_id,
        producer_epoch=request.v3_and_below_producer_epoch,
        topics=request.v3_and_below_topics,
    )
    return AddPartitionsToTxnResponse(
        results_by_topic_v3_and_below=_results(
            wanted.topics, _denied(node, context, wanted) or _one(node, wanted, version)
        )
    )


def _denied(
    node: Node, context: RequestContext, wanted: AddPartitionsToTxnTransaction
) -> Mapping[TopicPartition, int]:
    """The errors of a client's partitions, if it may not write to all of them."""
    if node.authorizer is None:
        return {}
    places = _places(wanted)
    name = wanted.transactional_id
    if refusal := access.refusal(node, context, WRITE_TRANSACTIONAL_ID, name):
        return dict.fromkeys(places, refusal)
    writable = access.allowed_names(node, context, WRITE_TOPIC, {one.topic for one in places})
    writable -= INTERNAL_TOPICS
    if all(place.topic in writable for place in places):
        return {}
    known = [place for place in places if node.topics.has(*place)]
    errors = check_partitions(known, places) or dict.fromkeys(
        places, ErrorCode.OPERATION_NOT_ATTEMPTED
    )
    denied = [place for place in places if place.topic not in writable]
    return {**errors, **dict.fromkeys(denied, ErrorCode.TOPIC_AUTHORIZATION_FAILED)}


def _places(wanted: AddPartitionsToTxnTransaction) -> list[TopicPartition]:
    return [
        TopicPartition(topic.name, index) for topic in wanted.topics for index in topic.partitions
    ]


def _one(
    node: Node, wanted: AddPartitionsToTxnTransaction, version: int
) -> Mapping[TopicPartition, int]:
    """The errors of one transaction's partitions; those without one are not in it."""
    places = _places(wanted)
    if not wanted.transactional_id:
        return dict.fromkeys(places, ErrorCode.INVALID_REQUEST)
    holder = Identity(wanted.producer_id, wanted.producer_epoch)
    if wanted.verify_only:
        return {
            place: _verify(node, wanted.transactional_id, holder, place, version)
            for place in places
        }
    known = [place for place in places if node.topics.has(*place)]
    if errors := check_partitions(known, places):
        return errors
    try:
        node.transactions.add(wanted.transactional_id, holder, places)
    except Refused as refused:
        return dict.fromkeys(places, _told(refused.code, version))
    return {}


def _verify(
    node: Node, transactional_id: str, holder: Identity, place: TopicPartition, version: int
) -> int:
    try:
        node.transactions.verify(transactional_id, holder, place)
    except Refused as refused:
        return _told(refused.code, version)
    return ErrorCode.NONE


def _told(code: int, version: int) -> int:
    return as_told(code, version, fenced_since=_FENCED_SINCE, abortable_since=_ABORTABLE_SINCE)


def _results(
    topics: Sequence[AddPartitionsToTxnTopic], errors: Mapping[TopicPartition, int]
) -> list[AddPartitionsToTxnTopicResult]:
    return [
        AddPartitionsToTxnTopicResult(
            name=topic.name,
            results_by_partition=[
                AddPartitionsToTxnPartitionResult(
                    partition_index=index,
                    partition_error_code=errors.get(
                        TopicPartition(topic.name, index), ErrorCode.NONE
                    ),
                )
                for index in topic.partitions
            ],
        )
        for topic in topics
    ]
