"""``python -m tests.bench.counts``: counts that noise cannot move, held against the expected ones.

    python -m tests.bench.counts                      compare everything
    python -m tests.bench.counts --only enqueue,sync  compare a part
    python -m tests.bench.counts --update             write what was counted into the baseline
    python -m tests.bench.counts --profile enqueue    where the instructions go

It ends with 1 if a count is worse than expected by more than 10 %, or gone; with 2 if it cannot
count at all.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

from tests.bench.counts.baseline import BASELINE, Baseline, this_machine
from tests.bench.counts.callgrind import CannotCount
from tests.bench.counts.counting import PARTS, count, profiles
from tests.bench.counts.measures import LIMITS, Finding, Verdict, compare, kind_of
from tests.bench.counts.paths import PATHS
from tests.bench.counts.shares import shares


def table(findings: list[Finding]) -> list[str]:
    """One line for each finding."""
    lines = [f"{'measure':<42}{'expected':>14}{'counted':>14}{'change':>9}  verdict"]
    for one in findings:
        change = "" if one.change is None else f"{one.change:+.1%}"
        verdict = "" if one.verdict is Verdict.SAME else one.verdict.value
        if one.verdict is Verdict.OVER:
            verdict += f" {LIMITS[one.name]:g}"
        lines.append(
            f"{one.name:<42}{_shown(one.expected):>14}{_shown(one.counted):>14}{change:>9}  {verdict}"
        )
    return lines


def _shown(value: float | None) -> str:
    if value is None:
        return "-"
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.4g}"


def guard(parts: list[str], path: Path, *, update: bool) -> int:
    """Count, and report; the exit code."""
    baseline = Baseline.read(path)
    with tempfile.TemporaryDirectory(prefix="counts-") as folder:
        counted, excuses = count(parts, Path(folder))
    for excuse in excuses:
        print(f"not counted: {excuse}")
    whole = set(parts) == set(PARTS) and not excuses
    code = report(baseline, counted, whole=whole, quiet=update)
    if update:
        machine = this_machine()
        kept = {} if whole else baseline.tables.get(machine, {})
        baseline.tables[machine] = {**kept, **counted}
        baseline.write(path)
        print(f"{len(counted)} counts written to {path.name}")
    return 0 if update else code


def report(
    baseline: Baseline, counted: dict[str, float], *, whole: bool, quiet: bool = False
) -> int:
    """Print what was counted beside what is expected; the exit code.

    Args:
        baseline: what is expected.
        counted: by measure.
        whole: everything was to be counted.
        quiet: the table is enough, for the baseline is written anew.
    """
    machine = this_machine()
    same = machine in baseline.tables
    expected = baseline.tables.get(machine) or next(iter(baseline.tables.values()), {})
    findings = compare(expected, counted, same_machine=same, whole=whole)
    print(f"on {machine}")
    if not same:
        print(
            "no counts were taken on such a machine, so only what does not depend on it is "
            "compared; --update adds it"
        )
    print("\n".join(table(findings)))
    if quiet:
        return 0
    failed = [one for one in findings if one.verdict.fails]
    for one in failed:
        print(
            f"{one.name} is {one.verdict.value}: {kind_of(one.name).what.format(unit=_unit(one))}"
        )
    if failed:
        print(
            "If this is what the change was meant to cost, say so with "
            "'python -m tests.bench.counts --update' and commit the file; otherwise "
            "'--profile' shows where it goes."
        )
        return 1
    if any(one.verdict in {Verdict.BETTER, Verdict.NEW} for one in findings):
        print("Please keep what was gained: 'python -m tests.bench.counts --update'.")
    return 0


def _unit(one: Finding) -> str:
    path = PATHS.get(one.name.rpartition(".")[0])
    return "record" if path is None else path.unit


def profile(names: list[str]) -> None:
    """Print where the instructions of these paths go."""
    with tempfile.TemporaryDirectory(prefix="counts-") as folder:
        found = profiles(names, Path(folder))
    for name in names:
        path = PATHS.get(name)
        many, unit = (path.records, path.unit) if path else (1, "import")
        print("\n".join(shares(name, found[name], many, unit)))


def main() -> int:
    """Run as the command line asks; return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.counts")
    parser.add_argument("--only", default=",".join(PARTS), help="parts, with commas")
    parser.add_argument("--update", action="store_true", help="rewrite the expected counts")
    parser.add_argument("--profile", metavar="PATHS", help="show where instructions go")
    parser.add_argument("--baseline", type=Path, default=BASELINE, metavar="FILE")
    options = parser.parse_args()
    names = (options.profile or options.only).split(",")
    unknown = set(names) - set(PARTS)
    if unknown:
        parser.error(f"no such parts: {', '.join(sorted(unknown))}; there are {', '.join(PARTS)}")
    try:
        if options.profile:
            profile(names)
            return 0
        return guard(names, options.baseline, update=options.update)
    except CannotCount as error:
        print(f"nothing was counted: {error}", file=sys.stderr)
        return 2


if __name__ == "__main__":
    sys.exit(main())
