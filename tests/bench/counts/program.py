"""The program that runs under callgrind: ``python -m tests.bench.counts.program PATH...``.

It forks for each path: what one leaves behind in memory cannot reach the next, and everything is
imported once. The path "import" is forked off before that.
"""

from __future__ import annotations

import os
import sys
import traceback
from collections.abc import Callable

from tests.bench.counts.marks import Marks


def count_import(marks: Marks) -> None:
    """What a program pays before its first line on Kafka."""
    marks.keep("warm")
    from pyproducer import AsyncProducer  # noqa: F401

    marks.keep("long")


def in_fork(work: Callable[[Marks], None], name: str) -> int:
    """Run it in a process of its own, and count there; 0 if it went well."""
    child = os.fork()
    if child:
        return os.waitpid(child, 0)[1]
    status = 1
    try:
        marks = Marks(name)
        marks.begin()
        work(marks)
        status = 0
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stderr.flush()
        os._exit(status)


def main(names: list[str]) -> int:
    """Count the paths named; 1 if one of them failed."""
    failed = 0
    if "import" in names:
        names.remove("import")
        failed |= in_fork(count_import, "import")
    from tests.bench.counts.paths import PATHS

    Marks("").stop_time()
    # No thread gives way before it waits: who runs when must not depend on real time.
    sys.setswitchinterval(1000)
    for name in names:
        path = PATHS[name]
        failed |= in_fork(lambda marks, path=path: path.run(path, marks), name)  # type: ignore[misc]
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
