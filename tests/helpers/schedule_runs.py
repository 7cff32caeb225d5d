"""Many schedules in turn; one that breaks a promise is made smaller, told, and named for replay."""

from __future__ import annotations

import os
import time
from collections import Counter
from collections.abc import Collection, Iterable
from pathlib import Path

from tests.helpers.schedule import KINDS, Outcome, Schedule
from tests.helpers.schedule_judge import judge

__all__ = ["COUNT", "SEED", "as_tally", "run_all", "run_one"]

#: So many lines of a failing schedule are shown, the last ones.
SHOWN = 400

_PURE = os.environ.get("PYPRODUCER_PURE", "") not in {"", "0"}

#: Schedules in all: those of the pure twin are the same ones, which need no second full count.
COUNT = int(os.environ.get("PYPRODUCER_SCHEDULES", "2000" if _PURE else "10000"))

#: The only schedule to run, if one is named; and the only kinds of faults in it.
SEED = os.environ.get("PYPRODUCER_SEED")
ONLY = os.environ.get("PYPRODUCER_FAULTS")


def run_one(
    seed: int, *, only: Collection[str] = KINDS, trace: list[str] | None = None
) -> Schedule:
    """Run one schedule and judge it."""
    made = Schedule(seed, only=only, trace=trace)
    try:
        made.run()
        judge(made)
    except BaseException as error:
        error.add_note(f"seed {seed}")
        raise
    return made


def run_all(seeds: Iterable[int]) -> tuple[Outcome, Counter[str]]:
    """Run many; what they came to, and how often each kind of fault struck, is returned.

    Raises:
        AssertionError: a promise was broken. Its notes hold the shortest schedule found that
            breaks one too, what happened in it, and how to run it again.
    """
    outcome = Outcome()
    faults: Counter[str] = Counter()
    for seed in seeds:
        try:
            made = run_one(seed)
        except Exception as error:
            for line in explain(seed):
                error.add_note(line)
            raise
        made.add_to(outcome, faults)
    return outcome, faults


def explain(seed: int) -> list[str]:
    """What happens in a failing schedule, with as few kinds of faults as fail too."""
    only = shrink(seed)
    trace: list[str] = []
    words = "it fails no more"
    try:
        run_one(seed, only=only, trace=trace)
    except Exception as error:
        words = f"{type(error).__name__}: {error}"
    lines = ["", f"with no faults but {', '.join(only) or 'none'}: {words}"]
    if len(trace) > SHOWN:
        lines.append(f"({len(trace) - SHOWN} lines left out; all with PYPRODUCER_TRACE=FILE)")
    lines += trace[:2] + trace[2:][-SHOWN:]
    lines += ["", "to run it again:", f"  {command(seed)}", f"  {command(seed, only)}"]
    keep(trace)
    return lines


def keep(trace: list[str]) -> None:
    """Write all that happened to a file, where one is named."""
    if "PYPRODUCER_TRACE" in os.environ:
        Path(os.environ["PYPRODUCER_TRACE"]).write_text("\n".join(trace) + "\n", "utf-8")


def shrink(seed: int) -> list[str]:
    """Kinds of faults without any one of which the schedule does not fail."""
    only = [kind for kind in KINDS if kind in Schedule(seed).faults]
    for kind in list(only):
        fewer = [other for other in only if other != kind]
        try:
            run_one(seed, only=fewer)
        except Exception:
            only = fewer
    return only


def command(seed: int, only: Collection[str] | None = None) -> str:
    """The command line that runs a schedule again."""
    faults = "" if only is None else f"PYPRODUCER_FAULTS={','.join(only)} "
    pure = "PYPRODUCER_PURE=1 " if _PURE else ""
    return (
        f"{pure}PYPRODUCER_SEED={seed} {faults}python -m pytest tests/core/test_engine_schedules.py"
    )


def only_faults() -> Collection[str]:
    """The kinds of faults that a replay was told to allow."""
    if ONLY is None:
        return KINDS
    only = [kind for kind in ONLY.split(",") if kind]
    unknown = set(only) - set(KINDS)
    assert not unknown, f"PYPRODUCER_FAULTS: {sorted(unknown)} is none of {', '.join(KINDS)}"
    return only


def as_tally(outcome: Outcome, faults: Counter[str], began: float) -> dict[str, float]:
    """Counts to be added up with those of other groups and shown when all tests have run."""
    seconds = time.perf_counter() - began
    return vars(outcome) | {"seconds": seconds} | {f"fault {k}": n for k, n in faults.items()}
