# cython: annotation_typing=False, nonecheck=True, binding=False, freethreading_compatible=True
"""The end of a batch: its outcome set, its bytes given back, its callers told."""

from __future__ import annotations

from bisect import insort
from collections.abc import Callable

from pyproducer.core.appender import Appender, Batch
from pyproducer.core.appender_rules import pairs
from pyproducer.core.batch import SealedBatch
from pyproducer.core.delivery import Deliveries, Flush, Ledger
from pyproducer.core.stats import Stats

__all__ = ["Settler"]


class Settler:
    """All batches that are not settled, and the one place where they become so.

    Attributes:
        live: every batch and shelf without an outcome, by serial, oldest first.
        deliveries: settled batches whose watchers are still to be told.
        ledger: failures that nobody has seen.
        on_failure: is told of the error of every batch that fails, and when.
    """

    def __init__(self, appender: Appender, ledger: Ledger, stats: Stats) -> None:
        self.live: dict[int, Batch] = {}
        self.deliveries = Deliveries()
        self.ledger = ledger
        self._appender = appender
        self._stats = stats
        self._flushes: list[Flush] = []
        self.on_failure: Callable[[Exception, float], object] | None = None

    def add(self, batch: Batch) -> None:
        """A batch was opened."""
        self.live[batch.serial] = batch

    def acknowledge(self, batch: Batch, base_offset: int, log_append_time: int) -> None:
        """Every record of the batch is where the caller's acks wanted it."""
        batch.acknowledge(base_offset, log_append_time)
        self._stats.delivered += batch.count
        self._settled(batch, 0)

    def fail(
        self,
        batch: Batch,
        error: Exception,
        now: float,
        record_errors: dict[int, BaseException] | None = None,
    ) -> None:
        """No record of the batch is acknowledged, nor ever will be."""
        unseen = batch.fail(error, record_errors)
        self.ledger.add(batch, unseen, error, now)
        self._stats.failed += batch.count
        self._settled(batch, batch.count)
        if self.on_failure is not None:
            self.on_failure(error, now)

    def replace(self, batch: Batch, parts: list[Batch]) -> None:
        """The records of a batch (or shelf) have moved into others."""
        self._let_go(batch)
        for part in parts:
            self.live.setdefault(part.serial, part)
        for flush in list(self._flushes):
            flush.replaced(batch, parts)

    def flush(self, done: Callable[[], object]) -> Flush:
        """Wait for all that is live now; ``done`` may be called before this returns."""
        flush = Flush(set(self.live.values()), done)
        if flush.waiting:
            self._flushes.append(flush)
        else:
            done()
        return flush

    def abandon(self, flush: Flush) -> None:
        """Nobody waits for this flush any more."""
        if flush in self._flushes:
            self._flushes.remove(flush)

    def _tell_in_order(self, sealed: SealedBatch) -> None:
        """Callbacks of a partition come in the order of its records, whatever settles first."""
        queue, batch = sealed.queue, sealed.batch
        if not (queue.in_flight or queue.waiting or queue.held):
            # The only one.
            self.deliveries.add(batch)
            return
        if batch.watchers and queue.is_behind(sealed):
            # One ahead of it is still being retried. Only callbacks have an order to keep:
            # whoever awaits a record need not wait for another's.
            _wake(batch)
            insort(queue.held, sealed)
        else:
            self.deliveries.add(batch)
        while queue.held and not queue.is_behind(queue.held[0]):
            self.deliveries.add(queue.held.pop(0).batch)

    def _let_go(self, batch: Batch) -> None:
        self.live.pop(batch.serial, None)
        self._appender.recharge(batch, 0)
        sealed, batch.sealed = batch.sealed, None
        if sealed is not None:
            # Its header, body and attempts are of no use any more, and a caller may keep a
            # handle, thus the batch, for as long as he likes.
            sealed.body = None

    def _settled(self, batch: Batch, failed: int) -> None:
        sealed: SealedBatch | None = batch.sealed
        self._let_go(batch)
        if sealed is None:
            self.deliveries.add(batch)
        else:
            self._tell_in_order(sealed)
        if self._flushes:
            self._tell_flushes(batch, failed)

    def _tell_flushes(self, batch: Batch, failed: int) -> None:
        for flush in list(self._flushes):
            flush.settled(batch, failed)
            if not flush.waiting:
                self.abandon(flush)


def _wake(batch: Batch) -> None:
    """Wake those who await a record of the batch; its callbacks stay."""
    callbacks = []
    for delivery, watcher in pairs(batch.watchers):
        if not hasattr(watcher, "set_result"):
            callbacks += [delivery, watcher]
        elif not watcher.done():
            watcher.set_result(None)
    batch.watchers = callbacks or None
