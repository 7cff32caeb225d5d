# cython: annotation_typing=False, nonecheck=True, binding=False, freethreading_compatible=True
"""When something is due for a batch, unless the batch has moved on by then."""

from __future__ import annotations

import heapq
from collections import deque
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
        # Nearly all come in the order of their times. What does not stands in a heap beside them.
        self._line: deque[tuple[float, int, Batch]] = deque()
        self._heap: list[tuple[float, int, Batch]] = []
        self.next = NEVER
        self._most = _FEW

    def __iter__(self) -> Iterator[Batch]:
        """The batches kept, in no order; among them such as have moved on."""
        return (batch for _, _, batch in (*self._line, *self._heap))

    def __len__(self) -> int:
        """How many that are."""
        return len(self._line) + len(self._heap)

    def add(self, at: float, batch: Batch) -> None:
        """Something is due for the batch at this time."""
        line = self._line
        if line and at < line[-1][0]:
            heapq.heappush(self._heap, (at, batch.serial, batch))
        else:
            line.append((at, batch.serial, batch))
        if len(line) + len(self._heap) > self._most:
            self._forget()
        self._look()

    def _forget(self) -> None:
        """Keep no batch that has moved on."""
        entries = (*self._line, *self._heap)
        kept = sorted(found for at, _, batch in entries for found in self._current(at, batch))
        self._line = deque(kept)
        self._heap = []
        self._most = max(_FEW, 2 * len(kept))

    def _first(self) -> tuple[float, int, Batch] | None:
        line, heap = self._line, self._heap
        if not line:
            return heap[0] if heap else None
        if not heap:
            return line[0]
        return min(line[0], heap[0])

    def _look(self) -> None:
        first = self._first()
        self.next = NEVER if first is None else first[0]

    def stirs(self, now: float) -> bool:
        """True where :meth:`due` has something to do: return a batch, or forget one."""
        first = self._first()
        return first is not None and (first[0] <= now or first[2].state > self._until)

    def due(self, now: float) -> Batch | None:
        """A batch whose time has come, once; None where there is none."""
        found = None
        while (first := self._first()) is not None:
            at, _, batch = first
            state = batch.state
            if state <= self._until and at > now:
                break
            if self._line and self._line[0] is first:
                self._line.popleft()
            else:
                heapq.heappop(self._heap)
            if state <= self._until:
                found = batch
                break
            if state == SPLIT:
                for entry in self._current(at, batch):
                    heapq.heappush(self._heap, entry)
        self._look()
        return found

    def _current(self, at: float, batch: Batch) -> Iterator[tuple[float, int, Batch]]:
        if batch.state <= self._until:
            yield at, batch.serial, batch
        elif batch.state == SPLIT:
            for _, part in batch.parts or ():
                yield from self._current(at, part)
