"""All partition logs of one broker, under one data directory."""

from __future__ import annotations

import logging
import re
import uuid
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Final, NamedTuple

from pyproducer.broker.errors import Refused
from pyproducer.broker.log.checkpoints import CorruptCheckpointError, OffsetCheckpoint
from pyproducer.broker.log.cleaner.cleaner import LogCleaner
from pyproducer.broker.log.config import LogConfig
from pyproducer.broker.log.directory import DataDirectory, read_topic_id, write_topic_id
from pyproducer.broker.log.filesystem import FileSystem, RealFileSystem
from pyproducer.broker.log.log import PartitionLog
from pyproducer.clock import Clock
from pyproducer.model import TopicPartition
from pyproducer.protocol.error_codes import ErrorCode

__all__ = ["LogManager", "TopicLogs"]

_log = logging.getLogger(__name__)

_PARTITION_DIR: Final = re.compile(r"(?P<topic>[a-zA-Z0-9._-]+)-(?P<partition>[0-9]+)")
#: What is left of a deleted partition, or of one that nobody knows any more.
_DELETED: Final = "-delete"
_STRAY: Final = "-stray"
#: The longest name that file systems take.
_NAME_MAX: Final = 255


class TopicLogs(NamedTuple):
    """What the logs of a topic need to know of it."""

    topic_id: uuid.UUID
    config: LogConfig


class LogManager:
    """Opens, makes, deletes and closes the logs of one data directory.

    Args:
        path: The data directory; made if missing.
        clock: Gives the time to all logs.
        fs: The file system, by default the machine's.
        node_id: The broker's number.
        cluster_id: The cluster's id; None takes what the directory says, or a new one.
        sole_replicas: No partition has a replica elsewhere: what is appended is committed.
            Otherwise high watermarks come from the checkpoint and somebody else moves them.
        new_uuid: Source of new ids.

    Attributes:
        directory: The data directory; its ``cluster_id`` is known after :meth:`open`.
        logs: The logs by partition. Read it, do not write it.
        offline: Partitions whose directory could not be opened, and why; requests for them
            are answered KAFKA_STORAGE_ERROR.
        cleaner: Compacts them.
    """

    def __init__(
        self,
        path: Path,
        *,
        clock: Clock,
        fs: FileSystem | None = None,
        node_id: int = 1,
        cluster_id: str | None = None,
        sole_replicas: bool = True,
        new_uuid: Callable[[], uuid.UUID] = uuid.uuid4,
    ) -> None:
        self._sole_replicas = sole_replicas
        self._fs = fs or RealFileSystem()
        self._clock = clock
        self._new_uuid = new_uuid
        self.directory = DataDirectory(
            path, fs=self._fs, node_id=node_id, cluster_id=cluster_id, new_uuid=new_uuid
        )
        self.logs: dict[TopicPartition, PartitionLog] = {}
        self.offline: dict[TopicPartition, OSError] = {}
        self.cleaner = LogCleaner(path, self.logs, clock=clock, fs=self._fs)
        self._doomed: list[tuple[int, Path]] = []
        # Recovery point, high watermark and start of what is offline: not to be forgotten.
        self._last_known: dict[TopicPartition, tuple[int, int, int]] = {}
        self._recovery_points = OffsetCheckpoint(
            self._fs, path / "recovery-point-offset-checkpoint"
        )
        self._high_watermarks = OffsetCheckpoint(self._fs, path / "replication-offset-checkpoint")
        self._log_starts = OffsetCheckpoint(self._fs, path / "log-start-offset-checkpoint")

    def open(self) -> None:
        """The data directory is held by this broker; no log is open yet.

        Raises:
            DataDirectoryError: another broker runs on it, or it belongs to another one.
            OSError: the disk failed.
        """
        self.directory.open()

    def load(
        self,
        topics: Mapping[str, TopicLogs],
        *,
        delete_delay_ms: int = LogConfig().file_delete_delay_ms,
    ) -> list[TopicPartition]:
        """The logs of known topics are open, after recovery where the last stop was a crash.

        A directory of an unknown topic, or of an earlier topic of the same name, is set
        aside under a name ending in ``-stray``: a broker that slept through a deletion must
        not bring the topic back, and must not destroy what it does not understand.

        Args:
            topics: What there is, by name.
            delete_delay_ms: How long what was deleted before the last stop stays on disk.

        Returns:
            The partitions that were set aside.

        Raises:
            OSError: the data directory cannot be listed.
        """
        self.cleaner.open()
        starts = _offsets(self._log_starts)
        points = _offsets(self._recovery_points)
        high = _offsets(self._high_watermarks)
        strays: list[TopicPartition] = []
        root = self.directory.path
        for name in self._fs.listdir(root):
            path = root / name
            if not self._fs.is_dir(path):
                continue
            if name.endswith(_DELETED):
                self._doomed.append((self._clock.wall_ms() + delete_delay_ms, path))
                continue
            match = _PARTITION_DIR.fullmatch(name)
            if match is None or name.endswith(_STRAY):
                continue
            tp = TopicPartition(match["topic"], int(match["partition"]))
            try:
                if not self._belongs(path, topics.get(tp.topic)):
                    self._rename_away(tp, _STRAY)
                    _log.warning("%s belongs to no known topic and is set aside", path)
                    strays.append(tp)
                    continue
                self.logs[tp] = PartitionLog.open(
                    tp,
                    path,
                    topics[tp.topic].config,
                    clock=self._clock,
                    fs=self._fs,
                    clean=self.directory.was_clean,
                    recovery_point=points.get(tp, 0),
                    log_start_offset=starts.get(tp, 0),
                    high_watermark=None if self._sole_replicas else high.get(tp, 0),
                    sparse=topics[tp.topic].config.compacted or self.cleaner.may_have_cleaned(tp),
                )
                self.logs[tp].sole_replica = self._sole_replicas
            except OSError as error:
                _log.error("%s is offline: %s", tp, error)
                self.offline[tp] = error
                self._last_known[tp] = (points.get(tp, 0), high.get(tp, 0), starts.get(tp, 0))
        return strays

    def _belongs(self, path: Path, topic: TopicLogs | None) -> bool:
        """Whether a directory is of the topic that now has the name; unmarked ones are."""
        if topic is None:
            return False
        topic_id = read_topic_id(self._fs, path)
        if topic_id is None:
            write_topic_id(self._fs, path, topic.topic_id)
        return topic_id in {None, topic.topic_id}

    def create(self, tp: TopicPartition, topic: TopicLogs) -> PartitionLog:
        """The new and empty log of a partition.

        Raises:
            Refused: KAFKA_STORAGE_ERROR; nothing is left of it.
            ValueError: the partition has a log.
        """
        if tp in self.logs or tp in self.offline:
            raise ValueError(f"{tp} has a log already")
        self.cleaner.forget(tp)
        path = self.directory.path / str(tp)
        try:
            kept = (self._recovery_points, self._high_watermarks, self._log_starts)
            if any(tp in one for one in kept):
                # Offsets of an earlier topic of that name: after a crash this one's records
                # would count as deleted.
                self.checkpoint()
            if self._fs.exists(path):
                # What a crash left of a creation or deletion that was never confirmed.
                self._rename_away(tp, _DELETED)
            self._fs.mkdir(path)
            write_topic_id(self._fs, path, topic.topic_id)
            log = PartitionLog.open(
                tp, path, topic.config, clock=self._clock, fs=self._fs, clean=True
            )
            log.sole_replica = self._sole_replicas
            self._fs.fsync_dir(self.directory.path)
        except OSError as error:
            self._discard(path)
            raise Refused(
                ErrorCode.KAFKA_STORAGE_ERROR, f"cannot create the log of {tp}: {error}"
            ) from error
        self.logs[tp] = log
        return log

    def delete(self, tp: TopicPartition) -> None:
        """The partition has no log any more and its name is free.

        The files stay under ``<topic>-<partition>.<id>-delete`` until
        :meth:`remove_deleted` finds them old enough.

        Raises:
            Refused: KAFKA_STORAGE_ERROR; the log is closed, and its directory may have its name.
                A log that is made next sets it aside.
        """
        log = self.logs.pop(tp, None)
        self.cleaner.forget(tp)
        self.offline.pop(tp, None)
        self._last_known.pop(tp, None)
        delay = log.config.file_delete_delay_ms if log else 0
        if log:
            log.abandon()
        try:
            path = self._rename_away(tp, _DELETED)
            self._doomed.append((self._clock.wall_ms() + delay, path))
            self._fs.fsync_dir(self.directory.path)
        except OSError as error:
            raise Refused(
                ErrorCode.KAFKA_STORAGE_ERROR, f"cannot delete the log of {tp}: {error}"
            ) from error

    def _rename_away(self, tp: TopicPartition, suffix: str) -> Path:
        tail = f"-{tp.partition}.{self._new_uuid().hex}{suffix}"
        path = self.directory.path / (tp.topic[: _NAME_MAX - len(tail)] + tail)
        self._fs.rename(self.directory.path / str(tp), path)
        return path

    def remove_deleted(self) -> int:
        """Directories deleted long enough ago are gone from disk; says how many."""
        now_ms = self._clock.wall_ms()
        due = [path for when, path in self._doomed if when <= now_ms]
        self._doomed = [(when, path) for when, path in self._doomed if when > now_ms]
        self._each(PartitionLog.remove_deleted)
        return sum(self._discard(path) for path in due)

    def _discard(self, path: Path) -> bool:
        try:
            for name in self._fs.listdir(path):
                self._fs.remove(path / name)
            self._fs.rmdir(path)
        except FileNotFoundError:
            return False
        except OSError as error:
            _log.warning("%s is left on disk: %s", path, error)
            return False
        return True

    def apply_retention(self) -> int:
        """Segments that are too old or too many are gone in every log; says how many.

        Raises:
            OSError: the logs' starts could not be recorded; none is gone.
        """
        if not any(self._each(PartitionLog.retain)):
            return 0
        self.checkpoint()
        return sum(self._each(PartitionLog.drop_passed))

    def expire_producers(self) -> int:
        """Producers idle for too long are forgotten in every log; says how many."""
        return sum(self._each(PartitionLog.expire_producers))

    def flush(self) -> None:
        """Every log survives a loss of power, except those that are or go offline."""
        self._each(PartitionLog.flush)

    def flush_due(self) -> list[PartitionLog]:
        """Logs whose ``flush.ms`` has passed."""
        return [log for log in self.logs.values() if log.online and log.flush_due]

    def _each(self, action: Callable[[PartitionLog], int | None]) -> Iterable[int]:
        results: list[int] = []
        for log in list(self.logs.values()):
            if log.online:
                try:
                    results.append(action(log) or 0)
                except Refused as error:
                    _log.error("%s", error)
        return results

    def checkpoint(self) -> None:
        """Recovery points, high watermarks and log starts are on disk.

        Call it every few seconds, and after DeleteRecords before answering and before segments
        are dropped.

        Raises:
            OSError: a checkpoint could not be written; the earlier one stands.
        """
        points, high, starts = (
            {tp: known[at] for tp, known in self._last_known.items()} for at in range(3)
        )
        for tp, log in self.logs.items():
            points[tp] = log.recovery_point
            high[tp] = log.high_watermark
            # As Kafka: a start that the first segment's name tells anyway is left out.
            if log.log_start_offset > log.segment_base_offsets[0]:
                starts[tp] = log.log_start_offset
        self._recovery_points.write(points)
        self._high_watermarks.write(high)
        self._log_starts.write(starts)

    def close(self) -> bool:
        """Every log is on disk and closed, and the directory is free for another broker.

        Returns:
            Whether the next start may trust what it finds.
        """
        clean = not self.offline
        for log in self.logs.values():
            clean &= log.close()
        try:
            self.checkpoint()
            if clean:
                self.directory.mark_clean()
        except OSError as error:
            _log.error("the stop was not clean: %s", error)
            clean = False
        self.directory.close()
        return clean


def _offsets(checkpoint: OffsetCheckpoint) -> dict[TopicPartition, int]:
    """What a checkpoint says; nothing where it is broken, which costs time and no data."""
    try:
        return checkpoint.read()
    except CorruptCheckpointError as error:
        _log.warning("%s; going on without it", error)
        return {}
