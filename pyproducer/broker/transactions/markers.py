"""Telling a partition that a producer's transaction has ended."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Protocol

from pyproducer.broker.errors import Refused
from pyproducer.broker.log.producer_state import EndMarker
from pyproducer.broker.partition import Partition
from pyproducer.model import TopicPartition
from pyproducer.protocol.error_codes import ErrorCode

logger = logging.getLogger(__name__)

#: Somebody newer has been there: asking again can change nothing.
_SETTLED = frozenset(
    {
        ErrorCode.UNKNOWN_TOPIC_OR_PARTITION,
        ErrorCode.INVALID_PRODUCER_EPOCH,
        ErrorCode.TRANSACTION_COORDINATOR_FENCED,
    }
)


class Markers(Protocol):
    """Something that ends transactions on partitions."""

    def write(self, place: TopicPartition, producer_id: int, epoch: int, marker: EndMarker) -> None:
        """The partition's log says how the transaction ended, and its readers obey.

        Raises:
            Refused: it does not: no such partition (3), a newer producer (47) or coordinator (52)
                was there, or the disk failed (56).
        """


class PartitionMarkers:
    """Writes to the partitions of this broker.

    Args:
        partition_of: finds a partition, None if there is none.
        offsets_topic: the topic whose partitions hold committed offsets.
        end_offsets: takes over or drops the offsets of a transaction in such a partition.
    """

    def __init__(
        self,
        partition_of: Callable[[str, int], Partition | None],
        offsets_topic: str,
        end_offsets: Callable[[int, int, bool], None],
    ) -> None:
        self._partition_of = partition_of
        self._offsets_topic = offsets_topic
        self._end_offsets = end_offsets

    def write(self, place: TopicPartition, producer_id: int, epoch: int, marker: EndMarker) -> None:
        """The partition's log says how the transaction ended, and its readers obey.

        Raises:
            Refused: it does not: no such partition (3), a newer producer (47) or coordinator (52)
                was there, or the disk failed (56).
        """
        partition = self._partition_of(place.topic, place.partition)
        if partition is None:
            raise Refused(ErrorCode.UNKNOWN_TOPIC_OR_PARTITION, f"there is no {place}")
        partition.end_transaction(producer_id, epoch, marker)
        if place.topic == self._offsets_topic:
            self._end_offsets(place.partition, producer_id, marker.commit)


def settle(
    markers: Markers, place: TopicPartition, producer_id: int, epoch: int, marker: EndMarker
) -> bool:
    """Tell one partition; False if it has to be told again later."""
    try:
        markers.write(place, producer_id, epoch, marker)
    except Refused as refused:
        # A topic that was deleted meanwhile has taken its part of the transaction with it.
        logger.warning(
            "no end of transaction for producer %d in %s: %s", producer_id, place, refused
        )
        return refused.code in _SETTLED
    return True
