# cython: annotation_typing=False, nonecheck=True, binding=False, freethreading_compatible=True
"""From what callers append to batches that can be sent: opened, lingering, closed, expired."""

from __future__ import annotations

from typing import Protocol

from pyproducer.core.accumulator import PartitionQueue
from pyproducer.core.appender import CLOSED, OPEN, Appender, Batch
from pyproducer.core.batch import SealedBatch
from pyproducer.core.links import Links
from pyproducer.core.metadata import Cluster
from pyproducer.core.settler import Settler
from pyproducer.core.timers import BatchTimers
from pyproducer.errors import DeliveryTimeout, UnknownTopic

__all__ = ["Intake", "IntakeHost"]


class IntakeHost(Protocol):
    """What the intake asks of the engine around it."""

    def ready(self, queue: PartitionQueue) -> None:
        """The partition may have something to send."""

    def compress(self, sealed: SealedBatch) -> None:
        """Have a batch's body compressed, where its topic wants that."""

    def expire(self, sealed: SealedBatch, now: float) -> None:
        """The records of a closed batch have waited for as long as they may."""


class Intake:
    """The appender's far end: takes note of its batches, and keeps their times.

    Attributes:
        lingering: batches that still fill, by the time at which they are due.
        expiring: batches and shelves by the time at which they have failed.
    """

    def __init__(
        self,
        *,
        appender: Appender,
        settler: Settler,
        cluster: Cluster,
        links: Links,
        linger: float | None,
        delivery_timeout: float,
        host: IntakeHost,
    ) -> None:
        self._appender = appender
        self._settler = settler
        self._cluster = cluster
        self._links = links
        self._linger = linger
        self._delivery_timeout = delivery_timeout
        self._host = host
        self.lingering = BatchTimers(OPEN, linger or 0.0)
        self.expiring = BatchTimers(CLOSED, delivery_timeout)

    def deadline(self) -> float:
        """When a batch is due or expires, in monotonic seconds; NEVER for none."""
        return min(self.lingering.next, self.expiring.next)

    def close_open(self, now: float) -> None:
        """Close every batch that still fills: it leaves without lingering."""
        self.absorb(now)
        for batch in list(self._settler.live.values()):
            if batch.state == OPEN and batch.home.number >= 0:
                self._appender.close_open(batch.home)
        self.absorb(now)

    def absorb(self, now: float, shelf: Batch | None = None) -> None:
        """Take note of what the appender opened, closed and hurried.

        Args:
            now: monotonic seconds.
            shelf: where the records come from that were appended just now, if from a shelf:
                they keep the time they came in, and have lingered enough.
        """
        appender = self._appender
        opened, closed, hurried = appender.take()
        if opened:
            self._note(opened, now, shelf)
        for batch in closed:
            if batch.error is not None:
                # A record that could not leave the shelf: refused alone, by name.
                self._settler.fail(batch, _as_exception(batch.error), now)
            else:
                self._seal(batch)
        for batch in hurried:
            if batch.state == OPEN:
                self._host.ready(queue_of(batch))
        if appender.starved:
            # Nothing makes room but sending what is there.
            appender.starved = False
            for batch in list(self._settler.live.values()):
                if batch.state == OPEN and batch.home.number >= 0:
                    self._make_due(batch)

    def _note(self, opened: list[Batch], now: float, shelf: Batch | None) -> None:
        """Keep the times of batches that were opened."""
        created = now if shelf is None else shelf.created
        for batch in opened:
            batch.created = created
            self._settler.add(batch)
            self.expiring.add(batch)
            if batch.home.number < 0:
                self._cluster.want(batch.topic, now)
                continue
            self._cluster.use(batch.topic, now)
            if batch.state != OPEN:
                continue
            if shelf is not None or self._linger == 0:
                self._make_due(batch)
            elif self._linger is not None:
                self.lingering.add(batch)

    def _seal(self, batch: Batch) -> None:
        queue = queue_of(batch)
        deadline = batch.created + self._delivery_timeout
        sealed = batch.sealed = SealedBatch(batch, queue, queue.place(), 0, deadline)
        queue.waiting.append(sealed)
        self._host.compress(sealed)

    def _make_due(self, batch: Batch) -> None:
        queue = queue_of(batch)
        queue.due = batch.serial
        self._host.ready(queue)

    def linger(self, now: float) -> None:
        """Batches that have waited for more records long enough are due."""
        while (batch := self.lingering.due(now)) is not None:
            self._make_due(batch)

    def expire(self, now: float) -> None:
        """Fail what has waited for its acknowledgement for as long as it may."""
        while (batch := self.expiring.due(now)) is not None:
            self.close_one(batch, now)
            if batch.sealed is not None:
                self._host.expire(batch.sealed, now)
            elif batch.state <= CLOSED:
                self._settler.fail(batch, self._shelf_expired(batch, now), now)

    def close_one(self, batch: Batch, now: float) -> None:
        """Leave a batch or shelf no way to take another record."""
        if batch.state != OPEN:
            return
        if batch.home.number < 0:
            self._appender.refuse_shelf(batch.home.topic)
        else:
            self._appender.close_open(batch.home)
            self.absorb(now)

    def _shelf_expired(self, batch: Batch, now: float) -> Exception:
        if batch.topic in self._cluster.unknown_since:
            return UnknownTopic(
                f"topic {batch.topic!r} does not exist, so the cluster says since "
                f"{now - self._cluster.unknown_since[batch.topic]:.1f} s; create it, or set "
                "allow_auto_create_topics where the broker may create topics by itself",
                topic=batch.topic,
            )
        tried = self._links.failed_addresses
        where = tried[-1] if tried else None
        why = (
            f"no broker answers; last tried {where[0]}: {where[1]}"
            if where
            else "the cluster did not say where its partitions are"
        )
        return DeliveryTimeout(
            f"nothing is known of topic {batch.topic!r} after {now - batch.created:.1f} s: {why}",
            topic=batch.topic,
            elapsed=now - batch.created,
            retriable=True,
        )


def queue_of(batch: Batch) -> PartitionQueue:
    """The partition of a batch that is not on a shelf."""
    queue: PartitionQueue = batch.home.queue
    return queue


def _as_exception(error: BaseException) -> Exception:
    return error if isinstance(error, Exception) else RuntimeError(repr(error))
