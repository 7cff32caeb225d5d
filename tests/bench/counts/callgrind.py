"""Instructions and calls, counted by valgrind's callgrind.

The program under measurement tells when to write down what was counted so far: a few lines of C,
compiled when needed, ask valgrind for it. So one start of the interpreter
serves many measurements, and neither it nor the imports are in the figures.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

T = TypeVar("T")

__all__ = ["CannotCount", "Profile", "compile_marks", "missing", "read_profile", "run_counted"]

_SOURCE = Path(__file__).with_name("marks.c")

_TRIGGER = "desc: Trigger: Client Request: "

#: glibc's choice among its memcpys depends on the processor; the counts must not.
_PLAIN_MEMCPY = (
    "glibc.cpu.x86_non_temporal_threshold=0x1000000:glibc.cpu.hwcaps=-AVX_Fast_Unaligned_Load,"
    "-AVX2_Usable,-AVX512F_Usable,-AVX2,-AVX512F,-AVX512VL,-ERMS,-FSRM"
)


class CannotCount(Exception):
    """Something needed is not on this machine; the text says what."""


@dataclass
class Profile:
    """What was counted between two marks.

    Attributes:
        instructions: all of them.
        own: instructions by function, without those of the functions it calls.
        inclusive: the same with them; not to be trusted where functions call themselves.
        calls: how often a function was called.
        edges: instructions of a function's calls of another, by both names.
    """

    instructions: int = 0
    own: Counter[str] = field(default_factory=Counter)
    inclusive: Counter[str] = field(default_factory=Counter)
    calls: Counter[str] = field(default_factory=Counter)
    edges: Counter[tuple[str, str]] = field(default_factory=Counter)

    def minus(self, other: Profile) -> Profile:
        """This one without what the other has too."""
        return Profile(
            self.instructions - other.instructions,
            _minus(self.own, other.own),
            _minus(self.inclusive, other.inclusive),
            _minus(self.calls, other.calls),
            _minus(self.edges, other.edges),
        )


def _minus(one: Counter[T], other: Counter[T]) -> Counter[T]:
    left = Counter(one)
    left.subtract(other)
    return left


def missing() -> str:
    """What has to be installed before anything can be counted; nothing if nothing."""
    if shutil.which("valgrind") is None:
        return "valgrind (Debian, Ubuntu: apt-get install valgrind)"
    if _compiler() is None:
        return "a C compiler (Debian, Ubuntu: apt-get install gcc libc6-dev)"
    return ""


def _compiler() -> str | None:
    return shutil.which("cc") or shutil.which("gcc")


def compile_marks(folder: Path) -> Path:
    """The library that the counted program is loaded with.

    Raises:
        CannotCount: it cannot be made.
    """
    library = folder / "marks.so"
    compiler = _compiler()
    assert compiler is not None
    done = subprocess.run(
        [compiler, "-shared", "-fPIC", "-O1", "-o", library, _SOURCE],
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise CannotCount(f"{_SOURCE.name} cannot be compiled: {done.stderr.strip()}")
    return library


def run_counted(
    module: str, arguments: Sequence[str], folder: Path, environment: Mapping[str, str]
) -> dict[str, Profile]:
    """Run a module under callgrind; what it marked, by the names it gave.

    Raises:
        CannotCount: a tool is missing, or the program failed.
    """
    lack = missing()
    if lack:
        raise CannotCount(f"missing: {lack}")
    library = compile_marks(folder)
    done = subprocess.run(
        [
            "valgrind",
            "--quiet",
            "--tool=callgrind",
            "--dump-line=no",
            "--instr-atstart=no",
            f"--callgrind-out-file={folder}/callgrind.out.%p",
            sys.executable,
            "-m",
            module,
            *arguments,
        ],
        env={
            **os.environ,
            "PYTHONHASHSEED": "0",
            "PYTHONDONTWRITEBYTECODE": "1",
            "GLIBC_TUNABLES": _PLAIN_MEMCPY,
            **environment,
            "COUNTS_MARKS": str(library),
            "LD_PRELOAD": str(library),
        },
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise CannotCount(f"{module} {' '.join(arguments)} failed: {done.stderr.strip()}")
    found = {}
    for path in folder.glob("callgrind.out.*"):
        name, profile = read_profile(path.read_text(encoding="utf-8", errors="replace"))
        if name:
            found[name] = profile
    return found


def read_profile(text: str) -> tuple[str, Profile]:
    """The name that a profile was given, "" for the rest at the program's end, and the profile.

    Of callgrind's format only what it writes with one cost per line and no line numbers: ``fn=``
    and ``cfn=`` with compressed names, ``calls=`` and the cost of those calls in the next line.
    """
    name = ""
    profile = Profile()
    names: dict[str, str] = {}
    current = called = ""
    of_call = False
    for line in text.splitlines():
        if line[:1] in {"0", "+", "-", "*"} or line[:1].isdigit():
            cost = int(line.partition(" ")[2])
            profile.inclusive[current] += cost
            if of_call:
                profile.edges[current, called] += cost
            else:
                profile.own[current] += cost
            of_call = False
        elif line.startswith("fn="):
            current = _expanded(line[3:], names)
        elif line.startswith("cfn="):
            called = _expanded(line[4:], names)
        elif line.startswith("calls="):
            profile.calls[called] += int(line[6:].partition(" ")[0])
            of_call = True
        elif line.startswith(_TRIGGER):
            name = line[len(_TRIGGER) :].strip()
        elif line.startswith("totals:"):
            # Not the summary, which knows one thread only.
            profile.instructions = int(line.partition(":")[2])
    return name, profile


def _expanded(name: str, names: dict[str, str]) -> str:
    """``(12) word`` defines 12, ``(12)`` means it."""
    number, _, text = name.partition(" ")
    if text:
        # A recursion's later rounds are the same function.
        names[number] = text.partition("'")[0]
    return names.get(number, number)
