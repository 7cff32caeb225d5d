"""Counts everything, or a part of it: from the programs that run to counts by measure."""

from __future__ import annotations

import compileall
import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from tests.bench.counts.callgrind import CannotCount, Profile, compile_marks, run_counted
from tests.bench.counts.paths import PATHS
from tests.bench.counts.system_calls import count_system_calls
from tests.helpers.source_tree import ROOT

__all__ = ["PARTS", "count", "counts_of", "profiles"]

#: Not a record's path, but on the way to it.
_IMPORT = "import"
#: Without callgrind.
_HOLDINGS = "holdings"
_SYSTEM_CALLS = "system-calls"
#: What copies are told by; no path of a user's.
_GAUGE = "copying"

PARTS = (_IMPORT, *(name for name in PATHS if name != _GAUGE), _HOLDINGS, _SYSTEM_CALLS)

#: Whoever gives out memory, big or small. One of Python's that passes a request on counts twice.
_ALLOCATORS = (
    "_PyObject_Malloc",
    "_PyObject_Calloc",
    "_PyObject_Realloc",
    "malloc",
    "calloc",
    "realloc",
)


def profiles(names: Iterable[str], folder: Path) -> dict[str, Profile]:
    """What callgrind says of paths (with their names in tests.bench.counts.paths), each net.

    Raises:
        CannotCount: a tool is missing, or a program failed.
    """
    for package in ("pyproducer", "serializers", "tests/bench/counts", "tests/helpers"):
        # The reading of source text must not be counted with the import.
        compileall.compile_dir(str(ROOT / package), quiet=2, workers=1)
    groups: dict[tuple[tuple[str, str], ...], list[str]] = {}
    for name in names:
        environment = PATHS[name].environment if name in PATHS else {}
        groups.setdefault(tuple(environment.items()), []).append(name)

    def run(number: int, environment: tuple[tuple[str, str], ...]) -> dict[str, Profile]:
        place = folder / str(number)
        place.mkdir()
        wanted = groups[environment]
        return run_counted("tests.bench.counts.program", wanted, place, dict(environment))

    found: dict[str, Profile] = {}
    with ThreadPoolExecutor(2) as pool:
        for kept in pool.map(run, range(len(groups)), groups):
            for name in {full.rpartition(".")[0] for full in kept}:
                whole = kept[f"{name}.long"]
                short = kept.get(f"{name}.short")
                found[name] = whole if short is None else whole.minus(short)
    return found


def counts_of(found: dict[str, Profile]) -> dict[str, float]:
    """Profiles as counts per record or request, by measure."""
    counts: dict[str, float] = {}
    for name, profile in found.items():
        if name == _GAUGE:
            continue
        many = PATHS[name].records if name in PATHS else 1
        counts[f"{name}.instructions"] = profile.instructions / many
        if name == _IMPORT:
            continue
        given = sum(profile.calls[allocator] for allocator in _ALLOCATORS)
        if given:
            # Nothing at all means that this interpreter does not tell its functions' names.
            counts[f"{name}.allocations"] = given / many
    if {"wide", "enqueue", _GAUGE} <= found.keys():
        gauge = _copied(found[_GAUGE]) / PATHS[_GAUGE].records
        more = (
            _copied(found["wide"]) / PATHS["wide"].records
            - _copied(found["enqueue"]) / PATHS["enqueue"].records
        )
        if gauge:
            counts["enqueue.copies"] = more / gauge
    return counts


def _copied(profile: Profile) -> int:
    return sum(own for name, own in profile.own.items() if "memcpy" in name or "memmove" in name)


def _holdings(folder: Path) -> dict[str, float]:
    library = str(compile_marks(folder))
    done = subprocess.run(
        [sys.executable, "-m", "tests.bench.counts.holdings"],
        env={
            **os.environ,
            "PYTHONHASHSEED": "0",
            "COUNTS_MARKS": library,
            "LD_PRELOAD": library,
        },
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise CannotCount(f"the counting of what is held failed: {done.stderr.strip()}")
    found: dict[str, float] = json.loads(done.stdout)
    return found


def count(parts: Sequence[str], folder: Path) -> tuple[dict[str, float], list[str]]:
    """The counts of these parts by measure, and why others could not be taken.

    Raises:
        CannotCount: a tool is missing without which nothing can be counted, or a program failed.
    """
    counts: dict[str, float] = {}
    excuses: list[str] = []
    names = [name for name in parts if name in PATHS or name == _IMPORT]
    if "enqueue" in names and "wide" in names:
        names.append(_GAUGE)
    if names:
        counts |= counts_of(profiles(names, folder))
    if _HOLDINGS in parts:
        counts |= _holdings(folder)
    if _SYSTEM_CALLS in parts:
        counts |= _or_excuse(lambda: count_system_calls(folder), excuses)
    return counts, excuses


def _or_excuse(work: Callable[[], dict[str, float]], excuses: list[str]) -> dict[str, float]:
    """Containers often forbid to trace; the rest can be counted without."""
    try:
        return work()
    except CannotCount as error:
        excuses.append(str(error))
        return {}
