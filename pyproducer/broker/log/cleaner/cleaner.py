"""The log cleaner of a broker: which log is cleaned next, and up to where each one was."""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Final, TypeVar

from pyproducer.broker.errors import Refused
from pyproducer.broker.log.checkpoints import CorruptCheckpointError, OffsetCheckpoint
from pyproducer.broker.log.cleaner.cleaning import Cleaned, Cleaning
from pyproducer.broker.log.cleaner.dirt import Dirt, dirt_of
from pyproducer.broker.log.cleaner.settings import CleanerSettings
from pyproducer.broker.log.cleaner.steps import CleaningStopped, Steps, run_here
from pyproducer.broker.log.filesystem import FileSystem
from pyproducer.broker.log.index import CorruptIndexError
from pyproducer.clock import Clock
from pyproducer.errors import CorruptRecord
from pyproducer.model import TopicPartition

if TYPE_CHECKING:
    from pyproducer.broker.log.log import PartitionLog

__all__ = ["LogCleaner"]

_log = logging.getLogger(__name__)

_CHECKPOINT: Final = "cleaner-offset-checkpoint"
_SECRET_BYTES: Final = 16
_T = TypeVar("_T")


class LogCleaner:
    """Compacts the logs of one data directory whose ``cleanup.policy`` asks for it.

    Args:
        path: The data directory.
        logs: The logs by partition, as they are at any time.
        clock: Gives the time.
        fs: Where the directory is.
        random_bytes: Source of the secret that each map of keys gets.

    Attributes:
        settings: What it obeys; assign new ones to change them at once.
    """

    def __init__(
        self,
        path: Path,
        logs: Mapping[TopicPartition, PartitionLog],
        *,
        clock: Clock,
        fs: FileSystem,
        random_bytes: Callable[[int], bytes] = os.urandom,
    ) -> None:
        self.settings = CleanerSettings()
        self._logs = logs
        self._clock = clock
        self._random_bytes = random_bytes
        self._checkpoint = OffsetCheckpoint(fs, path / _CHECKPOINT)
        self._cleaned_to: dict[TopicPartition, int] = {}
        # The checkpoint was broken: any log may have been cleaned.
        self._unknown = False
        # As in Kafka: a log with something unreadable in it is left alone until the next start.
        self._uncleanable: set[TopicPartition] = set()
        self._current: Cleaning | None = None
        self._stopped = False

    def open(self) -> None:
        """What the last run has cleaned is known.

        Raises:
            OSError: the checkpoint cannot be read.
        """
        try:
            self._cleaned_to = self._checkpoint.read()
        except CorruptCheckpointError as error:
            # Cleaning from the start again costs time, and no data.
            _log.warning("%s; going on without it", error)
            self._unknown = True

    def cleaned_to(self, tp: TopicPartition) -> int | None:
        """Where the last cleaning of a log ended, or None without one."""
        return self._cleaned_to.get(tp)

    def may_have_cleaned(self, tp: TopicPartition) -> bool:
        """Whether offsets may be missing in a log because it was once cleaned, if only in part."""
        return self._unknown or tp in self._cleaned_to

    def forget(self, tp: TopicPartition) -> None:
        """The log is gone; another one of that name starts dirty."""
        self._uncleanable.discard(tp)
        if self._cleaned_to.pop(tp, None) is not None:
            self._save_or_tell()

    def dirt(self, tp: TopicPartition) -> Dirt:
        """What is dirty in a log now.

        Raises:
            OSError: it cannot be read.
            CorruptRecord: likewise.
        """
        log = self._logs[tp]
        return dirt_of(
            list(log.storage[1]),
            log.config,
            start_offset=log.log_start_offset,
            stable_offset=log.last_stable_offset,
            cleaned_to=self._cleaned_to.get(tp),
            now_ms=self._clock.wall_ms(),
        )

    def clean(self) -> int:
        """Every log that is worth it was cleaned, here and now; says how many."""
        return run_here(self._clean_all())

    async def clean_elsewhere(self) -> int:
        """As :meth:`clean`, with all work on other threads that can be done there."""
        return await _drive(self._clean_all())

    def stop(self) -> None:
        """Nothing is cleaned any more; what is being cleaned ends soon, as it was or in place."""
        self._stopped = True
        if self._current is not None:
            self._current.stop()

    def _clean_all(self) -> Steps[int]:
        done = 0
        tried: set[TopicPartition] = set()
        while self.settings.enable and not self._stopped:
            found = self._dirtiest(tried)
            if found is None:
                break
            tp, dirt = found
            if (yield from self._clean(tp, dirt)):
                # A map that was full leaves dirt, which is not left lying.
                done += 1
            else:
                tried.add(tp)
        return done

    def _dirtiest(self, tried: set[TopicPartition]) -> tuple[TopicPartition, Dirt] | None:
        """The log to be cleaned next: of those worth it the one with the largest dirty share."""
        best: tuple[TopicPartition, Dirt] | None = None
        for tp, log in self._logs.items():
            if not log.config.compacted or not log.online or tp in tried | self._uncleanable:
                continue
            try:
                dirt = self.dirt(tp)
            except (OSError, CorruptRecord) as error:
                self._give_up(tp, error)
                return self._dirtiest(tried)
            if dirt.worth_cleaning(log.config) and (best is None or dirt.ratio > best[1].ratio):
                best = tp, dirt
        return best

    def _clean(self, tp: TopicPartition, dirt: Dirt) -> Steps[bool]:
        """Says whether more of the log is clean than before."""
        log = self._logs[tp]
        cleaning = self._current = Cleaning(
            log,
            dirt,
            self.settings,
            now_ms=self._clock.wall_ms(),
            secret=self._random_bytes(_SECRET_BYTES),
        )
        try:
            self._announce(tp, dirt.first)
            cleaned = yield from cleaning.steps()
        except CleaningStopped:
            return False
        except (CorruptRecord, CorruptIndexError) as error:
            self._give_up(tp, error)
            return False
        except (OSError, Refused) as error:
            # The log says itself if it is offline. Otherwise a disk that was full is not for ever.
            _log.error("%s was not compacted: %s", tp, error)
            return False
        except Exception as error:
            # As in Kafka: tried again first of all each time, it would keep all others dirty.
            _log.exception("compacting %s", tp)
            self._give_up(tp, error)
            return False
        finally:
            self._current = None
        if self._logs.get(tp) is not log:
            return False
        self._told(tp, dirt, cleaned)
        self._cleaned_to[tp] = cleaned.end_offset
        self._save_or_tell()
        return cleaned.end_offset > dirt.first

    def _give_up(self, tp: TopicPartition, error: Exception) -> None:
        self._uncleanable.add(tp)
        _log.error("%s is not compacted any more until the next start: %r", tp, error)

    def _told(self, tp: TopicPartition, dirt: Dirt, cleaned: Cleaned) -> None:
        _log.info(
            "%s: compacted offsets %d to %d, %d bytes to %d",
            tp,
            dirt.first,
            cleaned.end_offset,
            cleaned.bytes_before,
            cleaned.bytes_after,
        )

    def _announce(self, tp: TopicPartition, first: int) -> None:
        """The checkpoint has the log, before anything of it changes.

        A cleaning that is broken off leaves holes like one that ends. Whoever reads the log once
        its topic is not compacted any more must not take them for records that the disk has lost.

        Raises:
            OSError: it has not.
        """
        if tp in self._cleaned_to:
            return
        self._cleaned_to[tp] = first
        try:
            self._save()
        except OSError:
            del self._cleaned_to[tp]
            raise

    def _save(self) -> None:
        # Also of logs that are offline: what was missing in them is missing when they are back.
        known = dict(self._cleaned_to)
        if self._unknown:
            known = dict.fromkeys(self._logs, 0) | known
        self._checkpoint.write(known)

    def _save_or_tell(self) -> None:
        try:
            self._save()
        except OSError as error:
            # The next start cleans again what was clean.
            _log.error("what is clean could not be recorded: %s", error)


async def _drive(steps: Steps[_T]) -> _T:
    """All steps are done on other threads; cancelling waits for the one under way."""
    while True:
        try:
            step = next(steps)
        except StopIteration as end:
            result: _T = end.value
            return result
        running = asyncio.ensure_future(asyncio.to_thread(step))
        try:
            await asyncio.shield(running)
        except asyncio.CancelledError:
            # Its files are closed behind it, and their numbers may be given to others.
            await running
            steps.close()
            raise
