"""Which files there are: data directories, partitions' folders, segments."""

from __future__ import annotations

import fcntl
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from pyproducer.broker.log.segment import file_name

_SEGMENT_FILE: Final = re.compile(r"([0-9]{20})\.(log|index|timeindex|txnindex|snapshot)")
_PARTITION: Final = re.compile(r"(?P<topic>[a-zA-Z0-9._-]+)-(?P<partition>[0-9]+)")
#: Files that exist for a moment only; one that stays was left by a crash.
_PASSING: Final = (".cleaned", ".swap", ".deleted", ".tmp")
_PASSING_FOLDERS: Final = ("-delete", "-stray", "-future")

CHECKPOINTS: Final = (
    "recovery-point-offset-checkpoint",
    "replication-offset-checkpoint",
    "log-start-offset-checkpoint",
    "cleaner-offset-checkpoint",
)
EPOCHS: Final = "leader-epoch-checkpoint"


@dataclass(frozen=True)
class PartitionFolder:
    """The folder of one partition.

    Attributes:
        path: Where it is.
        topic: Name of the topic, after the folder's.
        partition: Number of the partition, -1 where the folder is not named after one.
        bases: Base offsets of the segments, ascending.
        passing: Files that should have gone by themselves.
        orphans: Files of segments that are not there.
    """

    path: Path
    topic: str
    partition: int
    bases: tuple[int, ...]
    passing: tuple[Path, ...]
    orphans: tuple[Path, ...]

    @classmethod
    def at(cls, path: Path) -> PartitionFolder:
        """The folder, as it is now.

        Raises:
            OSError: It cannot be listed.
        """
        names = sorted(one.name for one in path.iterdir())
        found = [(match[1], match[2]) for match in map(_SEGMENT_FILE.fullmatch, names) if match]
        bases = {base for base, kind in found if kind == "log"}
        match = _PARTITION.fullmatch(path.name)
        return cls(
            path=path,
            topic=match["topic"] if match else path.name,
            partition=int(match["partition"]) if match else -1,
            bases=tuple(map(int, sorted(bases))),
            passing=tuple(path / name for name in names if name.endswith(_PASSING)),
            orphans=tuple(
                path / f"{base}.{kind}"
                for base, kind in found
                if kind != "snapshot" and base not in bases
            ),
        )

    def file(self, base: int, suffix: str) -> Path:
        """A file of the segment that starts at that offset."""
        return self.path / file_name(base, suffix)

    def snapshots(self) -> dict[int, Path]:
        """The producer snapshots by their offsets, ascending."""
        found = (_SEGMENT_FILE.fullmatch(one.name) for one in sorted(self.path.iterdir()))
        return {
            int(match[1]): self.path / match[0]
            for match in found
            if match and match[2] == "snapshot"
        }


@dataclass(frozen=True)
class DataFolder:
    """A broker's data directory, or one partition's folder of it.

    Attributes:
        path: The data directory, where checkpoints are.
        partitions: Folders to look at.
        whole: Whether these are all.
        running: Whether a broker holds the directory at this moment.
        passing: Folders of topics that were deleted or moved, which should have gone.
    """

    path: Path
    partitions: tuple[Path, ...]
    whole: bool
    running: bool
    passing: tuple[Path, ...] = field(default=())

    @classmethod
    def at(cls, path: Path) -> DataFolder:
        """What the path is.

        Raises:
            OSError: It cannot be listed.
            ValueError: It is neither; says so.
        """
        if not path.is_dir():
            raise ValueError(f"{path} is no directory")
        if _holds_segments(path):
            return cls(path.parent, (path,), whole=False, running=_held(path.parent))
        folders = sorted(one for one in path.iterdir() if one.is_dir())
        passing = tuple(one for one in folders if one.name.endswith(_PASSING_FOLDERS))
        partitions = tuple(
            one for one in folders if one not in passing and _PARTITION.fullmatch(one.name)
        )
        if not partitions and not (path / "meta.properties").exists():
            raise ValueError(
                f"{path} is neither a broker's data directory (it has no meta.properties and no "
                "partitions) nor a partition's folder (it has no segments)"
            )
        return cls(path, partitions, whole=True, running=_held(path), passing=passing)

    def size(self) -> int:
        """Bytes of all segments: how much there is to read."""
        logs = (log for folder in self.partitions for log in _logs(folder))
        return sum(log.stat().st_size for log in logs)


def _logs(folder: Path) -> Iterator[Path]:
    return (
        one
        for one in folder.iterdir()
        if _SEGMENT_FILE.fullmatch(one.name) and one.suffix == ".log"
    )


def _holds_segments(path: Path) -> bool:
    return any(_logs(path)) or (path / "partition.metadata").exists()


def _held(data_dir: Path) -> bool:
    """Whether a broker runs on the directory: ours locks in one way, Kafka in the other."""
    try:
        with (data_dir / ".lock").open("r+b") as file:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:
        # Nobody has ever run here, or we may not ask.
        return False
    return False
