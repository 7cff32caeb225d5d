# cython: annotation_typing=False, nonecheck=True, binding=False, freethreading_compatible=True
"""From a settled batch to its callers: callbacks, futures, and the count of what nobody saw."""

from __future__ import annotations

import logging
from collections import Counter, deque
from collections.abc import Callable
from typing import Final

from pyproducer.core.appender import Batch, run_watchers
from pyproducer.model import DeliveryFailure, FlushReport

__all__ = ["Deliveries", "Flush", "Ledger"]

logger = logging.getLogger("pyproducer.delivery")

#: Callbacks between two looks at the clock.
_STRIDE: Final = 32

#: Seconds between two log lines about failures that nobody waits for.
_LOG_PAUSE: Final = 1.0


class Deliveries:
    """Settled batches whose watchers have to be told, in the order of settling."""

    __slots__ = ("_line",)

    def __init__(self) -> None:
        self._line: deque[Batch | Callable[[], object]] = deque()

    def __bool__(self) -> bool:
        return bool(self._line)

    def add(self, batch: Batch) -> None:
        """Tell the batch's watchers, after those of batches added before."""
        if batch.watchers:
            self._line.append(batch)

    def then(self, callback: Callable[[], object]) -> None:
        """Call back once all watchers added before have been told; at once if they have."""
        if self._line:
            self._line.append(callback)
        else:
            callback()

    def run(self, clock: Callable[[], float], slice_s: float, straight: bool = False) -> None:
        """Tell watchers for about ``slice_s`` seconds; what is left waits for the next call.

        Args:
            clock: monotonic seconds; not asked where there is no more than a few to tell.
            slice_s: how long.
            straight: no task runs, so that those who await a delivery may go on in here.
        """
        end = 0.0
        while self._line:
            batch = self._line[0]
            if callable(batch):
                self._line.popleft()
                batch()
                continue
            # The batch knows how far it has come, also where a signal's handler raises in here.
            run_watchers(batch, batch.told + _STRIDE, straight)
            if not batch.watchers and self._line and self._line[0] is batch:
                self._line.popleft()
            if not self._line:
                return
            now = clock()
            if not end:
                end = now + slice_s
            elif now >= end:
                return


class Ledger:
    """Failed records whose outcome nobody has looked at.

    Attributes:
        by_topic: how many of each topic.
        quiet: another call tells of failures: they are neither counted nor logged.
    """

    def __init__(self, on_failure: Callable[[DeliveryFailure], object] | None) -> None:
        self.by_topic: Counter[str] = Counter()
        self._first: dict[str, Exception] = {}
        self.quiet = False
        self._on_failure = on_failure
        self._logged_at = -_LOG_PAUSE
        self._unlogged = 0

    @property
    def count(self) -> int:
        """How many."""
        return self.by_topic.total()

    @property
    def first_error(self) -> Exception | None:
        """The first error of the first topic that has any."""
        return next((self._first[topic] for topic, n in self.by_topic.items() if n), None)

    def add(self, batch: Batch, unseen: int, error: Exception, now: float) -> None:
        """``unseen`` records of a batch that failed have no callback and nobody waiting."""
        if not unseen:
            return
        if self.quiet and self._on_failure is None:
            batch.seen = None
            return
        if not self.by_topic[batch.topic]:
            self._first[batch.topic] = error
        self.by_topic[batch.topic] += unseen
        if batch.expected:
            return
        partition = batch.partition if batch.partition >= 0 else None
        if self._on_failure is None:
            self._log(batch.topic, partition, unseen, error, now)
            return
        try:
            self._on_failure(DeliveryFailure(batch.topic, partition, unseen, error))
        except Exception:
            logger.exception("on_delivery_failure %r failed", self._on_failure)
        self.by_topic[batch.topic] -= unseen
        batch.seen = None

    def _log(
        self, topic: str, partition: int | None, count: int, error: Exception, now: float
    ) -> None:
        if now - self._logged_at < _LOG_PAUSE:
            self._unlogged += count
            return
        logger.error(
            "%d record(s) to %s-%s failed and nobody waits for them: %s%s",
            count,
            topic,
            "?" if partition is None else partition,
            error,
            f" ({self._unlogged} more since the last such line)" if self._unlogged else "",
        )
        self._logged_at = now
        self._unlogged = 0

    def saw(self, topic: str) -> None:
        """Somebody looked at one of them."""
        self.by_topic[topic] -= 1


class Flush:
    """What one call of flush() waits for, and what became of it.

    Attributes:
        waiting: the batches and shelves accepted before it and not settled.
        done: called once, when none is left.
    """

    def __init__(self, waiting: set[Batch], done: Callable[[], object]) -> None:
        self.waiting = waiting
        self.done = done
        self._delivered = 0
        self._failed = 0

    @property
    def remaining(self) -> int:
        """Records without an outcome."""
        return sum(batch.count for batch in self.waiting)

    @property
    def report(self) -> FlushReport:
        """What became of those that have one."""
        return FlushReport(self._delivered, self._failed)

    def settled(self, batch: Batch, failed: int) -> None:
        """A batch is settled; ``failed`` of its records are not delivered."""
        if batch in self.waiting:
            self.waiting.discard(batch)
            self._delivered += batch.count - failed
            self._failed += failed
            self._check()

    def replaced(self, batch: Batch, parts: list[Batch]) -> None:
        """A batch's records have moved into others."""
        if batch in self.waiting:
            self.waiting.discard(batch)
            self.waiting.update(parts)
            self._check()

    def _check(self) -> None:
        if not self.waiting:
            self.done()
