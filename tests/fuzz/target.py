"""What a fuzz target is: a function of bytes that must hold, and bytes to begin with."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path

HERE = Path(__file__).parent
#: Inputs that are worth to begin with, by target; found by fuzzing, and kept few.
CORPUS = HERE / "corpus"
#: Inputs that once broke something, by target; each is run by name in the tests.
REGRESSIONS = HERE / "regressions"


@dataclass(frozen=True)
class Target:
    """One place where bytes of strangers come in.

    Attributes:
        run: Takes any bytes; anything it raises is a finding.
        seeds: Inputs that get far.
        max_len: Bytes beyond which inputs find nothing new.
    """

    run: Callable[[bytes], None]
    seeds: Callable[[], Iterable[bytes]]
    max_len: int = 1024


def names() -> list[str]:
    """Every target's name, which is its module's."""
    return sorted(
        path.stem for path in (HERE / "targets").glob("*.py") if not path.stem.startswith("_")
    )


def load(name: str) -> Target:
    """The target of that name."""
    target: Target = import_module(f"tests.fuzz.targets.{name}").TARGET
    return target


def kept(folder: Path, name: str) -> dict[str, bytes]:
    """The inputs that are kept in a folder for a target, by file name."""
    place = folder / name
    return {one.name: one.read_bytes() for one in sorted(place.iterdir())} if place.is_dir() else {}
