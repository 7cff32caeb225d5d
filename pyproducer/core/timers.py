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
    """Batches by when they were opened; those that have moved on are forgotten sooner or later.

    One batch that stays for long must not keep alive all that came and went behind it, so a batch
    costs its share of a look through all of them whenever their number has doubled.

    Args:
        until: the last state of a batch in which its time matters. The halves of one that was
            split have its time.
        delay: seconds from a batch's opening to its time.

    Attributes:
        next: the next time at which something may be due; NEVER for none.
    """

    def __init__(self, until: int, delay: float) -> None:
        self._until = until
        self._delay = delay
        # Nearly all come in the order of their times. What does not stands in a heap beside them.
        # A tuple for each would be one more thing for the garbage collector to look at.
        self._line: deque[Batch] = deque()
        self._heap: list[tuple[float, int, Batch]] = []
        self.next = NEVER
        self._most = _FEW

    def __iter__(self) -> Iterator[Batch]:
        """The batches kept, in no order; among them such as have moved on."""
        yield from self._line
        for _, _, batch in self._heap:
            yield batch

    def __len__(self) -> int:
        """How many that are."""
        return len(self._line) + len(self._heap)

    def add(self, batch: Batch) -> None:
        """Something is due for the batch when it has been there for so long."""
        line = self._line
        last: Batch | None = line[-1] if line else None
        if last is None or last.created <= batch.created:
            line.append(batch)
        else:
            heapq.heappush(self._heap, _entry(batch))
        if len(line) + len(self._heap) > self._most:
            self._forget()
        self._look()

    def _forget(self) -> None:
        """Keep no batch that has moved on."""
        kept = sorted(_entry(found) for batch in self for found in self._current(batch))
        self._line = deque(batch for _, _, batch in kept)
        self._heap = []
        self._most = max(_FEW, 2 * len(kept))

    def _first(self) -> Batch | None:
        line, heap = self._line, self._heap
        if not heap:
            return line[0] if line else None
        entry = heap[0]
        return line[0] if line and _entry(line[0]) < entry else entry[2]

    def _look(self) -> None:
        first = self._first()
        self.next = NEVER if first is None else first.created + self._delay

    def stirs(self, now: float) -> bool:
        """True where :meth:`due` has something to do: return a batch, or forget one."""
        first = self._first()
        return first is not None and (self.next <= now or first.state > self._until)

    def due(self, now: float) -> Batch | None:
        """A batch whose time has come, once; None where there is none."""
        found = None
        while (batch := self._first()) is not None:
            state = batch.state
            if state <= self._until and batch.created + self._delay > now:
                break
            if self._line and self._line[0] is batch:
                self._line.popleft()
            else:
                heapq.heappop(self._heap)
            if state <= self._until:
                found = batch
                break
            if state == SPLIT:
                for part in self._current(batch):
                    heapq.heappush(self._heap, _entry(part))
        self._look()
        return found

    def _current(self, batch: Batch) -> Iterator[Batch]:
        if batch.state <= self._until:
            yield batch
        elif batch.state == SPLIT:
            for _, part in batch.parts or ():
                yield from self._current(part)


def _entry(batch: Batch) -> tuple[float, int, Batch]:
    return batch.created, batch.serial, batch
