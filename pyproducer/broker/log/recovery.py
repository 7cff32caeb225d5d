"""Opening a partition's directory: what the log holds after a clean stop or after a crash.

A clean stop left complete indexes and a snapshot of the producers at the log's end; they are
checked for plausibility and trusted. After anything else, every batch from the recovery point on
is held against its CRC. The log ends before the first that fails, and indexes, leader epochs and
producer state are rebuilt from what remains.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Final

from pyproducer.broker.log.aborted import AbortedTransaction
from pyproducer.broker.log.cleaner.replacement import finish_replacements
from pyproducer.broker.log.config import LogConfig
from pyproducer.broker.log.epochs import LeaderEpochs
from pyproducer.broker.log.filesystem import FileSystem, numbered, offset_in
from pyproducer.broker.log.index import CorruptIndexError
from pyproducer.broker.log.markers import end_marker
from pyproducer.broker.log.producer_state import ProducerStates
from pyproducer.broker.log.removal import remove_passed
from pyproducer.broker.log.segment import (
    INDEX_SUFFIXES,
    MAX_RELATIVE_OFFSET,
    Segment,
    file_name,
)
from pyproducer.broker.log.snapshots import drop_after, load_snapshot
from pyproducer.errors import CorruptRecord
from pyproducer.records.batch import (
    ATTRIBUTES_POSITION,
    HEADER_SIZE,
    MAGIC,
    MIN_BATCH_LENGTH,
    BatchHeader,
    read_header,
)
from pyproducer.records.crc import crc32c
from pyproducer.records.reader import Batch

__all__ = ["load_producers", "load_segments", "verified_headers"]

_log = logging.getLogger(__name__)

_CHUNK: Final = 1 << 20
#: What is left of a file that was not written to its end.
_LEFTOVER: Final = ".tmp"


def load_segments(
    fs: FileSystem,
    directory: Path,
    config: LogConfig,
    *,
    clean: bool,
    recovery_point: int,
    log_start_offset: int,
    epochs: LeaderEpochs,
    now_ms: int,
    sparse: bool,
) -> list[Segment]:
    """The log's segments, oldest first, at least one; the last one takes appends.

    Args:
        fs: Where the directory is.
        directory: The partition's directory.
        config: The log's settings.
        clean: Whether the last stop was clean.
        recovery_point: Everything below this offset was forced to disk.
        log_start_offset: Where an empty log starts.
        epochs: Loaded, and brought in line with the batches.
        now_ms: The broker's clock.
        sparse: Offsets may be missing between segments.

    Raises:
        OSError: the directory cannot be read or repaired.
        CorruptRecord: what was forced to disk before the last stop is damaged.
    """
    epochs.load()
    known = epochs.entries
    bases = _clean_directory(fs, directory)
    bases = remove_passed(fs, directory, bases, log_start_offset)
    segments: list[Segment] = []
    try:
        for at, base in enumerate(bases):
            segment = Segment(fs, directory, base, config, created_ms=now_ms)
            segments.append(segment)
            following = bases[at + 1] if at + 1 < len(bases) else None
            # A segment that ends at the recovery point may have been the active one at the flush,
            # which does not force the indexes of that.
            if not clean and (following is None or following >= recovery_point):
                end = _sound_end(segment, epochs, following)
                if end < segment.size:
                    # Newest first, and before the cut: a crash in between must not leave a
                    # log with a hole that looks sound.
                    _drop_segments(fs, directory, bases[at + 1 :])
                    _cut(segment, end, config)
                    break
                segment.rescan(config)
                if following is not None:
                    if segment.next_offset < following:
                        _log.warning(
                            "%s ends at offset %d and the next segment starts at %d",
                            segment.path(".log"),
                            segment.next_offset,
                            following,
                        )
                        if not sparse:
                            # The system had written the next one to disk, and not all of this.
                            _drop_segments(fs, directory, bases[at + 1 :])
                            break
                    segment.seal()
                continue
            try:
                if following is None:
                    segment.load_active()
                else:
                    segment.load_sealed(following)
            except (CorruptIndexError, CorruptRecord) as error:
                _log.warning("%s; the segment is recovered", error)
                _cut(segment, _sound_end(segment, epochs, following), config)
                if following is not None:
                    segment.seal()
    except BaseException:
        for segment in segments:
            segment.close()
        raise
    if segments and segments[-1].next_offset < log_start_offset:
        # The checkpoint knows of records that are gone with a truncated tail. Offsets below
        # the start were given to a reader once; they must not come again with other records.
        for segment in segments:
            segment.delete()
        segments.clear()
    if not segments:
        segment = Segment(fs, directory, log_start_offset, config, created_ms=now_ms)
        segment.start()
        segments.append(segment)
    if not epochs.entries:
        try:
            for segment in segments:
                for _, header in segment.headers(0):
                    epochs.note(header.leader_epoch, header.base_offset)
        except BaseException:
            for segment in segments:
                segment.close()
            raise
    if epochs.entries != known:
        epochs.save()
    epochs.truncate_from_end(segments[-1].next_offset)
    return segments


def _clean_directory(fs: FileSystem, directory: Path) -> list[int]:
    """What was interrupted is finished or gone; says where the log files start, ascending."""
    finish_replacements(fs, directory)
    bases = numbered(fs, directory, ".log")
    for name in fs.listdir(directory):
        stem, dot, kind = name.rpartition(".")
        suffix, base = dot + kind, offset_in(stem)
        orphan = suffix in INDEX_SUFFIXES and base is not None and base not in bases
        if (stem and suffix == _LEFTOVER) or orphan:
            fs.remove(directory / name)
    return bases


def _drop_segments(fs: FileSystem, directory: Path, bases: list[int]) -> None:
    """The segments are gone, the newest first."""
    for base in reversed(bases):
        for suffix in (*INDEX_SUFFIXES, ".log"):
            fs.remove(directory / file_name(base, suffix))


def _sound_end(segment: Segment, epochs: LeaderEpochs, following: int | None) -> int:
    """Position where the first bad batch starts, or the end; the epochs before it are noted."""
    end = 0
    for position, header in verified_headers(segment, following):
        end = position + header.size
        epochs.note(header.leader_epoch, header.base_offset)
    return end


def _cut(segment: Segment, end: int, config: LogConfig) -> None:
    """The segment ends there, and its indexes are those of what remains."""
    if end < segment.size:
        _log.warning(
            "%s: %d bytes from position %d on are no sound batch and are cut off",
            segment.path(".log"),
            segment.size - end,
            end,
        )
        segment.log.truncate(end)
        segment.size = end
    segment.rescan(config)


def verified_headers(
    segment: Segment, before: int | None = None
) -> Iterator[tuple[int, BatchHeader]]:
    """(position, header) of each batch of a segment up to the first that is not sound.

    Sound is: format 2, whole, CRC right, offsets above those of the batches before and below
    ``before``, the next segment's base. The offsets stand outside the CRC.
    """
    size = segment.log.size()
    expected = segment.base_offset
    chunk, start, position = memoryview(b""), 0, 0
    while position + HEADER_SIZE <= size:
        at = position - start
        if at + HEADER_SIZE > len(chunk):
            chunk, start, at = memoryview(segment.log.pread(_CHUNK, position)), position, 0
        header = read_header(chunk, at)
        if (
            header.magic != MAGIC
            or header.batch_length < MIN_BATCH_LENGTH
            or position + header.size > size
            or header.base_offset < expected
            or header.last_offset_delta < 0
            or header.last_offset - segment.base_offset > MAX_RELATIVE_OFFSET
            or (before is not None and header.last_offset >= before)
        ):
            return
        if at + header.size > len(chunk):
            wanted = max(header.size, _CHUNK)
            chunk, start, at = memoryview(segment.log.pread(wanted, position)), position, 0
        if crc32c(chunk[at + ATTRIBUTES_POSITION : at + header.size]) != header.crc:
            return
        yield position, header
        expected = header.next_offset
        position += header.size


def load_producers(
    fs: FileSystem,
    directory: Path,
    segments: Iterable[Segment],
    producers: ProducerStates,
    *,
    now_ms: int,
) -> None:
    """The producers are those of the newest usable snapshot and of the batches after it.

    Lists of aborted transactions that are not complete are filled. Snapshots that are broken, or
    speak of offsets that the log no longer has, are removed.

    Raises:
        OSError: a file cannot be read.
        CorruptRecord: a batch that should be sound is not.
    """
    segments = list(segments)
    end = segments[-1].next_offset
    drop_after(fs, directory, end)
    start = load_snapshot(fs, directory, producers, latest=end, now_ms=now_ms)
    incomplete = [segment for segment in segments if not segment.aborted.complete]
    if incomplete and incomplete[0].base_offset < start:
        # The snapshot is of a later time than these markers: where the transactions that they
        # end began is told by an earlier one.
        earlier = ProducerStates(LogConfig)
        before = incomplete[0].base_offset
        first = load_snapshot(fs, directory, earlier, latest=before, now_ms=now_ms)
        _replay(segments, earlier, first, now_ms)
    _replay(segments, producers, start, now_ms)
    # By the record's clock, those of old data are forgotten already.
    producers.expire(now_ms)


def _replay(
    segments: Iterable[Segment], producers: ProducerStates, start: int, now_ms: int
) -> None:
    """The producers know the batches from ``start`` on; incomplete lists of aborts are filled."""
    for segment in segments:
        if segment.next_offset <= start or not segment.size:
            continue
        aborted: list[AbortedTransaction] = []
        for position, header in segment.headers(segment.offset_index.position_of(start)):
            if header.producer_id < 0 or header.base_offset < start:
                continue
            if not header.is_control:
                producers.update(
                    header,
                    base_offset=header.base_offset,
                    timestamp=header.max_timestamp,
                    now_ms=now_ms,
                )
                continue
            marker = end_marker(Batch(header, memoryview(segment.log.pread(header.size, position))))
            if marker is None:
                continue
            ended = producers.end_transaction(
                header.producer_id,
                header.producer_epoch,
                marker,
                offset=header.base_offset,
                timestamp=header.max_timestamp,
                now_ms=now_ms,
            )
            if ended is not None:
                aborted.append(ended)
        if not segment.aborted.complete and start <= segment.base_offset:
            segment.aborted.rebuild(aborted)
