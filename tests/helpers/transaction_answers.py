"""What a coordinator answers to the requests of a transaction, where all of it has one error code."""

from __future__ import annotations

from typing import Any

from pyproducer.protocol.messages.add_offsets_to_txn import (
    AddOffsetsToTxnRequest,
    AddOffsetsToTxnResponse,
)
from pyproducer.protocol.messages.add_partitions_to_txn import (
    AddPartitionsToTxnPartitionResult,
    AddPartitionsToTxnRequest,
    AddPartitionsToTxnResponse,
    AddPartitionsToTxnTopicResult,
)
from pyproducer.protocol.messages.end_txn import EndTxnRequest, EndTxnResponse
from pyproducer.protocol.messages.init_producer_id import (
    InitProducerIdRequest,
    InitProducerIdResponse,
)
from pyproducer.protocol.messages.txn_offset_commit import (
    TxnOffsetCommitRequest,
    TxnOffsetCommitResponse,
    TxnOffsetCommitResponsePartition,
    TxnOffsetCommitResponseTopic,
)


def answer_with(message: Any, code: int) -> Any:
    """Return the answer; it brings no producer id."""
    match message:
        case InitProducerIdRequest():
            return InitProducerIdResponse(error_code=code)
        case AddPartitionsToTxnRequest():
            return AddPartitionsToTxnResponse(
                results_by_topic_v3_and_below=[
                    AddPartitionsToTxnTopicResult(
                        name=topic.name,
                        results_by_partition=[
                            AddPartitionsToTxnPartitionResult(
                                partition_index=number, partition_error_code=code
                            )
                            for number in topic.partitions
                        ],
                    )
                    for topic in message.v3_and_below_topics
                ]
            )
        case AddOffsetsToTxnRequest():
            return AddOffsetsToTxnResponse(error_code=code)
        case TxnOffsetCommitRequest():
            return TxnOffsetCommitResponse(
                topics=[
                    TxnOffsetCommitResponseTopic(
                        name=topic.name,
                        partitions=[
                            TxnOffsetCommitResponsePartition(
                                partition_index=part.partition_index, error_code=code
                            )
                            for part in topic.partitions
                        ],
                    )
                    for topic in message.topics
                ]
            )
        case EndTxnRequest():
            return EndTxnResponse(error_code=code)
    raise TypeError(f"{type(message).__name__} is no request of a transaction")
