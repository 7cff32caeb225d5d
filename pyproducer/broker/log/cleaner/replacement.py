"""One new segment in the place of several old ones, whatever happens on the way.

Kafka's protocol, by the names of files. Names are forced to disk before each next step:

1. The new segment is written as ``.cleaned`` and forced to disk.
2. It becomes ``.swap``, its ``.log`` last. That is the moment from which on it counts.
3. The old segments become ``.deleted``.
4. ``.swap`` goes from the names of the new one, from its ``.log`` first.
5. The old files are removed.

:func:`finish_replacements` is what a start makes of each: before step 2 the old segments stand,
after it the new one. A ``.log.swap`` says which offsets it stands for, because the last batch of
what was cleaned is kept, without records if need be.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Final

from pyproducer.broker.log.cleaner.steps import Steps, elsewhere
from pyproducer.broker.log.filesystem import File, FileSystem, offset_in
from pyproducer.broker.log.removal import DELETED
from pyproducer.broker.log.segment import INDEX_SUFFIXES, Segment, file_name
from pyproducer.broker.log.segment_list import SegmentList
from pyproducer.errors import CorruptRecord
from pyproducer.records.batch import HEADER_SIZE, LOG_OVERHEAD, MIN_BATCH_LENGTH, read_header

__all__ = ["CLEANED", "discard", "finish_replacements", "force_to_disk", "replace_segments"]

CLEANED: Final = ".cleaned"
_SWAP: Final = ".swap"
_SUFFIXES: Final = (*INDEX_SUFFIXES, ".log")

_log = logging.getLogger(__name__)


def force_to_disk(fs: FileSystem, directory: Path, segment: Segment) -> Steps[None]:
    """The segment, complete and sealed, and the names of its files survive a loss of power.

    Raises:
        OSError: they may not.
    """
    suffixes = [".log", ".index", ".timeindex"]
    if len(segment.aborted):
        suffixes.append(".txnindex")
    files: list[File] = []

    def sync() -> None:
        for file in files:
            file.fsync()
        fs.fsync_dir(directory)

    try:
        files.extend(fs.open(segment.path(suffix)) for suffix in suffixes)
        yield from elsewhere(sync)
    finally:
        for file in files:
            file.close()


def replace_segments(
    fs: FileSystem,
    directory: Path,
    segments: SegmentList,
    old: Sequence[Segment],
    new: Segment,
    *,
    check: Callable[[], None],
) -> Steps[None]:
    """The new segment, forced to disk as ``.cleaned``, stands for the old ones.

    None of these may be removed from the log by others before the end.

    Args:
        fs: Where the directory is.
        directory: The log's directory.
        segments: The log's segments.
        old: Those that go; they follow each other in the log.
        new: What was made of them.
        check: Called before each change, after others may have changed something; raises
            where the directory is not the log's any more.

    Raises:
        OSError: as long as the new segment is not in ``segments``, :func:`discard` makes
            everything what it was. After that the next start finishes what was begun.
    """

    def names_forced() -> Steps[None]:
        yield from elsewhere(lambda: fs.fsync_dir(directory))
        check()

    new.rename(_SWAP, log_last=True)
    yield from names_forced()
    segments.replace(old, new)
    for segment in old:
        segment.close()
        segment.rename(DELETED, log_last=False)
    yield from names_forced()
    new.rename("", log_last=False)
    yield from names_forced()
    yield from elsewhere(lambda: _remove(fs, old))
    check()
    for segment in old[1:]:
        # The state of the producers where no segment starts any more.
        fs.remove(directory / file_name(segment.base_offset, ".snapshot"))


def _remove(fs: FileSystem, segments: Sequence[Segment]) -> None:
    for segment in segments:
        for suffix in _SUFFIXES:
            fs.remove(segment.path(suffix))


def discard(fs: FileSystem, directory: Path, base_offset: int) -> None:
    """Nothing is left of a new segment of that offset which is not in the log.

    Raises:
        OSError: something is, and a start could take it for the truth.
    """
    counts = directory / file_name(base_offset, ".log" + _SWAP)
    if fs.exists(counts):
        fs.rename(counts, directory / file_name(base_offset, ".log" + CLEANED))
        fs.fsync_dir(directory)
    # In this order: as long as the ``.log.cleaned`` is there, the rest is known for what it is.
    _remove_all(fs, directory, [file_name(base_offset, one + _SWAP) for one in _SUFFIXES])
    _remove_all(fs, directory, [file_name(base_offset, one + CLEANED) for one in _SUFFIXES])


def _remove_all(fs: FileSystem, directory: Path, names: Iterable[str]) -> None:
    """The files are gone, also after a loss of power."""
    found = [directory / name for name in names if fs.exists(directory / name)]
    for path in found:
        fs.remove(path)
    if found:
        fs.fsync_dir(directory)


def finish_replacements(fs: FileSystem, directory: Path) -> None:
    """No file is named as one of a replacement: each is finished, or never was.

    Raises:
        OSError: the directory cannot be read or changed.
    """
    names = fs.listdir(directory)
    swapped = {_base(name): name for name in names if name.endswith(".log" + _SWAP)}
    unfinished = {_base(name) for name in names if name.endswith(".log" + CLEANED)} - set(swapped)
    left = [name for name in names if name.endswith(_SWAP)]
    aborted = [name for name in left if _base(name) in unfinished]
    left = [name for name in left if name not in aborted]
    # In this order, as in :func:`discard`.
    _remove_all(fs, directory, aborted)
    _remove_all(fs, directory, [name for name in names if name.endswith((CLEANED, DELETED))])
    for base, name in swapped.items():
        end = _end_of(fs, directory / name, base)
        _log.info("%s: taking the place of offsets %d to %d", directory / name, base, end - 1)
        _remove_all(
            fs,
            directory,
            [one for one in names if one.endswith(_SUFFIXES) and base <= _base(one) < end],
        )
    if not left:
        return
    # The .log first, as in a replacement that is not interrupted.
    for name in sorted(left, key=lambda one: not one.endswith(".log" + _SWAP)):
        fs.rename(directory / name, directory / name.removesuffix(_SWAP))
    fs.fsync_dir(directory)


def _base(name: str) -> int:
    """The offset in the name of a segment's file; -1 for others."""
    stem = name.partition(".")[0]
    offset = offset_in(stem)
    return -1 if offset is None else offset


def _end_of(fs: FileSystem, path: Path, base: int) -> int:
    """The offset after the last batch in a log file."""
    end = base + 1
    file = fs.open(path, create=False)
    try:
        size = file.size()
        position = 0
        while position + HEADER_SIZE <= size:
            header = read_header(file.pread(HEADER_SIZE, position))
            if header.batch_length < MIN_BATCH_LENGTH:
                raise CorruptRecord(f"batch length {header.batch_length} at {position}")
            end = header.next_offset
            position += LOG_OVERHEAD + header.batch_length
    except CorruptRecord as error:
        # The disk has lost what it had confirmed. What it kept stands for itself.
        _log.warning("%s: %s", path, error)
    finally:
        file.close()
    return end
