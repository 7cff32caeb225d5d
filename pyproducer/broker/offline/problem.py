"""What is wrong in a data directory, and what can be done about it."""

from __future__ import annotations

from pathlib import Path
from typing import Final, NamedTuple

#: What the next start does once it may trust nothing.
_RECOVER: Final = (
    "with no broker running, remove .kafka_cleanshutdown and recovery-point-offset-checkpoint from "
    "the data directory: the next start"
)
REBUILD: Final = f"{_RECOVER} reads every segment and builds this anew"
RESTORE: Final = (
    "restore the file from a replica or a backup; else, to go on with what is before: "
    f"{_RECOVER} cuts the log here, and what follows is lost"
)
CUT: Final = f"{_RECOVER} cuts this off"
LEFT: Final = "start a broker on the directory, which tidies it up, or remove it while none runs"


class Problem(NamedTuple):
    """Something that is not as a broker leaves it.

    Attributes:
        path: The file or folder.
        position: Where in it: "byte 1234", "entry 7", "line 3"; "" for all of it.
        what: What is wrong.
        way_out: What to do.
    """

    path: Path
    position: str
    what: str
    way_out: str
