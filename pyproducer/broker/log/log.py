"""The log of one partition: append, read, look up, cut at either end.

Offsets, all of them "first offset not included" but the first::

    log start <= stable <= high watermark <= log end
    |            |          |                `- next to be appended
    |            |          `- on every in-sync replica; consumers read up to here
    |            `- no open transaction below; read_committed consumers read up to here
    `- oldest that may be read; moved by retention and DeleteRecords

There is one writer, and no locks: every method but :meth:`FlushTicket.sync` is for its thread.
An append that fails leaves the log as it was. When even that cannot be established (a failed
fsync, a write that cannot be undone) the log goes offline and answers KAFKA_STORAGE_ERROR to
writers until it is opened again, which recovers it.
"""

from __future__ import annotations

import errno
import logging
from pathlib import Path

from pyproducer.broker.errors import Refused
from pyproducer.broker.log import recovery, retention
from pyproducer.broker.log.append import AppendResult, stored_buffers
from pyproducer.broker.log.config import LogConfig
from pyproducer.broker.log.epochs import LeaderEpochs
from pyproducer.broker.log.filesystem import FileSystem
from pyproducer.broker.log.flushing import Flushing, FlushTicket
from pyproducer.broker.log.lookup import FoundOffset
from pyproducer.broker.log.markers import marker_batch
from pyproducer.broker.log.producer_state import EndMarker, ProducerEntry, ProducerStates
from pyproducer.broker.log.reading import ReadableLog
from pyproducer.broker.log.removal import Removal
from pyproducer.broker.log.segment import Segment
from pyproducer.broker.log.segment_list import SegmentList
from pyproducer.broker.log.snapshots import drop_strays, take_snapshot
from pyproducer.broker.log.validation import ValidBatch, validate
from pyproducer.clock import Clock
from pyproducer.errors import CorruptRecord
from pyproducer.model import Buffer, TopicPartition

__all__ = ["AppendResult", "FlushTicket", "FoundOffset", "PartitionLog"]

_log = logging.getLogger(__name__)


class PartitionLog(ReadableLog):
    """One partition's log. Made by :meth:`open`.

    Attributes:
        topic_partition: Whose log this is.
        directory: Where it is.
        config: The topic's settings; assign a new one to change them at once.
        sole_replica: Appends move the high watermark themselves. Off where replication, or
            the disk, decides what is committed.
        log_start_offset: Oldest offset that may be read.
        high_watermark: Offset up to which consumers read.
        replacing: A cleaner replaces segments; none is removed meanwhile.
    """

    def __init__(
        self,
        topic_partition: TopicPartition,
        directory: Path,
        config: LogConfig,
        *,
        clock: Clock,
        fs: FileSystem,
    ) -> None:
        super().__init__(
            topic_partition,
            ProducerStates(lambda: self.config),
            LeaderEpochs(fs, directory / "leader-epoch-checkpoint"),
        )
        self.directory = directory
        self.config = config
        self.sole_replica = True
        self.replacing = False
        self._clock = clock
        self._fs = fs
        self._removal = Removal(fs, clock)
        self._flushing = Flushing(fs, directory, clock.wall_ms())

    @classmethod
    def open(
        cls,
        topic_partition: TopicPartition,
        directory: Path,
        config: LogConfig,
        *,
        clock: Clock,
        fs: FileSystem,
        clean: bool = False,
        recovery_point: int = 0,
        log_start_offset: int = 0,
        high_watermark: int | None = None,
        sparse: bool = True,
    ) -> PartitionLog:
        """The log as it is on disk, repaired where the last stop was not clean.

        Args:
            topic_partition: Whose log this is.
            directory: Its directory; made if missing.
            config: The topic's settings.
            clock: Gives the time for all that follows.
            fs: Where the directory is.
            clean: Whether the last stop was clean, so that indexes and snapshot hold.
            recovery_point: From the checkpoint: what was forced to disk.
            log_start_offset: From the checkpoint.
            high_watermark: From the checkpoint; None takes the log's end.
            sparse: Offsets may be missing between segments, as after compaction. Elsewhere
                that is a loss of power, and the log ends there.

        Raises:
            OSError: the directory cannot be read or repaired; also where what was forced to disk
                once is damaged: nothing of it is cut off before somebody has looked.
        """
        fs.mkdir(directory)
        log = cls(topic_partition, directory, config, clock=clock, fs=fs)
        now_ms = clock.wall_ms()
        try:
            segments = recovery.load_segments(
                fs,
                directory,
                config,
                clean=clean,
                recovery_point=recovery_point,
                log_start_offset=log_start_offset,
                epochs=log._epochs,
                now_ms=now_ms,
                sparse=sparse,
            )
        except CorruptRecord as error:
            raise _damaged(directory, error) from error
        log._segments = SegmentList(segments)
        end = log.log_end_offset
        log.log_start_offset = max(log_start_offset, segments[0].base_offset)
        log._flushing.point = min(recovery_point, end) if not clean else end
        high = end if high_watermark is None else min(high_watermark, end)
        log.high_watermark = max(high, log.log_start_offset)
        try:
            recovery.load_producers(fs, directory, segments, log._producers, now_ms=now_ms)
        except BaseException as error:
            log.abandon()
            if isinstance(error, CorruptRecord):
                raise _damaged(directory, error) from error
            raise
        return log

    # What the log holds.

    @property
    def recovery_point(self) -> int:
        """Everything below it was forced to disk."""
        return self._flushing.point

    @property
    def failure(self) -> OSError | None:
        """The error that took the log offline, or None."""
        return self._health.failure

    @property
    def storage(self) -> tuple[FileSystem, SegmentList]:
        """Where it is and what it is made of: for a cleaner, which replaces sealed segments."""
        return self._fs, self._segments

    def fail(self, what: str, error: OSError) -> None:
        """The log is offline: the disk failed, and only a start finds out what is on it."""
        self._health.failure = error
        self._health.storage_error(what, error)

    def require_sound(self) -> None:
        """Returns if the disk has not failed: what is read might not be there after a start.

        Raises:
            Refused: KAFKA_STORAGE_ERROR.
        """
        if self._health.failure is not None:
            self._health.require_online()

    @property
    def online(self) -> bool:
        """Whether the log takes appends."""
        return self.failure is None and not self._health.closed

    def producers(self) -> list[ProducerEntry]:
        """What is known of each producer; the entries stay the log's own."""
        return self._producers.entries()

    # Writing.

    def validate(self, records: Buffer | None, *, request_version: int) -> ValidBatch:
        """The batch of a Produce request as this log would store it, not yet appended.

        Raises:
            Refused: it must not be appended.
        """
        return validate(
            records, self.config, now_ms=self._clock.wall_ms(), request_version=request_version
        )

    def append(
        self, batch: ValidBatch, *, leader_epoch: int, known_or_first: bool = False
    ) -> AppendResult:
        """The batch is at the log's end, written but not forced to disk.

        A batch that a producer repeats is not written again; the answer is then where it is.

        Args:
            batch: What :meth:`validate` gave.
            leader_epoch: The leader's epoch; a new one is recorded as starting here.
            known_or_first: As in `ProducerStates.check`.

        Raises:
            Refused: the producer's epoch or sequence is wrong, or the disk failed
                (KAFKA_STORAGE_ERROR). The log is as it was.
        """
        self._health.require_online()
        header = batch.header
        duplicate = self._producers.check(header, known_or_first=known_or_first)
        if duplicate is not None:
            return AppendResult.repeated(duplicate, self.config, self.log_start_offset)
        now_ms = self._clock.wall_ms()
        base_offset = self._write(batch, leader_epoch, now_ms)
        self._producers.update(
            header, base_offset=base_offset, timestamp=header.max_timestamp, now_ms=now_ms
        )
        self._appended()
        return AppendResult(
            base_offset,
            base_offset + header.last_offset_delta,
            batch.log_append_time_ms,
            self.log_start_offset,
            duplicate=False,
        )

    def append_marker(
        self, producer_id: int, epoch: int, marker: EndMarker, *, leader_epoch: int
    ) -> int:
        """The producer has no open transaction; what it wrote is as the marker says.

        Where a transaction of this epoch was ended before and none is open nothing is written,
        so that a coordinator may send its markers again.

        Returns:
            Size of the control batch that was written, 0 without one.

        Raises:
            Refused: INVALID_PRODUCER_EPOCH or TRANSACTION_COORDINATOR_FENCED: somebody newer
                was here. KAFKA_STORAGE_ERROR. The log is as it was.
        """
        self._health.require_online()
        if not self._producers.check_marker(producer_id, epoch, marker):
            return 0
        now_ms = self._clock.wall_ms()
        batch = marker_batch(producer_id, epoch, marker, self.config, now_ms=now_ms)
        offset = self._write(batch, leader_epoch, now_ms)
        aborted = self._producers.end_transaction(
            producer_id, epoch, marker, offset=offset, timestamp=now_ms, now_ms=now_ms
        )
        if aborted is not None:
            self._segments.active.aborted.append(aborted)
        self._appended()
        return batch.header.size

    def _write(self, batch: ValidBatch, leader_epoch: int, now_ms: int) -> int:
        """The batch is at the end of the active segment; says what its first offset is."""
        header = batch.header
        active = self._segments.active
        base_offset = active.next_offset
        try:
            if active.would_overflow(self.config, header, now_ms):
                active = self.roll()
            self._epochs.assign(leader_epoch, base_offset)
            active.append(
                stored_buffers(batch, base_offset, leader_epoch),
                last_offset=base_offset + header.last_offset_delta,
                max_timestamp=header.max_timestamp,
                index_interval=self.config.index_interval_bytes,
            )
        except OSError as error:
            raise self._health.storage_error("append", error) from error
        return base_offset

    def _appended(self) -> None:
        if self.sole_replica:
            self.high_watermark = self.log_end_offset

    def become_leader(self, leader_epoch: int) -> None:
        """The epoch starts at the log's end, on disk before any batch of it.

        Raises:
            Refused: KAFKA_STORAGE_ERROR.
        """
        self._health.require_online()
        with self._health.guard("record a leader epoch"):
            self._epochs.assign(leader_epoch, self.log_end_offset)

    def roll(self) -> Segment:
        """A new segment takes the appends; the state of the producers so far is on disk.

        Raises:
            OSError: the log goes on with the segment it has.
            Refused: KAFKA_STORAGE_ERROR; the log is offline.
        """
        active = self._segments.active
        if not active.size:
            return active
        if self.config.compacted:
            # Lost at the end of this segment, with the next one kept, would look compacted away.
            self.flush()
        active.complete_indexes()
        take_snapshot(self._fs, self.directory, self._producers, self.log_end_offset)
        segment = Segment(
            self._fs,
            self.directory,
            active.next_offset,
            self.config,
            created_ms=self._clock.wall_ms(),
        )
        try:
            segment.start()
        except OSError:
            segment.close()
            raise
        active.seal()
        self._segments.append(segment)
        return segment

    def truncate_to(self, offset: int) -> bool:
        """No record has that offset or a higher one; says whether anything was cut.

        A batch across it goes as a whole. Leader epochs and producers are those of what
        remains, so that a batch that was cut off is no duplicate any more.

        Raises:
            Refused: KAFKA_STORAGE_ERROR.
        """
        self._health.require_online()
        if offset >= self.log_end_offset:
            return False
        try:
            self._segments.truncate(offset, self.config)
            end = self.log_end_offset
            self._epochs.truncate_from_end(end)
            recovery.load_producers(
                self._fs,
                self.directory,
                self._segments,
                self._producers,
                now_ms=self._clock.wall_ms(),
            )
        except OSError as error:
            # Half a truncation is a log that nobody asked for.
            self._health.failure = error
            raise self._health.storage_error("truncate", error) from error
        self._flushing.cut(end)
        self.high_watermark = min(self.high_watermark, end)
        self.log_start_offset = min(self.log_start_offset, end)
        return True

    # The old end.

    def delete_records_before(self, offset: int) -> int:
        """Records below ``offset`` cannot be read any more; says where the log starts now.

        Whole segments below it go with :meth:`drop_passed`. Producers keep their state.

        Args:
            offset: The new start, or -1 for the high watermark.

        Raises:
            Refused: POLICY_VIOLATION unless ``delete`` is in cleanup.policy,
                OFFSET_OUT_OF_RANGE above the high watermark, KAFKA_STORAGE_ERROR.
        """
        self._health.require_online()
        self._move_start(retention.start_by_request(offset, self.config, self.high_watermark))
        return self.log_start_offset

    def retain(self) -> bool:
        """The log starts where ``cleanup.policy`` wants it; says if segments are below that.

        Time: oldest first, while the youngest record of a segment is older than
        retention.ms. Size: whole segments, and never below retention.bytes. Only segments
        wholly below the high watermark go. Segments that DeleteRecords passed go always.

        Raises:
            Refused: KAFKA_STORAGE_ERROR.
        """
        self._health.require_online()
        start = max(
            self.log_start_offset,
            retention.start_by_policy(
                self._segments, self.config, self.high_watermark, self._clock.wall_ms()
            ),
        )
        if start > self._segments.active.base_offset and start == self.log_end_offset:
            with self._health.guard("roll"):
                self.roll()
        self._move_start(start)
        return self._segments.below(start)

    def _move_start(self, offset: int) -> None:
        self.log_start_offset = max(self.log_start_offset, offset)
        with self._health.guard("cut off leader epochs"):
            self._epochs.truncate_from_start(self.log_start_offset)

    def drop_passed(self) -> int:
        """Segments wholly below the log's start are on their way out; says how many.

        The start is in the checkpoint: see :mod:`pyproducer.broker.log.removal`.

        Raises:
            Refused: KAFKA_STORAGE_ERROR.
        """
        before = len(self._segments)
        with self._health.guard("delete segments"):
            while not self.replacing and self._segments.below(self.log_start_offset):
                # Off the list first: a file that will not go must not be read again.
                segment = self._segments.drop_first()
                self._removal.drop(segment, self.config.file_delete_delay_ms)
        return before - len(self._segments)

    def remove_deleted(self) -> int:
        """Files of segments dropped ``file.delete.delay.ms`` ago are gone; says how many."""
        return self._removal.remove_due()

    def expire_producers(self) -> int:
        """Producers idle for too long are forgotten; says how many."""
        return self._producers.expire(self._clock.wall_ms())

    def forget_producers(self) -> int:
        """Producers are forgotten, however young, unless in a transaction; says how many."""
        return self._producers.forget_all()

    # To the disk.

    def begin_flush(self, *, whole: bool = False) -> FlushTicket:
        """A ticket for forcing to disk what the log holds now, on another thread if wanted.

        Call its ``sync`` anywhere, then :meth:`end_flush` here, also if it failed. ``whole``
        is for a clean stop: with the indexes of the segment that takes appends.

        Raises:
            Refused: KAFKA_STORAGE_ERROR.
        """
        self._health.require_online()
        with self._health.guard("flush"):
            return self._flushing.begin(self._segments, whole=whole)

    def end_flush(self, ticket: FlushTicket) -> None:
        """The recovery point is at the ticket's end, if its ``sync`` succeeded.

        Raises:
            Refused: it failed, or another one did meanwhile, and the log is offline: after a
                failed fsync nobody knows which pages are on disk, and asking again would lie.
        """
        error = self._flushing.close(ticket)
        if self._health.closed:
            return
        if error is not None:
            self._health.failure = error
            raise self._health.storage_error("flush", error) from error
        self._flushing.end(ticket, self.log_end_offset, self._clock.wall_ms())

    def flush(self, *, whole: bool = False) -> None:
        """Everything in the log survives a loss of power.

        Raises:
            Refused: KAFKA_STORAGE_ERROR; the log is offline.
        """
        if self.recovery_point >= self.log_end_offset and not whole:
            return
        ticket = self.begin_flush(whole=whole)
        ticket.sync()
        self.end_flush(ticket)

    @property
    def flush_due(self) -> bool:
        """Whether a segment was rolled, or flush.ms has passed, with something to flush."""
        return self._flushing.due(self._segments, self.config.flush_ms, self._clock.wall_ms())

    @property
    def flush_wanted(self) -> bool:
        """Whether ``flush.messages`` records are not on disk: their producers have to wait."""
        return self.log_end_offset - self.recovery_point >= self.config.flush_messages

    def close(self) -> bool:
        """The log is on disk with complete indexes and a snapshot, and its files are released.

        Returns:
            Whether the next start may trust what it finds.
        """
        if self._health.closed:
            return self.failure is None
        clean = self.failure is None
        if clean:
            try:
                self._segments.active.complete_indexes()
                take_snapshot(self._fs, self.directory, self._producers, self.log_end_offset)
                self.flush(whole=True)
                drop_strays(self._fs, self.directory, self.segment_base_offsets)
            except (OSError, Refused) as error:
                _log.error("%s was not closed cleanly: %s", self.topic_partition, error)
                clean = False
        self._health.closed = True
        self._segments.close()
        return clean

    def abandon(self) -> None:
        """The files are released and nothing is written: the directory is to be deleted."""
        self._health.closed = True
        self._segments.close()


def _damaged(directory: Path, error: CorruptRecord) -> OSError:
    return OSError(
        errno.EIO, f"{error}; pyproducer log verify {directory} tells what else is wrong"
    )
