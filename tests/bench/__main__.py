"""The benchmark: ``python -m tests.bench``.

Every client runs in a process of its own, and so does every server; they alternate within one run.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from tests.bench import page, report
from tests.bench.machine import about
from tests.bench.measures import (
    brokers,
    delay,
    imports,
    latency,
    memory,
    partitions,
    stall,
    throughput,
    trickle,
    waiters,
)
from tests.bench.series import Results
from tests.bench.session import Scale, Session

MEASURES = {
    one.NAME: one
    for one in (
        throughput,
        latency,
        trickle,
        stall,
        memory,
        partitions,
        waiters,
        delay,
        imports,
        brokers,
    )
}
BUILT = Path("build/bench/results.json")


def measured(names: Sequence[str], scale: Scale) -> Results:
    """Take these measures."""
    results = Results({**about(), "rounds": scale.rounds})
    with Session(scale, results) as session:
        for name in names:
            session.measure = name
            MEASURES[name].run(session)
    return results


def main() -> int:
    """Run as the command line asks; return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="what the goals need, in 3 rounds")
    parser.add_argument(
        "--only", nargs="+", choices=MEASURES, metavar="MEASURE", help=", ".join(MEASURES)
    )
    parser.add_argument("--rounds", type=int, help="of each row; 5, or 3 with --quick")
    parser.add_argument(
        "--page",
        action="store_true",
        help="write the documentation's page; with --only, measures not taken stay as they are",
    )
    parser.add_argument(
        "--render", action="store_true", help="measure nothing: make the page from its results"
    )
    options = parser.parse_args()
    if options.render:
        page.write(Results.load(page.RESULTS))
        return 0
    scale = Scale(
        rounds=options.rounds or (3 if options.quick else 5),
        seconds=0.6 if options.quick else 0.8,
        quick=options.quick,
    )
    results = measured(options.only or list(MEASURES), scale)
    results.save(BUILT)
    print("\n".join(report.lines(results)))
    if options.page:
        if options.only and page.RESULTS.exists():
            earlier = Results.load(page.RESULTS)
            earlier.take(results)
            results = earlier
        page.write(results)
    return 0


if __name__ == "__main__":
    sys.exit(main())
