# cython: annotation_typing=False, nonecheck=True, binding=False, freethreading_compatible=True
"""When something is due for a batch, unless the batch has moved on by then."""

from __future__ import annotations

import heapq
from collections.abc import Iterator
from typing import Final

from pyproducer.core.appender import SPLIT, Batch
from pyproducer.core.links import NEVER

__all__ = ["BatchTimers"]

#: So many entries are kept before any is looked at in vain.
_FEW: Final = 64


class BatchTimers:
    """Batches by a time each; those that have moved on are forgotten, at the latest in numbers.

    One batch that stays for long must not keep alive all that came and went behind it, so an entry
    costs its share of a look through all of them whenever their number has doubled.

    Args:
        until: the last state of a batch in which its time matters. The halves of one that was
            split have its time.

    Attributes:
        next: the next time at which something may be due; NEVER for none.
    """

    def __init__(self, until: int) -> None:
        self._until = until
        self._heap: list[tuple[float, int, Batch]] = []
        self.next = NEVER
        self._most = _FEW

    def __iter__(self) -> Iterator[Batch]:
        """The batches kept, in no order; among them such as have moved on."""
        return (batch for _, _, batch in self._heap)

    def __len__(self) -> int:
        """How many that are."""
        return len(self._heap)

    def add(self, at: float, batch: Batch) -> None:
        """Something is due for the batch at this time."""
        heapq.heappush(self._heap, (at, batch.serial, batch))
        if len(self._heap) > self._most:
            kept = [found for at, _, batch in self._heap for found in self._current(at, batch)]
            heapq.heapify(kept)
            self._heap = kept
            self._most = max(_FEW, 2 * len(kept))
        self.next = self._heap[0][0] if self._heap else NEVER

    def stirs(self, now: float) -> bool:
        """True where :meth:`due` has something to do: return a batch, or forget one."""
        if not self._heap:
            return False
        at, _, batch = self._heap[0]
        return at <= now or batch.state > self._until

    def due(self, now: float) -> Batch | None:
        """A batch whose time has come, once; None where there is none."""
        heap, found = self._heap, None
        while heap:
            at, _, batch = heap[0]
            state = batch.state
            if state <= self._until:
                if at <= now:
                    heapq.heappop(heap)
                    found = batch
                break
            heapq.heappop(heap)
            if state == SPLIT:
                for entry in self._current(at, batch):
                    heapq.heappush(heap, entry)
        self.next = heap[0][0] if heap else NEVER
        return found

    def _current(self, at: float, batch: Batch) -> Iterator[tuple[float, int, Batch]]:
        if batch.state <= self._until:
            yield at, batch.serial, batch
        elif batch.state == SPLIT:
            for _, part in batch.parts or ():
                yield from self._current(at, part)
