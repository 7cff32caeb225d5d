"""The program that runs under callgrind: ``python -m tests.bench.counts.program PATH...``.

It imports the producer, which is counted too, and forks for each path: what one leaves behind in
memory cannot reach the next.
"""

from __future__ import annotations

import os
import sys
import traceback

from tests.bench.counts.marks import Marks


def main(names: list[str]) -> int:
    """Count the paths named; 1 if one of them failed."""
    marks = Marks("import")
    marks.keep("warm")
    from pyproducer import AsyncProducer  # noqa: F401

    marks.keep("long")
    marks.stop_time()
    # No thread gives way before it waits: who runs when must not depend on real time.
    sys.setswitchinterval(1000)
    from tests.bench.counts.paths import PATHS

    failed = 0
    for name in names:
        child = os.fork()
        if child == 0:
            status = 1
            try:
                PATHS[name].run(PATHS[name], Marks(name))
                status = 0
            except BaseException:
                traceback.print_exc()
            finally:
                sys.stderr.flush()
                os._exit(status)
        failed |= os.waitpid(child, 0)[1]
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
