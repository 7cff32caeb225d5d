"""A batch, and the handle of one of its records: the pure twin's half that outlives the append.

The twin of the classes of the same names in ``_appender.pyx``.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Generator
from typing import TYPE_CHECKING, Any, Final

from pyproducer.core.appender_rules import CALLBACK_HELD, callback_error, pairs
from pyproducer.model import RecordMetadata, TimestampType

if TYPE_CHECKING:
    from pyproducer.core._topic_py import PartitionState, Prepared

__all__ = ["ACKED", "CLOSED", "FAILED", "OPEN", "SPLIT", "Batch", "Delivery", "run_watchers"]

logger = logging.getLogger("pyproducer.delivery")

OPEN: Final = 0
CLOSED: Final = 1
ACKED: Final = 2
FAILED: Final = 3
SPLIT: Final = 4


class Batch:
    """Records of one partition on their way, and later their outcome.

    The outcome is kept here once for all records; a :class:`Delivery` works out its own share
    when it is asked.
    """

    __slots__ = (
        "_chunks",
        "base_offset",
        "base_timestamp",
        "beside",
        "charged",
        "codec",
        "count",
        "created",
        "error",
        "expected",
        "home",
        "log_append_time",
        "max_timestamp",
        "parts",
        "record_errors",
        "sealed",
        "seen",
        "serial",
        "shelved",
        "size",
        "state",
        "told",
        "urgent",
        "watchers",
    )

    def __init__(self, home: PartitionState, serial: int) -> None:
        self.home = home
        self.serial = serial
        self.state = OPEN
        self.count = 0
        self.size = 0
        self.charged = 0
        #: What of that is for the batch itself, handles and callbacks.
        self.beside = 0
        self.created = 0.0
        self.urgent = False
        self.base_timestamp = 0
        self.max_timestamp = -1
        self.base_offset = -1
        self.log_append_time = -1
        self.error: BaseException | None = None
        self.record_errors: dict[int, BaseException] | None = None
        self.seen: bytearray | None = None
        self.parts: list[tuple[int, Batch]] | None = None
        #: Deliveries and their callbacks or futures in turns, told in order; None for nobody.
        self.watchers: list[Any] | None = None
        #: How many of them have been told.
        self.told = 0
        #: A group waits for the batch as a whole, so that its failure is no news to anybody.
        self.expected = False
        self.shelved: list[Prepared] | None = None
        self.sealed: Any = None
        #: The codec that its body is compressed by already; None where that was not begun.
        self.codec: Any = None
        self._chunks: list[bytes] = []

    @property
    def topic(self) -> str:
        """The topic's name."""
        return self.home.topic.name

    @property
    def partition(self) -> int:
        """The partition's number; -1 while it waits for one on the shelf."""
        return self.home.number

    def watch(self, delivery: Delivery, watcher: Any) -> None:
        """Have a callback or future told of a delivery's outcome."""
        if self.watchers is None:
            self.watchers = [delivery, watcher]
        else:
            self.watchers += [delivery, watcher]

    def body(self) -> bytes:
        """The records' bytes as they go on the wire, without the batch header."""
        # Looked at once: another thread may drop the body meanwhile.
        chunks = self._chunks
        if len(chunks) != 1:
            chunks = self._chunks = [b"".join(chunks)]
        return chunks[0]

    def drop_body(self) -> None:
        """Let go of the records' bytes; the outcome stays."""
        self._chunks = []

    # Outcome. Set once; called by the engine on its own thread.

    def acknowledge(self, base_offset: int, log_append_time: int) -> None:
        """Every record of the batch is in the log."""
        with self.home.topic.appender.lock:
            if self.state > CLOSED:
                return
            self.base_offset = base_offset
            self.log_append_time = log_append_time
            self.state = ACKED
            self._chunks = []

    def fail(
        self, error: BaseException, record_errors: dict[int, BaseException] | None = None
    ) -> int:
        """No record of the batch is acknowledged; the number that nobody watches is returned."""
        with self.home.topic.appender.lock:
            if self.state > CLOSED:
                return 0
            self.error = error
            self.record_errors = record_errors
            self.state = FAILED
            self._chunks = []
            seen = bytearray(self.count)
            for delivery, watcher in pairs(self.watchers):
                if not (hasattr(watcher, "cancelled") and watcher.cancelled()):
                    seen[delivery._index] = 1
            self.seen = seen
            return self.count - sum(seen)

    def split(self, parts: list[tuple[int, Batch]]) -> None:
        """Hand the records over to smaller batches: (first index, batch), ascending."""
        # Under the lock: another thread may be adding a callback.
        with self.home.topic.appender.lock:
            self.parts = parts
            self.state = SPLIT
            self._chunks = []
            for delivery, watcher in pairs(self.watchers):
                part = delivery._resolve()
                part.watch(delivery, watcher)
                part.beside += CALLBACK_HELD
            for _, part in parts:
                part.expected = self.expected
            self.watchers = None

    def _part(self, index: int) -> tuple[int, Batch]:
        assert self.parts is not None
        found = self.parts[0]
        for first, part in self.parts:
            if first > index:
                break
            found = (first, part)
        return found


class Delivery:
    """The handle of one accepted record: await it, ask it, or give it a callback.

    Cancelling the task that awaits it never cancels the delivery itself.
    """

    __slots__ = ("_batch", "_index", "_timestamp")

    def __init__(self, batch: Batch, index: int, timestamp: int) -> None:
        self._batch = batch
        self._index = index
        self._timestamp = timestamp

    def __repr__(self) -> str:
        batch = self._resolve()
        state = "pending"
        if batch.state == ACKED:
            state = "delivered"
        elif batch.state == FAILED:
            state = "failed"
        return f"<Delivery {batch.topic}-{batch.partition} {state}>"

    def _resolve(self) -> Batch:
        batch = self._batch
        while batch.state == SPLIT:
            first, part = batch._part(self._index)
            self._batch = batch = part
            self._index -= first
        return batch

    @property
    def topic(self) -> str:
        """The topic's name."""
        return self._batch.home.topic.name

    @property
    def partition(self) -> int | None:
        """The partition's number, or None while none is chosen because no metadata came yet."""
        number = self._batch.home.number
        return None if number < 0 else number

    def done(self) -> bool:
        """True once the outcome is known."""
        return self._resolve().state > CLOSED

    def expect(self) -> None:
        """Somebody waits for the batch as a whole: its failure is no news to anybody else."""
        self._resolve().expected = True

    def result(self, timeout: float | None = None) -> RecordMetadata:
        """Where the record is.

        On an event loop's thread this never blocks; elsewhere it waits for the outcome.

        Args:
            timeout: seconds to wait, None for as long as the delivery timeout allows.

        Raises:
            NotDone: the outcome is not known and this thread must not wait for it.
            TimeoutError: ``timeout`` passed first.
            DeliveryError: or whatever else the record ended in.
        """
        batch = self._resolve()
        if batch.state <= CLOSED:
            batch.home.topic.appender.host.block(self, timeout)
        try:
            return self._outcome()
        finally:
            del batch, self

    def exception(self, timeout: float | None = None) -> BaseException | None:
        """What the record failed with, or None if it was delivered; waits as result() does."""
        batch = self._resolve()
        if batch.state <= CLOSED:
            batch.home.topic.appender.host.block(self, timeout)
        return self._failure()

    def add_done_callback(self, callback: Callable[[Delivery], object]) -> None:
        """Call ``callback(delivery)`` once the outcome is known, at the loop's next turn."""
        batch = self._resolve()
        appender = batch.home.topic.appender
        if not callable(callback) or appender.is_coroutine_function(callback):
            raise callback_error(batch.topic, callback)
        self._watch(callback)

    def _watch(self, callback: Callable[[Delivery], object]) -> None:
        """The same for one of ours, which is sound."""
        appender = self._batch.home.topic.appender
        host = appender.host
        with appender.lock:
            batch = self._resolve()
            if batch.state <= CLOSED:
                batch.watch(self, callback)
                return
        self._mark_seen(batch)
        host.soon(callback, self)

    def __await__(self) -> Generator[Any, None, RecordMetadata]:
        batch = self._resolve()
        if batch.state <= CLOSED:
            future = batch.home.topic.appender.host.future()
            batch.watch(self, future)
            yield from future
        return self._outcome()

    def _outcome(self) -> RecordMetadata:
        batch = self._resolve()
        if batch.state == FAILED:
            error = self._failure()
            assert error is not None
            try:
                # One exception object serves all records of the batch: without this each raise
                # would lengthen the traceback that the last one left.
                raise error.with_traceback(None)
            finally:
                # The traceback holds this frame, which must not hold the error in turn.
                del batch, error, self
        home = batch.home
        offset = batch.base_offset
        stamped = batch.log_append_time
        return RecordMetadata(
            home.topic.name,
            home.number,
            offset + self._index if offset >= 0 else -1,
            stamped if stamped >= 0 else self._timestamp,
            TimestampType.LOG_APPEND_TIME if stamped >= 0 else TimestampType.CREATE_TIME,
        )

    def _failure(self) -> BaseException | None:
        batch = self._resolve()
        if batch.state != FAILED:
            return None
        self._mark_seen(batch)
        error = batch.error
        if batch.record_errors is not None:
            error = batch.record_errors.get(self._index, error)
        return error

    def _mark_seen(self, batch: Batch) -> None:
        seen = batch.seen
        if seen is not None and not seen[self._index]:
            seen[self._index] = 1
            batch.home.topic.appender.host.saw(batch)


def run_watchers(batch: Batch, stop: int, _straight: bool = False) -> int:
    """Tell a settled batch's watchers up to ``stop``, each once; how many know is returned.

    Whether a task runs meanwhile is all the same: here those who await a delivery await a future
    of asyncio's, which lets them go on in a later turn of its loop.
    """
    watchers = batch.watchers
    if watchers is None:
        return 0
    stop = min(stop, len(watchers) // 2)
    # Looked at each time: who is told may have others told.
    while batch.told < stop:
        delivery, watcher = watchers[2 * batch.told : 2 * batch.told + 2]
        # First: one who is told when a signal's handler raises is not told again.
        batch.told += 1
        if hasattr(watcher, "set_result"):
            if not watcher.done():
                watcher.set_result(None)
            continue
        try:
            watcher(delivery)
        except (KeyboardInterrupt, SystemExit):
            raise
        except BaseException:
            # Also what is no Exception: a callback that looks at a cancelled future raises that
            # future's CancelledError, which is nobody else's.
            logger.exception(
                "on_delivery callback %r failed for a record of %s-%s",
                watcher,
                batch.topic,
                batch.partition,
            )
    if 2 * stop == len(watchers):
        batch.watchers = None
    return stop
