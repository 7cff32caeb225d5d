"""Many schedules in turn; one that breaks a promise is made smaller, told, and named for replay."""

from __future__ import annotations

import os
import time
from collections import Counter
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.helpers.schedule import Outcome, Schedule
from tests.helpers.schedule_judge import judge
from tests.helpers.transaction_schedule import TransactionSchedule, judge_transactions

__all__ = ["SCHEDULES", "TRANSACTIONS", "Family", "as_tally", "replay", "run_all", "run_one"]

#: So many lines of a failing schedule are shown, the last ones.
SHOWN = 400

_PURE = os.environ.get("PYPRODUCER_PURE", "") not in {"", "0"}


@dataclass(frozen=True)
class Family:
    """Schedules of one sort.

    Attributes:
        make: makes one from its seed.
        judge: holds one that has run to its promises.
        variable: names, in the environment, the only seed to run.
        module: the tests that run it.
        count: schedules in all. Those without the accelerator are the same ones, and need no
            second full count.
    """

    make: type[Schedule]
    judge: Callable[[Any], None]
    variable: str
    module: str
    count: int

    @property
    def seed(self) -> int | None:
        """The only schedule to run, if one is named."""
        named = os.environ.get(self.variable)
        return None if named is None else int(named)

    @property
    def kinds(self) -> tuple[str, ...]:
        """All kinds of faults in it."""
        return (*self.make.by_chance, *self.make.by_time, *self.make.by_session)


def _count(variable: str, count: int) -> int:
    return int(os.environ.get(variable, str(count // 5 if _PURE else count)))


SCHEDULES = Family(
    Schedule,
    judge,
    "PYPRODUCER_SEED",
    "tests/core/test_engine_schedules.py",
    _count("PYPRODUCER_SCHEDULES", 10_000),
)
TRANSACTIONS = Family(
    TransactionSchedule,
    judge_transactions,
    "PYPRODUCER_TRANSACTION_SEED",
    "tests/core/test_transaction_schedules.py",
    _count("PYPRODUCER_TRANSACTION_SCHEDULES", 2_500),
)


def run_one(
    seed: int,
    family: Family = SCHEDULES,
    *,
    only: Collection[str] | None = None,
    trace: list[str] | None = None,
) -> Schedule:
    """Run one schedule and judge it."""
    made = family.make(seed, only=only, trace=trace)
    try:
        made.run()
        family.judge(made)
    except BaseException as error:
        error.add_note(f"seed {seed}")
        raise
    return made


def run_all(seeds: Iterable[int], family: Family = SCHEDULES) -> tuple[Outcome, Counter[str]]:
    """Run many; what they came to, and how often each kind of fault struck, is returned.

    Raises:
        AssertionError: a promise was broken. Its notes hold the shortest schedule found that
            breaks one too, what happened in it, and how to run it again.
    """
    outcome = Outcome()
    faults: Counter[str] = Counter()
    for seed in seeds:
        try:
            made = run_one(seed, family)
        except Exception as error:
            for line in explain(seed, family):
                error.add_note(line)
            raise
        made.add_to(outcome, faults)
    return outcome, faults


def replay(family: Family) -> None:
    """Run the schedule that the environment names, and show what happens in it."""
    seed = family.seed
    assert seed is not None
    only = os.environ.get("PYPRODUCER_FAULTS")
    kinds = None if only is None else [kind for kind in only.split(",") if kind]
    unknown = {*(kinds or ())} - {*family.kinds}
    assert not unknown, f"PYPRODUCER_FAULTS: {sorted(unknown)} is none of {family.kinds}"
    trace: list[str] = []
    try:
        run_one(seed, family, only=kinds, trace=trace)
    finally:
        _keep(trace)
        print("\n".join(trace))


def explain(seed: int, family: Family) -> list[str]:
    """What happens in a failing schedule, with as few kinds of faults as fail too."""
    only = shrink(seed, family)
    trace: list[str] = []
    words = "it fails no more"
    try:
        run_one(seed, family, only=only, trace=trace)
    except Exception as error:
        words = f"{type(error).__name__}: {error}"
    lines = ["", f"with no faults but {', '.join(only) or 'none'}: {words}"]
    if len(trace) > SHOWN:
        lines.append(f"({len(trace) - SHOWN} lines left out; all with PYPRODUCER_TRACE=FILE)")
    lines += trace[:2] + trace[2:][-SHOWN:]
    again = [command(seed, family), command(seed, family, only)]
    lines += ["", "to run it again:", *(f"  {line}" for line in again)]
    _keep(trace)
    return lines


def _keep(trace: list[str]) -> None:
    """Write all that happened to a file, where one is named."""
    if "PYPRODUCER_TRACE" in os.environ:
        Path(os.environ["PYPRODUCER_TRACE"]).write_text("\n".join(trace) + "\n", "utf-8")


def shrink(seed: int, family: Family) -> list[str]:
    """Kinds of faults without any one of which the schedule does not fail."""
    only = [kind for kind in family.kinds if kind in family.make(seed).faults]
    for kind in list(only):
        fewer = [other for other in only if other != kind]
        try:
            run_one(seed, family, only=fewer)
        except Exception:
            only = fewer
    return only


def command(seed: int, family: Family, only: Collection[str] | None = None) -> str:
    """The command line that runs a schedule again."""
    faults = "" if only is None else f"PYPRODUCER_FAULTS={','.join(only)} "
    pure = "PYPRODUCER_PURE=1 " if _PURE else ""
    return f"{pure}{family.variable}={seed} {faults}python -m pytest {family.module}"


def as_tally(outcome: Outcome, faults: Counter[str], began: float) -> dict[str, float]:
    """Counts to be added up with those of other groups and shown when all tests have run."""
    seconds = time.perf_counter() - began
    return vars(outcome) | {"seconds": seconds} | {f"fault {k}": n for k, n in faults.items()}
