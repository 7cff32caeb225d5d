"""The program that runs under callgrind: ``python -m tests.bench.counts.program PATH...``.

It imports the producer, which is counted too, and forks for each path: what one leaves behind in
memory cannot reach the next.
"""

from __future__ import annotations

import os
import sys
import traceback

from tests.bench.counts.callgrind import Marker


class _Named:
    """Marks with the path's name before them."""

    def __init__(self, marker: Marker, name: str) -> None:
        self._marker = marker
        self._name = name

    def begin(self) -> None:
        self._marker.begin()

    def end(self, name: str) -> None:
        self._marker.end(f"{self._name}.{name}")


def main(names: list[str]) -> int:
    """Count the paths named; 1 if one of them failed."""
    marker = Marker(os.environ["COUNTS_MARKS"])
    marker.begin()
    from pyproducer import AsyncProducer  # noqa: F401

    marker.end("import")
    from tests.bench.counts.virtual_loop import install_virtual_time

    install_virtual_time()
    # No thread gives way before it waits: who runs when must not depend on real time.
    sys.setswitchinterval(1000)
    from tests.bench.counts.paths import PATHS

    failed = 0
    for name in names:
        child = os.fork()
        if child == 0:
            status = 1
            try:
                PATHS[name].run(PATHS[name], _Named(marker, name))
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
