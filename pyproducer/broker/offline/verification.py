"""Whether a data directory is sound: every partition, and what the directory says of them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

from pyproducer.broker.log.checkpoints import CorruptCheckpointError, parse_lines
from pyproducer.broker.offline.folders import CHECKPOINTS, DataFolder, PartitionFolder
from pyproducer.broker.offline.partition_check import Outside, PartitionCheck, Totals
from pyproducer.broker.offline.problem import LEFT, Problem

_POINTS, _HIGH, _STARTS, _CLEANER = CHECKPOINTS
_FORGET: Final = (
    "with no broker running, remove the file: the next start does without it, which costs time and "
    "no record"
)
#: Problems that are told of one file; a file that is all wrong must not fill the screen.
_MOST: Final = 20

_Offsets = dict[str, dict[tuple[str, int], tuple[int, int]]]


class Verification:
    """One look at a data directory or a partition's folder.

    Args:
        data: What to look at.
        advance: Told how many bytes have been read.

    Attributes:
        totals: How much was looked at so far.
    """

    def __init__(self, data: DataFolder, advance: Callable[[int], object]) -> None:
        self.totals = Totals()
        self._data = data
        self._advance = advance

    def problems(self) -> Iterator[Problem]:
        """Everything that is wrong; of one file at most 20 things, and then how many more.

        Raises:
            OSError: Something cannot be read.
        """
        path: Path | None = None
        count = 0
        for problem in self._all():
            if problem.path != path:
                yield from _more(path, count)
                path, count = problem.path, 0
            count += 1
            if count <= _MOST:
                yield problem
        yield from _more(path, count)

    def _all(self) -> Iterator[Problem]:
        data = self._data
        if data.whole and not data.running:
            for passing in data.passing:
                yield Problem(passing, "", "a folder that was about to go, or was set aside", LEFT)
        # Before the logs: what these say must not be newer than what is read of those.
        offsets: _Offsets = {}
        broken: list[Problem] = []
        for name in CHECKPOINTS:
            try:
                offsets[name] = _read(data.path / name)
            except (CorruptCheckpointError, ValueError) as error:
                broken.append(Problem(data.path / name, "", str(error), _FORGET))
        yield from broken
        for path in data.partitions:
            try:
                folder = PartitionFolder.at(path)
                key = (folder.topic, folder.partition)
                told = _CLEANER in offsets and (data.path / "meta.properties").exists()
                compacted = key in offsets[_CLEANER] if told else None
                outside = Outside(running=data.running, compacted=compacted)
                check = PartitionCheck(folder, outside, self.totals, self._advance)
                yield from check.problems()
            except FileNotFoundError:
                # A running broker deletes segments and topics while we look.
                if not data.running:
                    raise
                continue
            if check.start >= 0:
                yield from self._compare(key, check, offsets)

    def _compare(
        self, key: tuple[str, int], check: PartitionCheck, offsets: _Offsets
    ) -> Iterator[Problem]:
        for name, rows in offsets.items():
            line, offset = rows.get(key, (0, check.start))
            if offset > check.end:
                what = f"offset {offset} of {key[0]}-{key[1]}, whose log ends at {check.end}"
                yield Problem(self._data.path / name, f"line {line}", what, _FORGET)
            elif offset < 0:
                what = f"offset {offset} of {key[0]}-{key[1]}"
                yield Problem(self._data.path / name, f"line {line}", what, _FORGET)


def _more(path: Path | None, count: int) -> Iterator[Problem]:
    if path is not None and count > _MOST:
        yield Problem(path, "", f"{count - _MOST} more of these", "as above")


def _read(path: Path) -> dict[tuple[str, int], tuple[int, int]]:
    """(line, offset) by partition; nothing where there is no file."""
    try:
        raw = path.read_bytes()
    except FileNotFoundError:
        return {}
    rows = parse_lines(raw, path, 3)
    return {
        (topic, int(partition)): (line, int(offset))
        for line, (topic, partition, offset) in enumerate(rows, start=3)
    }
