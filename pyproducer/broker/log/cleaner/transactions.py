"""Which batches belong to aborted transactions, and which markers still have something to mark."""

from __future__ import annotations

import heapq
from collections.abc import Iterable

from pyproducer.broker.log.aborted import AbortedTransaction
from pyproducer.broker.log.markers import end_marker
from pyproducer.records.batch import BatchHeader
from pyproducer.records.reader import Batch

__all__ = ["SeenTransactions"]


class _Aborted:
    """An aborted transaction that has begun and whose marker has not come yet."""

    __slots__ = ("listed", "seen")

    def __init__(self, listed: AbortedTransaction) -> None:
        self.listed = listed
        self.seen = False


class SeenTransactions:
    """What one walk over a log, from some offset on, knows of transactions.

    Args:
        start: Where the walk starts.
        aborted: All aborted transactions that the log lists.

    Attributes:
        still_aborted: Those whose marker came, with data before it: the list for the segment
            that is written. Whoever begins a new segment clears it.
    """

    def __init__(self, start: int, aborted: Iterable[AbortedTransaction]) -> None:
        self.still_aborted: list[AbortedTransaction] = []
        # One whose marker lies before the start would wait for it until the end, and take what
        # its producer committed later for aborted.
        self._to_come = [
            (one.first_offset, at, one)
            for at, one in enumerate(aborted)
            if one.last_offset >= start
        ]
        heapq.heapify(self._to_come)
        self._aborted: dict[int, _Aborted] = {}
        self._committed: set[int] = set()

    def on_batch(self, header: BatchHeader) -> bool:
        """The batch, which is no marker, was seen; says whether its transaction was aborted."""
        self._begin_up_to(header.last_offset)
        if not header.is_transactional:
            return False
        aborted = self._aborted.get(header.producer_id)
        if aborted is None:
            self._committed.add(header.producer_id)
            return False
        aborted.seen = True
        return True

    def on_marker(self, batch: Batch) -> bool:
        """The control batch was seen; says whether nothing is left of what it ended."""
        header = batch.header
        self._begin_up_to(header.last_offset)
        if not header.record_count:
            return True
        marker = end_marker(batch)
        if marker is None:
            # No end of a transaction: nobody here knows what it is good for.
            return False
        if marker.commit:
            seen = header.producer_id in self._committed
            self._committed.discard(header.producer_id)
            return not seen
        aborted = self._aborted.pop(header.producer_id, None)
        if aborted is None or not aborted.seen:
            return True
        self.still_aborted.append(aborted.listed)
        return False

    def _begin_up_to(self, offset: int) -> None:
        while self._to_come and self._to_come[0][0] <= offset:
            _, _, one = heapq.heappop(self._to_come)
            self._aborted.setdefault(one.producer_id, _Aborted(one))
