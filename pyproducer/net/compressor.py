"""Compresses the bodies of batches on threads of its own, beside the one that appends.

A body is taken up as soon as its batch is full, which may be long before the engine looks at it: a
caller who never lets the event loop run still has what he appends compressed meanwhile.

The libraries let go of the interpreter while they work and want it back at the end. The thread that
appends hardly ever waits for anything, so they would be kept waiting for as long as they work: five
milliseconds for each body where it never lets go, and for ever where it lets go for an instant,
takes the interpreter again before anybody wakes up, and by that makes the five begin anew. So it
steps aside for them by itself, when one is likely to stand at the door and only until it is in.
"""

from __future__ import annotations

import contextlib
import logging
import os
import sys
import threading
from collections import deque
from concurrent.futures import ThreadPoolExecutor
from time import perf_counter, thread_time
from typing import TYPE_CHECKING, Final

from pyproducer.core.appender import CLOSED
from pyproducer.records.codec import Codec
from pyproducer.records.compression import compress

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from pyproducer.core.appender import Batch
    from pyproducer.core.batch import SealedBatch
    from pyproducer.model import Buffer

__all__ = ["Compressor"]

logger = logging.getLogger("pyproducer.net")

#: Bodies below this many bytes are compressed where they are: a thread would cost more.
_SMALL_BODY: Final = 16 * 1024

_THREADS: Final = 2

#: By so much less than others these threads have a claim to a processor. Where there are too few,
#: the one that runs the event loop must not wait for theirs: what they have not done while records
#: are appended, they do while outcomes are told.
_NICE: Final = 5

#: Bytes not compressed yet for which it is worth stepping aside.
_WORTH_IT: Final = 512 * 1024

#: Seconds for which one steps aside at most: he who is expected may have no processor.
_PATIENCE: Final = 0.0001

_NEVER: Final = float("inf")
_HAS_GIL: Final = getattr(sys, "_is_gil_enabled", lambda: True)()


def _stand_back() -> None:
    """Let other threads have a processor first, where one thread can be told that by itself."""
    if sys.platform == "linux":
        with contextlib.suppress(OSError):
            os.setpriority(os.PRIO_PROCESS, 0, os.getpriority(os.PRIO_PROCESS, 0) + _NICE)


class _Job:
    """The compression of one body; ``sealed`` is None until the engine asks for it."""

    __slots__ = ("batch", "body", "codec", "done", "error", "made", "sealed", "size")

    def __init__(self, batch: Batch, codec: Codec) -> None:
        self.batch = batch
        # Not asked for by the thread that compresses it: the batch may be settled at any time.
        self.body: Buffer | None = batch.body()
        self.codec = codec
        self.size = batch.size
        self.sealed: SealedBatch | None = None
        self.done = False
        self.made: bytes | None = None
        self.error: Exception | None = None


class Compressor:
    """The compression of one producer's batches.

    Args:
        codec: the producer's own, where a topic has none.
        level: of that codec, None for its default.
        tell: called by a thread when something is done, not again before :meth:`finished`.
    """

    def __init__(self, codec: Codec, level: int | None, tell: Callable[[], object]) -> None:
        self._codec = codec
        self._level = level
        self._tell = tell
        self._told = False
        #: Nothing is to be done or told, so that there is nothing to ask for.
        self.quiet = True
        self._executor: ThreadPoolExecutor | None = None
        self._early: dict[int, _Job] = {}
        self._done: deque[_Job] = deque()
        # All below is guarded by it.
        self._lock = threading.Lock()
        self._line: deque[_Job] = deque()
        #: Bytes of what stands in line or is worked on.
        self._pending = 0
        #: Numbers of the threads that have nothing to do.
        self._free = list(range(_THREADS))
        #: When each of them is likely to want the interpreter.
        self._back_at = [_NEVER] * _THREADS
        #: Seconds of processor time that a byte took last.
        self._pace: dict[Codec, float] = {}
        #: Held; let go once by the last of those that are waited for.
        self._door = threading.Lock()
        self._door.acquire()
        self._awaited = 0

    def begin(self, batch: Batch) -> None:
        """Compress the body of a batch that is full, for :meth:`take` to come; from any thread."""
        codec = batch.home.topic.codec
        if codec is None:
            codec = self._codec
        if codec is not Codec.NONE and batch.size >= _SMALL_BODY:
            # Whoever gives the topic a codec of its own from now on does it too late for this one.
            batch.codec = codec
            job = self._early[batch.serial] = _Job(batch, codec)
            self._put(job)

    def take(self, sealed: SealedBatch) -> bool:
        """Compress a closed batch; :meth:`finished` tells what came of it, now if this is True."""
        self.quiet = False
        batch = sealed.batch
        job = self._early.pop(batch.serial, None)
        if job is not None:
            job.sealed = sealed
            if job.done:
                self._done.append(job)
            return job.done
        job = _Job(batch, sealed.codec)
        job.sealed = sealed
        if job.size >= _SMALL_BODY:
            return self._put(job)
        self._compress(job)
        self._done.append(job)
        return True

    def finished(self) -> Iterator[tuple[SealedBatch, bytes | None]]:
        """What was taken and is done; None for a body that is to be sent as it is."""
        self._told = False
        while self._done:
            job = self._done.popleft()
            job.done = True
            sealed = job.sealed
            if sealed is None:
                continue
            if job.error is not None and job.batch.state <= CLOSED:
                logger.error("compression failed, the batch is sent uncompressed: %s", job.error)
            yield sealed, job.made
        with self._lock:
            self.quiet = not self._pending and not self._done

    def stop(self) -> None:
        """End the threads; nobody wants what they have not done yet."""
        with self._lock:
            self._pending -= sum(job.size for job in self._line)
            self._line.clear()
            executor, self._executor = self._executor, None
        self._early.clear()
        if executor is not None:
            executor.shutdown(wait=True)
        self._done.clear()
        self._told = False

    def step_aside(self, begun: int = 0) -> None:
        """Let threads in that want the interpreter; not on one of them, nor from two threads.

        Args:
            begun: bytes of a batch that is full just now, which nobody can have finished yet.
        """
        if self._pending - begun < _WORTH_IT or not _HAS_GIL:
            return
        with self._lock:
            now = perf_counter()
            self._awaited = sum(at <= now for at in self._back_at)
            if not self._awaited:
                return
            # It is open where a signal's handler raised in here the last time.
            self._door.acquire(blocking=False)
        if self._door.acquire(timeout=_PATIENCE):
            return
        with self._lock:
            if not self._awaited:
                # The last of them came in just now.
                self._door.acquire(blocking=False)
            self._awaited = 0
            # They are late, for want of a processor: they must not be waited for all the time.
            self._back_at = [max(at, now + 4 * _PATIENCE) for at in self._back_at]

    def _put(self, job: _Job) -> bool:
        """Have a thread do it; True where there is none and it is done."""
        with self._lock:
            self.quiet = False
            self._line.append(job)
            self._pending += job.size
            if not self._free:
                return False
            number = self._free.pop()
            self._back_at[number] = 0.0
            # Two threads that both found none would each make one, and only one be stopped.
            executor = self._executor
            if executor is None:
                executor = self._executor = ThreadPoolExecutor(
                    _THREADS, "pyproducer-compress", initializer=_stand_back
                )
        try:
            executor.submit(self._work, number)
        except RuntimeError:
            # The interpreter is ending and starts no thread any more.
            self._work(number)
            return True
        except BaseException:
            # Ctrl-C: the next job starts the thread.
            with self._lock:
                self._free.append(number)
            raise
        return False

    def _work(self, number: int) -> None:
        """Compress whatever stands in line, until nothing does."""
        done = 0
        while (job := self._next(number, done)) is not None:
            done = job.size
            began = thread_time()
            self._compress(job)
            self._pace[job.codec] = (thread_time() - began) / job.size
            self._done.append(job)
            if not self._told:
                self._told = True
                # The loop may be closed: then nobody wants to know.
                with contextlib.suppress(RuntimeError):
                    self._tell()

    def _next(self, number: int, done: int) -> _Job | None:
        """What a thread does next that has done so many bytes; with None it has ended."""
        with self._lock:
            self._pending -= done
            job = None
            if self._line:
                job = self._line.popleft()
                took = self._pace.get(job.codec, 0.0) * job.size
                self._back_at[number] = perf_counter() + took
            else:
                self._back_at[number] = _NEVER
                self._free.append(number)
            if self._awaited:
                self._awaited -= 1
                if not self._awaited:
                    self._door.release()
        return job

    def _compress(self, job: _Job) -> None:
        try:
            body, job.body = job.body, None
            assert body is not None
            # The level is the producer's codec's; a topic's own codec has its default.
            level = self._level if job.codec is self._codec else None
            made = compress(job.codec, body, level)
            # What compression does not shrink is sent as it is.
            if len(made) < len(body):
                job.made = made
                if _HAS_GIL:
                    # The next batches have its memory at once, however long it is until this one
                    # is sent. Without a GIL another thread may be looking at it just now.
                    job.batch.drop_body()
        except Exception as error:
            job.error = error
